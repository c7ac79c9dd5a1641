import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { fileURLToPath } from 'node:url';
import { afterAll, describe, expect, test } from 'vitest';
import { seededRandom } from '../../src/base/random.ts';
import type { Catalog, Table, TableCreation, TableIdentifier } from '../../src/catalog/catalog.ts';
import { memoryPointers } from '../../src/catalog/memory.ts';
import { MetastoreCatalog, type Pointers } from '../../src/catalog/metastore.ts';
import { sqliteCatalog, sqlitePointers } from '../../src/catalog/sqlite.ts';
import { newSpec } from '../../src/iceberg/partition-by.ts';
import { LocalStore, localLocation } from '../../src/storage/local.ts';
import { MemoryStore } from '../../src/storage/memory.ts';
import { SkippingClock } from '../unit/base/clock.ts';
import { commitSnapshot } from './committer.ts';

const folder = await mkdtemp(join(tmpdir(), 'frazil-catalog-'));
afterAll(() => rm(folder, { recursive: true, force: true }));

const creation: TableCreation = {
  fields: [
    { id: 0, name: 'id', required: true, type: { kind: 'long' } },
    { id: 0, name: 'region', required: false, type: { kind: 'string' } },
  ],
  spec: (schema) => newSpec(schema, ['region']),
  properties: { owner: 'me' },
};

const orders: TableIdentifier = { namespace: ['shop', 'eu'], name: 'orders' };

interface Setup {
  store: MemoryStore;
  pointers: Pointers;
  catalog: Catalog;
}

let files = 0;

