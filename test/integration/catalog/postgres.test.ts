import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Client } from 'pg';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { TcpProxy } from '../../../localstack/lib/tcp-proxy.ts';
import { systemClock } from '../../../src/base/clock.ts';
import { FatalError, TransientError } from '../../../src/base/errors.ts';
import { systemRandom } from '../../../src/base/random.ts';
import type { Table } from '../../../src/catalog/catalog.ts';
import type { MetastoreCatalog } from '../../../src/catalog/metastore.ts';
import { postgresCatalog, postgresPointers } from '../../../src/catalog/postgres.ts';
import { unpartitioned } from '../../../src/iceberg/partition-spec.ts';
import { LocalStore, localLocation } from '../../../src/storage/local.ts';
import { MemoryStore } from '../../../src/storage/memory.ts';
import { freshNamespace } from '../../contract/catalog-bench.ts';
import { raceOfProcesses } from '../../contract/catalog-race.ts';
import { catalogSuite } from '../../contract/catalog-suite.ts';
import { commitSnapshot } from '../../contract/committer.ts';
import { changeForeign, withColumn } from '../../contract/foreign.ts';
import { Localstack } from '../../tools/localstack.ts';
import { SkippingClock } from '../../unit/base/clock.ts';

/** The catalog in a real PostgreSQL; each test has a database of its own. */

const orders = { namespace: ['shop', 'eu'], name: 'orders' };
const creation = {
  fields: [{ id: 0, name: 'id', required: true, type: { kind: 'long' as const } }],
  spec: () => unpartitioned,
  properties: {},
};

const ports = { clock: systemClock, random: systemRandom };

let stack: Localstack;
let server = '';
let admin: Client;
let url = '';
let name = '';
let store = new MemoryStore();
let databases = 0;
const opened: { close(): Promise<void> }[] = [];

beforeAll(async () => {
  stack = await Localstack.start(['postgres']);
  server = stack.env['FRAZIL_POSTGRES']!.replace(/\/postgres$/, '');
  admin = new Client({ connectionString: `${server}/postgres` });
  await admin.connect();
});
afterAll(async () => {
  await admin.end();
  await stack.stop();
});
beforeEach(async () => {
  name = `lake${++databases}`;
  await admin.query(`CREATE DATABASE ${name}`);
  url = `${server}/${name}`;
  store = new MemoryStore();
});
afterEach(async () => {
  for (const each of opened.splice(0)) await each.close();
});

function open(at = url, catalogName = 'lake'): MetastoreCatalog {
  const catalog = postgresCatalog(
    { url: at, name: catalogName, warehouse: 'memory://wh' },
    { ...ports, clock: new SkippingClock(), store },
  );
  opened.push(catalog);
  return catalog;
}

/** Runs SQL in the test's database. */
async function sql(text: string, parameters: unknown[] = []): Promise<Record<string, unknown>[]> {
  const client = new Client({ connectionString: url });
  await client.connect();
  try {
    return (await client.query(text, parameters)).rows as Record<string, unknown>[];
  } finally {
    await client.end();
  }
}

const columns = (table: string): Promise<unknown[]> =>
  sql(
    `SELECT attname, format_type(atttypid, atttypmod), attnotnull, EXISTS (SELECT 1 FROM pg_index
       WHERE indrelid = attrelid AND indisprimary AND attnum = ANY (indkey)) AS key
     FROM pg_attribute WHERE attrelid = to_regclass($1) AND attnum > 0 ORDER BY attnum`,
    [table],
  ).then((rows) => rows.map((row) => Object.values(row)));

catalogSuite('PostgreSQL', async () => {
  const at = `${server}/postgres`;
  const files = new MemoryStore();
  const pointers = postgresPointers(at, 'lake');
  return {
    catalog: (store) =>
      postgresCatalog({ url: at, name: 'lake', warehouse: 'memory://wh' }, { ...ports, store }),
    store: files,
    namespace: () => freshNamespace(2),
    capabilities: { serverWritesMetadata: false, history: 'all', namespaceLevels: 2 },
    drop: async (identifier) => {
      await admin.query('DELETE FROM iceberg_tables WHERE table_namespace = $1 AND table_name = $2', [
        identifier.namespace.join('.'),
        identifier.name,
      ]);
    },
    addColumn: (identifier, column) =>
      changeForeign(pointers, files, identifier, (metadata) => withColumn(metadata, column)),
    close: () => pointers.close(),
  };
});

