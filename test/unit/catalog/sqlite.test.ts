import { mkdtempSync, openSync, rmSync, writeFileSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { afterAll, beforeEach, expect, test } from 'vitest';
import { FatalError, TransientError } from '../../../src/base/errors.ts';
import { systemRandom } from '../../../src/base/random.ts';
import type { Table } from '../../../src/catalog/catalog.ts';
import type { MetastoreCatalog } from '../../../src/catalog/metastore.ts';
import { sqliteCatalog, sqlitePointers } from '../../../src/catalog/sqlite.ts';
import { unpartitioned } from '../../../src/iceberg/partition-spec.ts';
import { MemoryStore } from '../../../src/storage/memory.ts';
import { commitSnapshot } from '../../contract/committer.ts';
import { SkippingClock } from '../base/clock.ts';

const folder = mkdtempSync(join(tmpdir(), 'frazil-sqlite-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const orders = { namespace: ['shop', 'eu'], name: 'orders' };
const creation = {
  fields: [{ id: 0, name: 'id', required: true, type: { kind: 'long' as const } }],
  spec: () => unpartitioned,
  properties: {},
};

let path = '';
let store = new MemoryStore();
let files = 0;
beforeEach(() => {
  path = join(folder, `${++files}`, 'catalog.db');
  store = new MemoryStore();
});

function open(name = 'lake'): MetastoreCatalog {
  const ports = { store, clock: new SkippingClock(), random: systemRandom };
  return sqliteCatalog({ path, name, warehouse: 'memory://wh' }, ports);
}

const shape = (database: DatabaseSync, table: string): unknown[] =>
  database
    .prepare(`PRAGMA table_info(${table})`)
    .all()
    .map(({ name, type, notnull, pk }) => [name, type, notnull, pk]);

test('the tables are those that Java, PyIceberg and Trino expect, and a table’s row is as they write it', async () => {
  const catalog = open();
  const table = await catalog.create(orders, creation);
  const { table: next } = (await commitSnapshot(catalog, table, 1n)) as { table: Table };
  const database = new DatabaseSync(path);
  expect(shape(database, 'iceberg_tables')).toEqual([
    ['catalog_name', 'VARCHAR(255)', 1, 1],
    ['table_namespace', 'VARCHAR(255)', 1, 2],
    ['table_name', 'VARCHAR(255)', 1, 3],
    ['metadata_location', 'VARCHAR(1000)', 0, 0],
    ['previous_metadata_location', 'VARCHAR(1000)', 0, 0],
    ['iceberg_type', 'VARCHAR(5)', 0, 0],
  ]);
  expect(shape(database, 'iceberg_namespace_properties')).toEqual([
    ['catalog_name', 'VARCHAR(255)', 1, 1],
    ['namespace', 'VARCHAR(255)', 1, 2],
    ['property_key', 'VARCHAR(255)', 1, 3],
    ['property_value', 'VARCHAR(1000)', 0, 0],
  ]);
  expect(database.prepare('SELECT * FROM iceberg_tables').all()).toEqual([
    {
      catalog_name: 'lake',
      table_namespace: 'shop.eu',
      table_name: 'orders',
      metadata_location: next.metadataLocation,
      previous_metadata_location: table.metadataLocation,
      iceberg_type: 'TABLE',
    },
  ]);
  expect(database.prepare('SELECT * FROM iceberg_namespace_properties').all()).toEqual([
    { catalog_name: 'lake', namespace: 'shop.eu', property_key: 'exists', property_value: 'true' },
  ]);
  database.close();
  await catalog.close();
});

test('a new table has no previous metadata', async () => {
  const catalog = open();
  await catalog.create(orders, creation);
  const database = new DatabaseSync(path);
  const [row] = database.prepare('SELECT previous_metadata_location AS previous FROM iceberg_tables').all();
  expect(row).toEqual({ previous: null });
  database.close();
  await catalog.close();
});

/** A file as older Java and PyIceberg made it, with one table in it. */
async function makeV0(): Promise<Table> {
  const catalog = open();
  const table = await catalog.create(orders, creation);
  await catalog.close();
  const database = new DatabaseSync(path);
  database.exec('ALTER TABLE iceberg_tables DROP COLUMN iceberg_type');
  database.close();
  return table;
}

test('a file of the older layout is brought up to date, and its tables are still there', async () => {
  const table = await makeV0();
  const catalog = open();
  expect(await catalog.load(orders)).toEqual(table);
  expect((await commitSnapshot(catalog, table, 1n)).type).toBe('applied');
  await catalog.create({ ...orders, name: 'new' }, creation);
  await catalog.close();
  const database = new DatabaseSync(path);
  expect(shape(database, 'iceberg_tables').at(-1)).toEqual(['iceberg_type', 'VARCHAR(5)', 0, 0]);
  const types = database.prepare('SELECT table_name, iceberg_type FROM iceberg_tables ORDER BY 1').all();
  expect(types).toEqual([
    { table_name: 'new', iceberg_type: 'TABLE' },
    { table_name: 'orders', iceberg_type: null },
  ]);
  database.close();
});

test('a file of the older layout is brought up to date once by many that open it', async () => {
  const table = await makeV0();
  const catalogs = Array.from({ length: 5 }, () => open());
  const loaded = await Promise.all(catalogs.map((catalog) => catalog.load(orders)));
  for (const each of loaded) expect(each).toEqual(table);
  for (const catalog of catalogs) await catalog.close();
});

test('tables of other catalogs in the same file are not ours', async () => {
  const [lake, other] = [open('lake'), open('other')];
  const ours = await lake.create(orders, creation);
  expect(await other.load(orders)).toBeUndefined();
  const theirs = await other.create(orders, creation);
  expect(theirs.metadata['table-uuid']).not.toBe(ours.metadata['table-uuid']);
  await commitSnapshot(lake, ours, 1n);
  expect(await other.load(orders)).toEqual(theirs);
  await lake.close();
  await other.close();
});

test('a view is no table: it is not loaded, not committed to and not replaced', async () => {
  const catalog = open();
  const table = await catalog.create({ ...orders, name: 'other' }, creation);
  const database = new DatabaseSync(path);
  database
    .prepare('INSERT INTO iceberg_tables VALUES (?, ?, ?, ?, NULL, ?)')
    .run('lake', 'shop.eu', 'orders', table.metadataLocation, 'VIEW');
  expect(await catalog.load(orders)).toBeUndefined();
  expect((await commitSnapshot(catalog, { ...table, identifier: orders }, 1n)).type).toBe('rejected');
  const creating = catalog.create(orders, creation);
  await expect(creating).rejects.toThrow(FatalError);
  await expect(catalog.create(orders, creation)).rejects.toThrow(
    `creating table shop.eu.orders in catalog ${path}: there is a view of this name`,
  );
  const row = database.prepare("SELECT * FROM iceberg_tables WHERE table_name = 'orders'").get();
  expect(row).toMatchObject({ iceberg_type: 'VIEW', metadata_location: table.metadataLocation });
  database.close();
  await catalog.close();
});

test('a file that another process has locked makes everything wait for another try, briefly', async () => {
  const catalog = open();
  const table = await catalog.create(orders, creation);
  const before = [...store.objects.keys()];
  const database = new DatabaseSync(path);
  database.exec('BEGIN EXCLUSIVE');
  const begin = performance.now();
  await expect(catalog.load(orders)).rejects.toThrow(TransientError);
  const outcome = await commitSnapshot(catalog, table, 1n);
  expect(outcome).toMatchObject({ type: 'rejected', reason: expect.stringContaining('database is locked') });
  expect([...store.objects.keys()]).toEqual(before); // the rejected metadata is gone
  await expect(catalog.create({ ...orders, name: 'new' }, creation)).rejects.toThrow(TransientError);
  // Heartbeats wait as long: three calls, each bounded.
  expect(performance.now() - begin).toBeLessThan(2_000);
  database.exec('ROLLBACK');
  database.close();
  expect(await catalog.load(orders)).toEqual(table);
  expect((await commitSnapshot(catalog, table, 1n)).type).toBe('applied');
  await catalog.close();
});

test('a commit that a reader keeps from finishing is certainly not applied', async () => {
  const catalog = open();
  const table = await catalog.create(orders, creation);
  const database = new DatabaseSync(path);
  database.exec('BEGIN');
  database.prepare('SELECT * FROM iceberg_tables').all();
  expect((await commitSnapshot(catalog, table, 1n)).type).toBe('rejected');
  database.exec('COMMIT');
  database.close();
  expect(await catalog.load(orders)).toEqual(table);
  await catalog.close();
});

test('a file locked before it was ever used can be opened and used later', async () => {
  await open().create(orders, creation);
  const database = new DatabaseSync(path);
  database.exec('BEGIN EXCLUSIVE');
  const catalog = open();
  await expect(catalog.load(orders)).rejects.toThrow(TransientError);
  database.exec('ROLLBACK');
  database.close();
  expect(await catalog.load(orders)).toBeDefined();
  await catalog.close();
});

test('a file that cannot be written is read, and refuses commits for good', async () => {
  const first = open();
  const table = await first.create(orders, creation);
  await first.close();
  // SQLite takes a file of an unknown write version (byte 18 of its header) for read-only, whoever runs this.
  const file = openSync(path, 'r+');
  writeSync(file, Uint8Array.of(3), 0, 1, 18);
  const catalog = open();
  expect(await catalog.load(orders)).toEqual(table);
  const committing = commitSnapshot(catalog, table, 1n);
  await expect(committing).rejects.toThrow(FatalError);
  await expect(commitSnapshot(catalog, table, 1n)).rejects.toThrow('the file must be writable');
  await expect(catalog.create({ ...orders, name: 'new' }, creation)).rejects.toThrow(
    'the file must be writable',
  );
  await catalog.close();
});

test('what is no SQLite file, or cannot be opened, is beyond trying again', async () => {
  const plain = join(folder, 'plain.db');
  writeFileSync(plain, 'this is not a database, however long it may be. '.repeat(100));
  await expect(sqlitePointers(plain, 'lake').get(orders)).rejects.toThrow(FatalError);
  await expect(sqlitePointers(plain, 'lake').get(orders)).rejects.toThrow(
    `loading table shop.eu.orders in catalog ${plain}: file is not a database`,
  );
  expect(() => sqlitePointers(folder, 'lake')).toThrow(FatalError);
  expect(() => sqlitePointers(folder, 'lake')).toThrow(`opening catalog ${folder}: `);
  expect(() => sqlitePointers(join(plain, 'below', 'c.db'), 'lake')).toThrow(
    `opening catalog ${plain}/below/c.db: `,
  );
});

test('names need no quoting', async () => {
  const catalog = open(`it's "mine"`);
  const name = { namespace: ["o'brien", '%_'], name: 'größe; DROP TABLE iceberg_tables' };
  const table = await catalog.create(name, creation);
  expect(await catalog.load(name)).toEqual(table);
  expect(await catalog.load({ namespace: ["o'brien", 'xx'], name: name.name })).toBeUndefined();
  await catalog.close();
});