describe.each([
  ['memory', memoryPointers],
  ['SQLite', () => sqlitePointers(join(folder, `${++files}.db`), 'lake')],
] as [string, () => Pointers][])('a catalog over %s', (_name, openPointers) => {
  function setup(): Setup {
    const store = new MemoryStore();
    const pointers = openPointers();
    const ports = { store, clock: new SkippingClock(), random: seededRandom(files) };
    return { store, pointers, catalog: new MetastoreCatalog(pointers, 'memory://wh/', ports) };
  }

  const metadataFiles = (store: MemoryStore): string[] =>
    [...store.objects.keys()].filter((location) => location.endsWith('.metadata.json'));

  test('knows no table before it is made', async () => {
    const { catalog } = setup();
    expect(await catalog.load(orders)).toBeUndefined();
    await catalog.close();
  });

  test('makes a table below the warehouse, and gives it back', async () => {
    const { catalog, store } = setup();
    const made = await catalog.create(orders, creation);
    expect(made.metadata.location).toBe('memory://wh/shop/eu/orders');
    expect(made.metadataLocation).toMatch(
      /^memory:\/\/wh\/shop\/eu\/orders\/metadata\/00000-[0-9a-f-]{36}\.metadata\.json$/,
    );
    expect(made.metadata.properties).toEqual({ 'write.parquet.compression-codec': 'zstd', owner: 'me' });
    expect(made.metadata['current-snapshot-id']).toBeNull();
    expect(metadataFiles(store)).toEqual([made.metadataLocation]);
    expect(await catalog.load(orders)).toEqual(made);
    expect(await catalog.load({ ...orders, name: 'other' })).toBeUndefined();
    expect(await catalog.load({ namespace: ['shop'], name: 'orders' })).toBeUndefined();
    await catalog.close();
  });

  test('gives the table that is there to whoever makes it again, and keeps no other metadata', async () => {
    const { catalog, store } = setup();
    const first = await catalog.create(orders, creation);
    const second = await catalog.create(orders, { ...creation, properties: {} });
    expect(second).toEqual(first);
    expect(metadataFiles(store)).toEqual([first.metadataLocation]);
    await catalog.close();
  });

  test('makes a table once for many that make it at the same time', async () => {
    const { catalog, store } = setup();
    const made = await Promise.all(Array.from({ length: 12 }, () => catalog.create(orders, creation)));
    expect(new Set(made.map((table) => table.metadata['table-uuid'])).size).toBe(1);
    expect(metadataFiles(store)).toEqual([made[0]!.metadataLocation]);
    await catalog.close();
  });

  test('applies a commit: the table is at new metadata, and the old is in its log', async () => {
    const { catalog, store } = setup();
    const base = await catalog.create(orders, creation);
    const outcome = await commitSnapshot(catalog, base, 2n ** 62n + 1n);
    expect(outcome.type).toBe('applied');
    const table = (outcome as { table: Table }).table;
    expect(await catalog.load(orders)).toEqual(table);
    expect(table.metadataLocation).toMatch(/\/metadata\/00001-[0-9a-f-]{36}\.metadata\.json$/);
    expect(table.metadata['current-snapshot-id']).toBe(2n ** 62n + 1n);
    expect(table.metadata['metadata-log']).toEqual([
      { 'timestamp-ms': base.metadata['last-updated-ms'], 'metadata-file': base.metadataLocation },
    ]);
    expect(metadataFiles(store).sort()).toEqual([base.metadataLocation, table.metadataLocation].sort());
    await catalog.close();
  });

  test('takes the outcome of one commit as the base of the next', async () => {
    const { catalog } = setup();
    let table = await catalog.create(orders, creation);
    for (let i = 1n; i <= 12n; i++) {
      const outcome = await commitSnapshot(catalog, table, i);
      expect(outcome.type).toBe('applied');
      table = (outcome as { table: Table }).table;
    }
    expect(table.metadataLocation).toMatch(/\/00012-/);
    const loaded = (await catalog.load(orders))!;
    expect(loaded.metadata.snapshots.map((snapshot) => snapshot['snapshot-id'])).toEqual(
      Array.from({ length: 12 }, (_, i) => BigInt(i + 1)),
    );
    await catalog.close();
  });

  test('rejects a commit onto a table that has moved, and leaves nothing of it', async () => {
    const { catalog, store } = setup();
    const base = await catalog.create(orders, creation);
    const { table } = (await commitSnapshot(catalog, base, 1n)) as { table: Table };
    const before = [...store.objects.keys()];
    const outcome = await commitSnapshot(catalog, base, 2n);
    expect(outcome).toMatchObject({ type: 'rejected', reason: expect.stringMatching(/./) });
    expect([...store.objects.keys()]).toEqual(before);
    expect(await catalog.load(orders)).toEqual(table);
    await catalog.close();
  });

  test('rejects a commit whose requirement its own base does not meet, before anything is written', async () => {
    const { catalog, store } = setup();
    const base = await catalog.create(orders, creation);
    const before = [...store.objects.keys()];
    const updates = [{ action: 'set-properties', updates: { a: '1' } }] as const;
    expect(
      await catalog.commit(
        base,
        [{ type: 'assert-ref-snapshot-id', ref: 'main', 'snapshot-id': 5n }],
        updates,
      ),
    ).toEqual({ type: 'rejected', reason: 'branch main is at snapshot null, expected 5' });
    expect(await catalog.commit(base, [{ type: 'assert-table-uuid', uuid: 'other' }], updates)).toMatchObject(
      {
        type: 'rejected',
        reason: expect.stringContaining('expected other'),
      },
    );
    expect([...store.objects.keys()]).toEqual(before);
    expect(await catalog.load(orders)).toEqual(base);
    await catalog.close();
  });

  test('rejects a commit onto a table that was dropped, and one onto its successor', async () => {
    const { catalog, pointers } = setup();
    const never = await catalog.create(orders, creation);
    const ghost = { ...never, identifier: { namespace: ['shop'], name: 'ghost' } };
    expect((await commitSnapshot(catalog, ghost, 1n)).type).toBe('rejected');
    await pointers.insert(ghost.identifier, `${never.metadataLocation}.other`);
    expect((await commitSnapshot(catalog, ghost, 1n)).type).toBe('rejected');
    expect((await pointers.get(ghost.identifier))!.location).toBe(`${never.metadataLocation}.other`);
    await catalog.close();
  });

  test('keeps tables apart', async () => {
    const { catalog } = setup();
    const names = [orders, { ...orders, name: 'refunds' }, { namespace: ['shop'], name: 'orders' }];
    const tables: Table[] = [];
    for (const name of names) tables.push(await catalog.create(name, creation));
    for (const [i, table] of tables.entries()) await commitSnapshot(catalog, table, BigInt(i + 1));
    for (const [i, name] of names.entries())
      expect((await catalog.load(name))!.metadata['current-snapshot-id']).toBe(BigInt(i + 1));
    await catalog.close();
  });

  test('lets eight committers race, and loses nothing', async () => {
    const { catalog, store } = setup();
    await catalog.create(orders, {
      ...creation,
      properties: { 'write.metadata.previous-versions-max': '1' },
    });
    const races = await Promise.all(
      Array.from({ length: 8 }, (_, committer) => race(catalog, orders, committer, 50)),
    );
    const table = (await catalog.load(orders))!;
    const ids = races.flatMap((outcome) => outcome.ids);
    expect(ids).toHaveLength(400);
    checkHistory(table, ids);
    // It was a race.
    expect(races.reduce((sum, { rejected }) => sum + rejected, 0)).toBeGreaterThan(100);
    expect(metadataFiles(store)).toHaveLength(401); // those of rejected attempts are gone
    await catalog.close();
  });
});

