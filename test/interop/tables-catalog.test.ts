import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { afterAll, afterEach, beforeEach, describe, expect, test } from 'vitest';
import { silentLog } from '../../src/base/log.ts';
import { systemRandom, uuid } from '../../src/base/random.ts';
import type { Table } from '../../src/catalog/catalog.ts';
import { sqliteCatalog } from '../../src/catalog/sqlite.ts';
import { newSpec } from '../../src/iceberg/partition-by.ts';
import type { Field, Type } from '../../src/iceberg/types.ts';
import { commitFlush } from '../../src/sink/table-commit.ts';
import { localLocation } from '../../src/storage/local.ts';
import { tryAppend, writeDataFile } from '../contract/appends.ts';
import { type Row, sorted } from '../tools/canonical.ts';
import { java } from '../tools/java.ts';
import { python } from '../tools/python.ts';
import type { Repl } from '../tools/repl.ts';
import { type Described, duckRows, Lake, plannedBy, readers, rowsBy } from './tables-lake.ts';

/** One SQLite catalog that Java's JdbcCatalog, PyIceberg's SqlCatalog and we use in turn. */

let lake: Lake;
beforeEach(async () => {
  lake = await Lake.open('frazil größe-');
});
afterEach(() => lake[Symbol.asyncDispose]());
afterAll(async () => {
  await java.close();
  await python.close();
});

const field = (name: string, type: Type, required = false): Field => ({ id: 0, name, required, type });
const fields = [field('n', { kind: 'long' }), field('region', { kind: 'string' })];
const json = {
  type: 'struct',
  'schema-id': 0,
  fields: [
    { id: 1, name: 'n', required: false, type: 'long' },
    { id: 2, name: 'region', required: false, type: 'string' },
  ],
};
const byRegion = {
  'spec-id': 0,
  fields: [{ 'source-id': 2, 'field-id': 1000, name: 'region', transform: 'identity' }],
};

/** Rows of one region, numbered on. */
class Numbers {
  #next = 0;
  readonly all: Row[] = [];