test('the tables are those that Java, PyIceberg and Trino expect, and a table’s row is as they write it', async () => {
  const catalog = open();
  const table = await catalog.create(orders, creation);
  const { table: next } = (await commitSnapshot(catalog, table, 1n)) as { table: Table };
  const text = (length: number): string => `character varying(${length})`;
  expect(await columns('iceberg_tables')).toEqual([
    ['catalog_name', text(255), true, true],
    ['table_namespace', text(255), true, true],
    ['table_name', text(255), true, true],
    ['metadata_location', text(1000), false, false],
    ['previous_metadata_location', text(1000), false, false],
    ['iceberg_type', text(5), false, false],
  ]);
  expect(await columns('iceberg_namespace_properties')).toEqual([
    ['catalog_name', text(255), true, true],
    ['namespace', text(255), true, true],
    ['property_key', text(255), true, true],
    ['property_value', text(1000), false, false],
  ]);
  expect(await sql('SELECT * FROM iceberg_tables')).toEqual([
    {
      catalog_name: 'lake',
      table_namespace: 'shop.eu',
      table_name: 'orders',
      metadata_location: next.metadataLocation,
      previous_metadata_location: table.metadataLocation,
      iceberg_type: 'TABLE',
    },
  ]);
  expect(await sql('SELECT * FROM iceberg_namespace_properties')).toEqual([
    { catalog_name: 'lake', namespace: 'shop.eu', property_key: 'exists', property_value: 'true' },
  ]);
});

/** The tables as older Java and PyIceberg made them, with one table in them. */
async function makeV0(): Promise<Table> {
  const table = await open().create(orders, creation);
  await sql('ALTER TABLE iceberg_tables DROP COLUMN iceberg_type');
  return table;
}

test('tables of the older layout are brought up to date once by many that open them', async () => {
  const table = await makeV0();
  const catalogs = Array.from({ length: 8 }, () => open());
  const loaded = await Promise.all(catalogs.map((catalog) => catalog.load(orders)));
  for (const each of loaded) expect(each).toEqual(table);
  expect((await commitSnapshot(catalogs[0]!, table, 1n)).type).toBe('applied');
  await catalogs[1]!.create({ ...orders, name: 'new' }, creation);
  expect((await columns('iceberg_tables')).at(-1)).toEqual([
    'iceberg_type',
    'character varying(5)',
    false,
    false,
  ]);
  expect(await sql('SELECT table_name, iceberg_type FROM iceberg_tables ORDER BY 1')).toEqual([
    { table_name: 'new', iceberg_type: 'TABLE' },
    { table_name: 'orders', iceberg_type: null },
  ]);
});

test('workers that all find an empty database make the tables once', async () => {
  const catalogs = Array.from({ length: 8 }, () => open());
  const made = await Promise.all(catalogs.map((catalog) => catalog.create(orders, creation)));
  for (const each of made) expect(each).toEqual(made[0]);
  const metadata = [...store.objects.keys()];
  expect(metadata).toEqual([made[0]!.metadataLocation]);
});

test('tables of other catalogs in the same database are not ours', async () => {
  const [lake, other] = [open(), open(url, 'other')];
  const ours = await lake.create(orders, creation);
  expect(await other.load(orders)).toBeUndefined();
  const theirs = await other.create(orders, creation);
  expect(theirs.metadata['table-uuid']).not.toBe(ours.metadata['table-uuid']);
  await commitSnapshot(lake, ours, 1n);
  expect(await other.load(orders)).toEqual(theirs);
});