/** Commits `count` snapshots, each onto the table as it then is. */
async function race(
  catalog: Catalog,
  name: TableIdentifier,
  committer: number,
  count: number,
): Promise<{ ids: bigint[]; rejected: number }> {
  const ids: bigint[] = [];
  let rejected = 0;
  let table = (await catalog.load(name))!;
  while (ids.length < count) {
    const id = BigInt(committer + 1) * 1_000_000n + BigInt(ids.length);
    const outcome = await commitSnapshot(catalog, table, id);
    if (outcome.type === 'applied') ids.push(id);
    else rejected++;
    table = outcome.type === 'applied' ? outcome.table : (await catalog.load(name))!;
  }
  return { ids, rejected };
}

/** Every snapshot is there once, in one line of parents from the head to the first. */
function checkHistory({ metadata }: Table, ids: readonly bigint[]): void {
  const found = metadata.snapshots.map((snapshot) => snapshot['snapshot-id']);
  const order = (a: bigint, b: bigint): number => (a < b ? -1 : a > b ? 1 : 0);
  expect(found.toSorted(order)).toEqual(ids.toSorted(order));
  expect(metadata.snapshots.map((snapshot) => snapshot['sequence-number'])).toEqual(ids.map((_, i) => i + 1));
  expect(metadata.snapshots.map((snapshot) => snapshot['parent-snapshot-id'])).toEqual([
    undefined,
    ...found.slice(0, -1),
  ]);
  expect(metadata['current-snapshot-id']).toBe(found.at(-1));
  expect(metadata['last-sequence-number']).toBe(ids.length);
}

test('SQLite lets committers of several processes race, and loses nothing', async () => {
  const path = join(folder, 'processes.db');
  const warehouse = localLocation(join(folder, 'wh'));
  const ports = { store: new LocalStore(), clock: new SkippingClock(), random: seededRandom(1) };
  const catalog = sqliteCatalog({ path, name: 'lake', warehouse }, ports);
  // Made by an older writer: each process finds that it must be brought up to date.
  makeV0File(path);
  const script = fileURLToPath(new URL('committer.ts', import.meta.url));
  // The table is made by whichever of them is first.
  const children = Array.from({ length: 3 }, (_, i) =>
    spawn(process.execPath, [script, path, warehouse, String(i), '30'], {
      stdio: ['ignore', 'pipe', 'inherit'],
    }),
  );
  const outputs = await Promise.all(children.map(outputOf));
  const table = (await catalog.load({ namespace: ['shop'], name: 'raced' }))!;
  checkHistory(
    table,
    outputs.flatMap((output) => output.trim().split('\n').map(BigInt)),
  );
  expect(table.metadata.snapshots).toHaveLength(90);
  await catalog.close();
});

function makeV0File(path: string): void {
  const database = new DatabaseSync(path);
  database.exec(`CREATE TABLE iceberg_tables (
    catalog_name VARCHAR(255) NOT NULL, table_namespace VARCHAR(255) NOT NULL, table_name VARCHAR(255) NOT NULL,
    metadata_location VARCHAR(1000), previous_metadata_location VARCHAR(1000),
    PRIMARY KEY (catalog_name, table_namespace, table_name))`);
  database.close();
}

async function outputOf(child: ChildProcess): Promise<string> {
  let output = '';
  child.stdout!.on('data', (chunk) => {
    output += chunk;
  });
  const code = await new Promise((resolve) => child.once('close', resolve));
  expect(code).toBe(0);
  return output;
}