  take(count: number, region: string | null): Row[] {
    const rows = Array.from({ length: count }, (): Row => ({ n: String(this.#next++), region }));
    this.all.push(...rows);
    return rows;
  }
}

/** Everybody sees the same rows, totals and history. */
async function checkAll(name: string, expected: readonly Row[], snapshots: number): Promise<Table> {
  const table = await lake.load(name);
  const { metadata } = table;
  const head = metadata.snapshots.find(
    (snapshot) => snapshot['snapshot-id'] === metadata['current-snapshot-id'],
  )!;
  for (const [reader, tool] of readers) {
    const described = await tool.call<Described>('readTable', lake.at(tool, `db.${name}`));
    expect(sorted(described.rows), reader).toEqual(sorted(expected));
    expect(described.currentSnapshotId, reader).toBe(String(metadata['current-snapshot-id']));
    expect(described.snapshots.map(({ id }) => id)).toEqual(
      metadata.snapshots.map((snapshot) => String(snapshot['snapshot-id'])),
    );
  }
  expect(head.summary['total-records']).toBe(String(expected.length));
  const files = await plannedBy(java, table);
  expect(head.summary['total-data-files']).toBe(String(files.length));
  expect(head.summary['total-files-size']).toBe(
    String(files.reduce((sum, file) => sum + Number(file.fileSizeBytes), 0)),
  );
  expect(metadata.snapshots).toHaveLength(snapshots);
  expect(metadata.snapshots.map((snapshot) => snapshot['sequence-number'])).toEqual(
    Array.from({ length: snapshots }, (_, i) => i + 1),
  );
  for (const [i, snapshot] of metadata.snapshots.entries())
    expect(snapshot['parent-snapshot-id']).toBe(metadata.snapshots[i - 1]?.['snapshot-id']);
  expect(metadata['last-sequence-number']).toBe(snapshots);
  return table;
}

const theirs = (tool: Repl, name: string, rows: Row[], rest: object = {}): Promise<object> =>
  tool.call('append', { ...lake.at(tool, `db.${name}`), rows, ...rest });

describe.each([
  ['an unpartitioned table', false],
  ['a partitioned table', true],
])('%s', (_kind, partitioned) => {
  const spec = partitioned ? byRegion : undefined;

  async function ours(name: string, numbers: Numbers): Promise<void> {
    const table = await lake.load(name);
    const groups = [numbers.take(2, 'eu'), numbers.take(1, null)];
    if (partitioned)
      await lake.appendPartitions(table, [
        [['eu'], groups[0]!],
        [[null], groups[1]!],
      ]);
    else await lake.append(table, ...groups);
  }

  test('of ours is appended to by all in turn', async () => {
    await lake.create('t', {
      fields,
      ...(partitioned ? { spec: (schema) => newSpec(schema, ['region']) } : {}),
    });
    const numbers = new Numbers();
    await theirs(java, 't', numbers.take(2, 'us'));
    await ours('t', numbers);
    await theirs(python, 't', numbers.take(2, 'us'));
    await ours('t', numbers);
    await theirs(java, 't', numbers.take(1, 'eu'), { fast: true });
    await ours('t', numbers);
    await checkAll('t', numbers.all, 6);
  });

  test.each(readers)('of %s is appended to by all in turn', async (_name, tool) => {
    await tool.call('createTable', { ...lake.at(tool, 'db.t'), schema: json, spec });
    const numbers = new Numbers();
    await ours('t', numbers);
    await theirs(tool, 't', numbers.take(2, 'us'));
    await ours('t', numbers);
    for (const [, other] of readers) await theirs(other, 't', numbers.take(1, 'us'));
    await ours('t', numbers);
    const table = await checkAll('t', numbers.all, 6);
    expect(table.metadata['format-version']).toBe(2);
  });
});

test('a namespace of ours is one to others, and the other way round', async () => {
  await lake.create('ours', { fields });
  // PyIceberg makes no table in a namespace that it does not know.
  for (const [, tool] of readers) {
    await tool.call('createTable', {
      ...lake.at(tool, `db.by${tool === java ? 'Java' : 'Python'}`),
      schema: json,
    });
    await theirs(tool, `by${tool === java ? 'Java' : 'Python'}`, [{ n: '1', region: 'eu' }]);
  }
  for (const name of ['byJava', 'byPython'])
    for (const [, tool] of readers)
      expect(await rowsBy(tool, await lake.load(name))).toEqual([{ n: '1', region: 'eu' }]);
});

test('a database of Java’s older layout is taken over, and Java goes on with it', async () => {
  const path = join(lake.folder, 'old.db');
  const warehouse = localLocation(join(lake.folder, 'old warehouse'));
  const old = { type: 'jdbc', uri: `jdbc:sqlite:${path}`, warehouse, 'jdbc.schema-version': 'V0' };
  await java.call('createTable', { name: 'old', catalog: old, table: 'db.t', schema: json });
  await java.call('append', { name: 'old', catalog: old, table: 'db.t', rows: [{ n: '1', region: 'eu' }] });
  const columns = (): unknown[] => {
    const database = new DatabaseSync(path);
    const found = database.prepare('PRAGMA table_info(iceberg_tables)').all();
    database.close();
    return found.map((column) => column['name']);
  };
  expect(columns()).not.toContain('iceberg_type');

  const catalog = sqliteCatalog({ path, name: 'old', warehouse }, lake.ports);
  const table = (await catalog.load({ namespace: ['db'], name: 't' }))!;
  const outcome = await tryAppend(catalog, table, [], lake.ports);
  expect(outcome.type).toBe('applied');
  expect(columns()).toContain('iceberg_type');

  for (const version of ['V0', 'V1']) {
    const again = { ...old, 'jdbc.schema-version': version };
    await java.call('append', {
      name: 'old',
      catalog: again,
      table: 'db.t',
      rows: [{ n: '2', region: version }],
    });
    const { rows } = await java.call<Described>('readTable', { name: 'old', catalog: again, table: 'db.t' });
    expect(rows.some((row) => row['region'] === version)).toBe(true);
  }
  const after = (await catalog.load({ namespace: ['db'], name: 't' }))!;
  expect(after.metadata.snapshots).toHaveLength(4);
  await catalog.close();
});

test('another catalog name is another catalog', async () => {
  await lake.create('t', { fields });
  for (const [, tool] of readers)
    await expect(tool.call('readTable', { ...lake.at(tool, 'db.t'), name: 'other' })).rejects.toThrow(
      /exist/i,
    );
});

test('our commit onto a table that another writer has moved is rejected, and nothing of theirs is lost', async () => {
  const numbers = new Numbers();
  await lake.create('t', { fields });
  for (const [, tool] of readers) {
    const stale = await lake.load('t');
    await theirs(tool, 't', numbers.take(2, 'us'));
    expect((await tryAppend(lake.catalog, stale, [], lake.ports)).type).toBe('rejected');
  }
  await lake.append(await lake.load('t'), numbers.take(1, 'eu'));
  await checkAll('t', numbers.all, 3);
});

test('compaction, rewritten manifests and expiry by Java leave a table that we go on with', async () => {
  const numbers = new Numbers();
  let table = await lake.create('t', { fields, spec: (schema) => newSpec(schema, ['region']) });
  for (let i = 0; i < 3; i++) table = await lake.appendPartitions(table, [[['eu'], numbers.take(2, 'eu')]]);
  await java.call('rewriteDataFiles', lake.at(java, 'db.t'));
  table = await lake.appendPartitions(await lake.load('t'), [[[null], numbers.take(1, null)]]);
  await checkAll('t', numbers.all, 5);
  await java.call('rewriteManifests', lake.at(java, 'db.t'));
  table = await lake.appendPartitions(await lake.load('t'), [[['eu'], numbers.take(1, 'eu')]]);
  await checkAll('t', numbers.all, 7);
  await java.call('expireSnapshots', { ...lake.at(java, 'db.t'), retainLast: 1 });
  table = await lake.appendPartitions(await lake.load('t'), [[['us'], numbers.take(1, 'us')]]);
  expect(table.metadata.snapshots).toHaveLength(2);
  for (const [, tool] of readers) expect(await rowsBy(tool, table)).toEqual(sorted(numbers.all));
});

/** The next rows as the sink lands them, which merges manifests. */
async function land(name: string, region: string, numbers: Numbers): Promise<Table> {
  const table = await lake.load(name);
  const start = numbers.all.length;
  const rows = numbers.take(2, region);
  const claim = { key: 'orders-0', start, next: start + 2, initial: true } as const;
  const options = {
    pipeline: `by-${start}`,
    worker: 'w1',
    branch: 'main',
    origin: { clusterId: 'cluster', topicIds: new Map([['orders', 'topic-id']]) },
    onRollback: 'halt',
    engineVersion: '1',
    policy: { attemptsMax: 1, totalMs: 60_000, waitMinMs: 1, waitMaxMs: 1 },
  } as const;
  const landing = await commitFlush(
    {
      id: uuid(systemRandom),
      table,
      files: [await writeDataFile(table, rows, [region], lake.ports)],
      claims: [claim],
      lost: [],
      leftOut: [],
      truncated: [],
      watermarkMs: undefined,
      createdAtMs: Date.now(),
    },
    options,
    { catalog: lake.catalog, ...lake.ports, log: silentLog },
  );
  if (landing.type !== 'landed') throw new Error(`it was ${landing.type}`);
  return landing.table;
}

test('manifests of all writers that we merge have their files and numbers for every reader; Java rewrites and expires them', async () => {
  const numbers = new Numbers();
  await lake.create('t', {
    fields,
    spec: (schema) => newSpec(schema, ['region']),
    properties: { 'commit.manifest.min-count-to-merge': '6' },
  });
  await theirs(java, 't', numbers.take(2, 'us'), { fast: true });
  await theirs(python, 't', numbers.take(2, 'eu'));
  for (const region of ['eu', 'us', 'ü']) await land('t', region, numbers);
  const before = await plannedBy(java, await lake.load('t'));
  let table = await land('t', 'eu', numbers);
  expect(table.metadata.snapshots.at(-1)!.summary).toMatchObject({
    'manifests-created': '2',
    'manifests-kept': '0',
    'manifests-replaced': '5',
  });
  await checkAll('t', numbers.all, 6);
  const after = await plannedBy(java, table);
  expect(after).toHaveLength(6);
  expect(after).toEqual(expect.arrayContaining(before));
  const ofEurope = numbers.all.filter((row) => row['region'] === 'eu');
  const filter = { filter: { op: 'eq', field: 'region', value: 'eu' } };
  for (const [, tool] of readers) expect(await rowsBy(tool, table, filter)).toEqual(sorted(ofEurope));
  expect(await duckRows(table, "SELECT * FROM t WHERE region = 'eu'")).toEqual(sorted(ofEurope));
  expect(await duckRows(table)).toEqual(sorted(numbers.all));

  // What was merged once is taken over whole.
  for (const region of ['us', 'ü', 'eu', 'ü']) table = await land('t', region, numbers);
  expect(table.metadata.snapshots.at(-1)!.summary['manifests-replaced']).toBe('5');
  await checkAll('t', numbers.all, 10);
  expect(await plannedBy(java, table)).toEqual(expect.arrayContaining(before));
  await java.call('rewriteManifests', lake.at(java, 'db.t'));
  await java.call('expireSnapshots', { ...lake.at(java, 'db.t'), retainLast: 1 });
  table = await land('t', 'eu', numbers);
  expect(table.metadata.snapshots).toHaveLength(2);
  for (const [, tool] of readers) expect(await rowsBy(tool, table)).toEqual(sorted(numbers.all));
  expect(await duckRows(table)).toEqual(sorted(numbers.all));
  expect(await plannedBy(java, table)).toEqual(expect.arrayContaining(before));
});

test('rows deleted and replaced by PyIceberg stay so when we append', async () => {
  const numbers = new Numbers();
  let table = await lake.create('t', { fields });
  table = await lake.append(table, numbers.take(3, 'eu'), numbers.take(3, 'us'));
  await python.call('deleteRows', {
    ...lake.at(python, 'db.t'),
    filter: { op: 'eq', field: 'n', value: '1' },
  });
  table = await lake.append(await lake.load('t'), numbers.take(1, 'eu'));
  const kept = numbers.all.filter((row) => row['n'] !== '1');
  for (const [, tool] of readers) expect(await rowsBy(tool, table)).toEqual(sorted(kept));
  expect(table.metadata.snapshots.at(-1)!.summary['total-records']).toBe(String(kept.length));
  await python.call('overwrite', {
    ...lake.at(python, 'db.t'),
    rows: [{ n: '100', region: 'eu' }],
    filter: { op: 'eq', field: 'region', value: 'eu' },
  });
  table = await lake.append(await lake.load('t'), [{ n: '101', region: 'us' }]);
  const expected = [
    ...kept.filter((row) => row['region'] === 'us'),
    { n: '100', region: 'eu' },
    { n: '101', region: 'us' },
  ];
  for (const [, tool] of readers) expect(await rowsBy(tool, table)).toEqual(sorted(expected));
});

test('a table that was rolled back takes our next snapshot on the branch where it is', async () => {
  const numbers = new Numbers();
  let table = await lake.create('t', { fields });
  table = await lake.append(table, numbers.take(2, 'eu'));
  const kept = [...numbers.all];
  const first = String(table.metadata['current-snapshot-id']);
  table = await lake.append(table, numbers.take(2, 'us'));
  await java.call('rollback', { ...lake.at(java, 'db.t'), snapshotId: first });
  const back = await lake.load('t');
  expect(String(back.metadata['current-snapshot-id'])).toBe(first);
  table = await lake.append(back, [{ n: '9', region: 'eu' }]);
  const head = table.metadata.snapshots.at(-1)!;
  expect(String(head['parent-snapshot-id'])).toBe(first);
  expect(head['sequence-number']).toBe(3);
  for (const [, tool] of readers)
    expect(await rowsBy(tool, table)).toEqual(sorted([...kept, { n: '9', region: 'eu' }]));
});

test('a table that was replaced takes our next snapshot as its first', async () => {
  await lake.append(await lake.create('t', { fields }), [{ n: '1', region: 'eu' }]);
  await java.call('replaceTable', { ...lake.at(java, 'db.t'), schema: json });
  const table = await lake.append(await lake.load('t'), [{ n: '2', region: 'eu' }]);
  const head = table.metadata.snapshots.at(-1)!;
  expect(head['parent-snapshot-id']).toBeUndefined();
  expect(head.summary['total-records']).toBe('1');
  for (const [, tool] of readers) expect(await rowsBy(tool, table)).toEqual([{ n: '2', region: 'eu' }]);
});

test('a table whose schema and properties others change takes what we write next', async () => {
  let table = await lake.create('t', { fields });
  table = await lake.append(table, [{ n: '1', region: 'eu' }]);
  await java.call('updateSchema', {
    ...lake.at(java, 'db.t'),
    add: [{ name: 'extra', type: 'int' }],
    rename: { region: 'area' },
  });
  await java.call('setProperties', { ...lake.at(java, 'db.t'), properties: { owner: 'me', 'a.b': 'ü' } });
  await python.call('setProperties', { ...lake.at(python, 'db.t'), properties: { team: 'data' } });
  table = await lake.append(await lake.load('t'), [{ n: '2', area: 'us', extra: '7' }]);
  expect(table.metadata.properties).toMatchObject({ owner: 'me', 'a.b': 'ü', team: 'data' });
  for (const [, tool] of readers)
    expect(await rowsBy(tool, table)).toEqual([
      { n: '1', area: 'eu', extra: null },
      { n: '2', area: 'us', extra: '7' },
    ]);
});

test('clocks that are ten minutes ahead and behind leave a table that all can read', async () => {
  const { identifier } = await lake.create('t', { fields });
  const options = {
    path: join(lake.folder, 'catalog.db'),
    name: 'lake',
    warehouse: localLocation(join(lake.folder, 'warehouse')),
  };
  for (const skewMs of [600_000, -600_000, 600_000, 0]) {
    const ports = { ...lake.ports, clock: { ...lake.ports.clock, nowMs: () => Date.now() + skewMs } };
    const catalog = sqliteCatalog(options, ports);
    const table = (await catalog.load(identifier))!;
    expect((await tryAppend(catalog, table, [], ports)).type).toBe('applied');
    await catalog.close();
  }
  for (const [, tool] of readers) expect(await rowsBy(tool, await lake.load('t'))).toEqual([]);
});