test('a view is no table: it is not loaded, not committed to and not replaced', async () => {
  const catalog = open();
  const table = await catalog.create({ ...orders, name: 'other' }, creation);
  await sql('INSERT INTO iceberg_tables VALUES ($1, $2, $3, $4, NULL, $5)', [
    'lake',
    'shop.eu',
    'orders',
    table.metadataLocation,
    'VIEW',
  ]);
  expect(await catalog.load(orders)).toBeUndefined();
  expect((await commitSnapshot(catalog, { ...table, identifier: orders }, 1n)).type).toBe('rejected');
  await expect(catalog.create(orders, creation)).rejects.toThrow(FatalError);
  await expect(catalog.create(orders, creation)).rejects.toThrow(/there is a view of this name$/);
  const [row] = await sql("SELECT * FROM iceberg_tables WHERE table_name = 'orders'");
  expect(row).toMatchObject({ iceberg_type: 'VIEW', metadata_location: table.metadataLocation });
});

test('names need no quoting', async () => {
  const catalog = open(url, `it's "mine"`);
  const id = { namespace: ["o'brien", '%_'], name: 'größe; DROP TABLE iceberg_tables' };
  const table = await catalog.create(id, creation);
  expect(await catalog.load(id)).toEqual(table);
  expect(await catalog.load({ namespace: ["o'brien", 'xx'], name: id.name })).toBeUndefined();
});

test('eight processes race to make a table and to commit to it, and lose nothing', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'frazil-postgres-'));
  const warehouse = localLocation(folder);
  try {
    await makeV0();
    const catalog = postgresCatalog({ url, name: 'lake', warehouse }, { ...ports, store: new LocalStore() });
    opened.push(catalog);
    await raceOfProcesses(catalog, url, warehouse, 8, 15);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
});

describe('rights', () => {
  /** A user with a password, and the URL with which it comes. */
  async function user(...grants: string[]): Promise<{ role: string; at: string }> {
    const role = `${name}_user`;
    await admin.query(`CREATE ROLE ${role} LOGIN PASSWORD 's3cret'`);
    for (const grant of grants) await sql(`${grant} TO ${role}`);
    return { role, at: url.replace('postgres@', `${role}:s3cret@`) };
  }

  /** The message of a failure that a person must mend, which shows no password. */
  async function refusal(doing: Promise<unknown>): Promise<string> {
    const error = await doing.then(
      () => new Error('it succeeded'),
      (thrown: Error) => thrown,
    );
    expect(error).toBeInstanceOf(FatalError);
    expect(error.message).not.toContain('s3cret');
    return error.message;
  }

  test('a user who may use the tables, but not make any, lands in them', async () => {
    const table = await open().create(orders, creation);
    const grants = ['iceberg_tables', 'iceberg_namespace_properties'];
    const { at } = await user(...grants.map((each) => `GRANT SELECT, INSERT, UPDATE ON ${each}`));
    const catalog = open(at);
    expect(await catalog.load(orders)).toEqual(table);
    expect((await commitSnapshot(catalog, table, 1n)).type).toBe('applied');
    await catalog.create({ ...orders, name: 'new' }, creation);
  });

  test('where the tables are missing, or old, and may not be made, it says who must do what', async () => {
    const { role, at } = await user();
    expect(await refusal(open(at).load(orders))).toMatch(
      /^loading table shop.eu.orders in catalog 127.0.0.1:\d+\/lake\d+: its tables cannot be made: permission denied for schema public; grant CREATE on the schema, or let somebody who has it run this once$/,
    );
    await makeV0();
    await sql(`GRANT SELECT, INSERT, UPDATE ON iceberg_tables, iceberg_namespace_properties TO ${role}`);
    expect(await refusal(open(at).load(orders))).toMatch(
      /its tables cannot be upgraded: must be owner of table iceberg_tables; let their owner run: ALTER TABLE iceberg_tables ADD COLUMN iceberg_type VARCHAR\(5\)$/,
    );
  });

  test('a user who may only read loads tables, and is told what commits need', async () => {
    const table = await open().create(orders, creation);
    const { role, at } = await user('GRANT SELECT ON iceberg_tables');
    const catalog = open(at);
    expect(await catalog.load(orders)).toEqual(table);
    expect(await refusal(commitSnapshot(catalog, table, 1n))).toMatch(
      `permission denied for table iceberg_tables: grant ${role} SELECT, INSERT and UPDATE on`,
    );
    expect((await open().load(orders))!).toEqual(table);
  });

  test('a wrong password, an unknown user and an unknown database are told apart', async () => {
    const { at } = await user();
    const wrong = at.replace('s3cret', 'wr0ng-s3cret');
    expect(await refusal(open(wrong).load(orders))).toMatch(
      /password authentication failed for user "lake\d+_user": correct user and password in catalog.url$/,
    );
    const nobody = url.replace('postgres@', 'nobody:s3cret@');
    expect(await refusal(open(nobody).load(orders))).toMatch(/correct user and password in catalog.url$/);
    const silent = at.replace(':s3cret', '');
    expect(await refusal(open(silent).load(orders))).toMatch(
      /the server asks for a password: write it into catalog.url$/,
    );
    const missing = `${server}/missing`;
    expect(await refusal(open(missing).load(orders))).toMatch(
      /database "missing" does not exist: make the database, or correct its name in catalog.url$/,
    );
  });

  test('a server that is read-only, as a standby is, refuses commits for good', async () => {
    const table = await open().create(orders, creation);
    await admin.query(`ALTER DATABASE ${name} SET default_transaction_read_only = on`);
    const catalog = open();
    expect(await catalog.load(orders)).toEqual(table);
    expect(await refusal(commitSnapshot(catalog, table, 1n))).toMatch(
      /read-only transaction: catalog.url must name a server and a user that may write$/,
    );
  });
});

test.each([
  [
    'text that is no URL',
    'host=127.0.0.1 password=s3cret',
    /expected postgres:\/\/user:password@host\/database$/,
  ],
  ['a port that is none', 'postgres://me:s3cret@host:99999/lake', /catalog.url cannot be used: Invalid URL$/],
  [
    'a mode that may end without TLS',
    'postgres://me:s3cret@host/lake?sslmode=prefer',
    /sslmode=prefer is not supported: write disable, require, verify-ca, verify-full$/,
  ],
  [
    'a mode without what it needs',
    'postgres://me:s3cret@host/lake?sslmode=verify-ca',
    /needs sslrootcert=FILE/,
  ],
  [
    'a file that is not there',
    'postgres://me:s3cret@host/lake?sslmode=verify-ca&sslrootcert=/missing.pem',
    /cannot be used: ENOENT: no such file or directory, open '\/missing.pem'$/,
  ],
])('%s is refused before anything is tried, and no password is shown', (_what, at, message) => {
  const opening = (): unknown => postgresPointers(at, 'lake');
  expect(opening).toThrow(FatalError);
  expect(opening).toThrow(message);
  expect(opening).not.toThrow(/s3cret/);
});

test.each(['require', 'verify-full'])('a server without TLS is refused with sslmode=%s', async (mode) => {
  await expect(open(`${url}?sslmode=${mode}`).load(orders)).rejects.toThrow(
    /The server does not support SSL connections: use another server, or sslmode=disable in catalog.url$/,
  );
});

test('a row that is locked too long makes a commit that is certainly not applied', async () => {
  const table = await open().create(orders, creation);
  // What the URL says goes before what we say.
  const catalog = open(`${url}?statement_timeout=100`);
  await catalog.load(orders);
  const holder = new Client({ connectionString: url });
  await holder.connect();
  await holder.query('BEGIN');
  await holder.query('SELECT 1 FROM iceberg_tables FOR UPDATE');
  const outcome = await commitSnapshot(catalog, table, 1n);
  await holder.end();
  expect(outcome).toMatchObject({ type: 'rejected', reason: expect.stringContaining('statement timeout') });
  expect(store.objects.size).toBe(1); // the rejected metadata is gone
  expect((await commitSnapshot(catalog, table, 1n)).type).toBe('applied');
});

describe('connections that end', () => {
  let proxy: TcpProxy;
  let through = '';
  const update = 'UPDATE iceberg_tables';
  beforeEach(async () => {
    const { host } = new URL(url);
    proxy = await TcpProxy.start({ target: `tcp://${host}` });
    opened.push(proxy);
    through = url.replace(host, `127.0.0.1:${proxy.port}`);
  });

  /** Loads the table until it can be loaded: a connection that is dead costs one attempt. */
  const reload = async (catalog: MetastoreCatalog): Promise<Table> =>
    (await catalog.load(orders).catch(() => catalog.load(orders)))!;

  test.each(['after', 'within'] as const)(
    '%s a commit was done, without its answer: its outcome is unknown, and it is found applied',
    async (when) => {
      const catalog = open(through);
      const table = await catalog.create(orders, creation);
      proxy.faults.set({ body: update, fault: { type: 'cut', when } });
      const outcome = await commitSnapshot(catalog, table, 1n);
      expect(outcome).toMatchObject({
        type: 'unknown',
        reason: expect.stringContaining('Connection terminated unexpectedly'),
      });
      proxy.faults.set();
      const now = await reload(catalog);
      expect(now.metadata['current-snapshot-id']).toBe(1n);
      // What it named was not deleted.
      expect(store.objects.has(now.metadataLocation)).toBe(true);
      expect((await commitSnapshot(catalog, now, 2n)).type).toBe('applied');
    },
  );

  test('before a commit that the server gets only later: its outcome is unknown, and what is there then is whole', async () => {
    const catalog = open(through);
    const table = await catalog.create(orders, creation);
    proxy.faults.set({ body: update, fault: { type: 'late' } });
    expect((await commitSnapshot(catalog, table, 1n)).type).toBe('unknown');
    proxy.faults.set();
    expect((await reload(catalog)).metadata['current-snapshot-id']).toBeNull();
    await proxy.release();
    const now = await reload(catalog);
    expect(now.metadata['current-snapshot-id']).toBe(1n);
    expect((await commitSnapshot(catalog, table, 2n)).type).toBe('rejected');
  });

  test('as the server shuts down, whatever it had done: the outcome of a commit is unknown', async () => {
    const catalog = open(through);
    const table = await catalog.create(orders, creation);
    proxy.faults.set({ body: update, fault: { type: 'sqlstate', code: '57P01', passed: true } });
    expect((await commitSnapshot(catalog, table, 1n)).type).toBe('unknown');
    proxy.faults.set();
    expect((await reload(catalog)).metadata['current-snapshot-id']).toBe(1n);
  });

  test('no answer to a commit within the bound: its outcome is unknown, and the next goes through', async () => {
    const catalog = open(`${through}?query_timeout=300`);
    const table = await catalog.create(orders, creation);
    proxy.faults.set({ body: update, fault: { type: 'silence' } });
    const outcome = await commitSnapshot(catalog, table, 1n);
    expect(outcome).toMatchObject({ type: 'unknown', reason: expect.stringContaining('Query read timeout') });
    proxy.faults.set();
    expect((await reload(catalog)).metadata['current-snapshot-id']).toBe(1n);
  });

  test('ended by the server while they are idle, as at a fail-over: the next operation makes another', async () => {
    const catalog = open();
    const table = await catalog.create(orders, creation);
    await admin.query('SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1', [name]);
    expect(await reload(catalog)).toEqual(table);
  });

  test('that cannot be made are tried again, and a commit for which there is none is certainly not applied', async () => {
    const catalog = open(through);
    const table = await catalog.create(orders, creation);
    await proxy.close();
    opened.splice(opened.indexOf(proxy), 1);
    // The idle connection may not have been seen to end: then nobody can tell.
    await commitSnapshot(catalog, table, 1n);
    const outcome = await commitSnapshot(catalog, table, 2n);
    expect(outcome).toMatchObject({ type: 'rejected', reason: expect.stringContaining('ECONNREFUSED') });
    await expect(catalog.load(orders)).rejects.toThrow(TransientError);
  });
});
