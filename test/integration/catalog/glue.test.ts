import {
  DeleteTableCommand,
  GetTableCommand,
  GlueClient,
  type Table as GlueTable,
  UpdateTableCommand,
} from '@aws-sdk/client-glue';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { systemClock } from '../../../src/base/clock.ts';
import { systemRandom } from '../../../src/base/random.ts';
import { formatIdentifier, type Table, type TableIdentifier } from '../../../src/catalog/catalog.ts';
import { glueCatalog, gluePointers } from '../../../src/catalog/glue.ts';
import type { MetastoreCatalog } from '../../../src/catalog/metastore.ts';
import { newSpec } from '../../../src/iceberg/partition-by.ts';
import { MemoryStore } from '../../../src/storage/memory.ts';
import { S3Store } from '../../../src/storage/s3.ts';
import type { Store } from '../../../src/storage/store.ts';
import { append, writeDataFile } from '../../contract/appends.ts';
import { type CatalogUnderTest, creation, freshNamespace } from '../../contract/catalog-bench.ts';
import { javaSuite } from '../../contract/catalog-java-suite.ts';
import { catalogSuite } from '../../contract/catalog-suite.ts';
import { changeForeign, withColumn } from '../../contract/foreign.ts';
import { type Row, sorted } from '../../tools/canonical.ts';
import { java } from '../../tools/java.ts';
import { Localstack } from '../../tools/localstack.ts';
import { python } from '../../tools/python.ts';
import type { Repl } from '../../tools/repl.ts';

/** Glue and S3 of MiniStack; in what they differ from AWS is said in test/unit/catalog/glue-double.ts. */

const region = 'us-east-1';
const warehouse = 's3://lake/warehouse';

let stack: Localstack;
let endpoint = '';
let store: Store;
let glue: GlueClient;

beforeAll(async () => {
  // The tools have them from here, as the program has.
  vi.stubEnv('AWS_ACCESS_KEY_ID', 'test');
  vi.stubEnv('AWS_SECRET_ACCESS_KEY', 'test');
  stack = await Localstack.start(['ministack']);
  endpoint = stack.env['FRAZIL_AWS']!;
  store = new S3Store({ region, endpoint });
  glue = new GlueClient({ region, endpoint });
});
afterAll(async () => {
  glue?.destroy();
  await java.close();
  await python.close();
  await stack?.stop();
  vi.unstubAllEnvs();
});

const settings = (): Parameters<typeof glueCatalog>[0] => ({
  region,
  endpoint,
  warehouse,
  createDatabase: true,
  skipNameValidation: false,
});
const over = (files: Store): MetastoreCatalog =>
  glueCatalog(settings(), { clock: systemClock, random: systemRandom, store: files });

/** How a tool opens the catalog. */
function opened(tool: Repl): { name: string; catalog: Record<string, string> } {
  const shared = { type: 'glue', warehouse, 'glue.endpoint': endpoint, 's3.endpoint': endpoint };
  const own =
    tool === java
      ? { 'client.region': region, 'http-client.type': 'urlconnection', 's3.path-style-access': 'true' }
      : { 'glue.region': region, 's3.region': region };
  return { name: 'lake', catalog: { ...shared, ...own } };
}

async function open(files: Store): Promise<CatalogUnderTest> {
  const pointers = gluePointers(settings());
  return {
    catalog: over,
    store: files,
    namespace: () => freshNamespace(1),
    capabilities: { serverWritesMetadata: false, history: 'all', namespaceLevels: 1 },
    drop: async ({ namespace, name }) => {
      await glue.send(new DeleteTableCommand({ DatabaseName: namespace[0]!, Name: name }));
    },
    addColumn: (identifier, name) =>
      changeForeign(pointers, files, identifier, (metadata) => withColumn(metadata, name)),
    java: opened(java),
    close: () => pointers.close(),
  };
}

catalogSuite('Glue', () => open(new MemoryStore()));
javaSuite('Glue', () => open(store));

const readers: [string, Repl][] = [
  ['Java', java],
  ['PyIceberg', python],
];

const rowsFrom = (from: number, count: number): Row[] =>
  Array.from({ length: count }, (_, i) => ({ id: String(from + i), region: i % 2 ? 'eu' : 'us' }));

/** Appends rows of ours, all of one region in a file of its partition. */
async function appendRows(catalog: MetastoreCatalog, table: Table, rows: readonly Row[]): Promise<void> {
  const ports = { store, clock: systemClock, random: systemRandom };
  const files = [];
  for (const each of ['eu', 'us'])
    files.push(
      await writeDataFile(
        table,
        rows.filter((row) => row['region'] === each),
        [each],
        ports,
      ),
    );
  await append(catalog, table, files, ports);
}

async function checkRows(identifier: TableIdentifier, expected: readonly Row[]): Promise<void> {
  for (const [reader, tool] of readers) {
    const at = { ...opened(tool), table: formatIdentifier(identifier) };
    const { rows } = await tool.call<{ rows: Row[] }>('readTable', at);
    expect(sorted(rows), reader).toEqual(sorted(expected));
  }
}

async function inGlue({ namespace, name }: TableIdentifier): Promise<GlueTable> {
  const { Table: table } = await glue.send(new GetTableCommand({ DatabaseName: namespace[0]!, Name: name }));
  return table!;
}

/** All that Glue says of a table but for what every commit changes. */
function lasting(table: GlueTable): object {
  const { VersionId: _version, UpdateTime: _time, Parameters, ...rest } = table;
  const { metadata_location: _at, previous_metadata_location: _before, ...parameters } = Parameters!;
  return { ...rest, parameters };
}

const json = {
  type: 'struct',
  'schema-id': 0,
  fields: [
    { id: 1, name: 'id', required: true, type: 'long' },
    { id: 2, name: 'region', required: false, type: 'string', doc: 'where it was ordered' },
  ],
};
const byRegion = {
  'spec-id': 0,
  fields: [{ 'source-id': 2, 'field-id': 1000, name: 'region', transform: 'identity' }],
};

test('a table of ours is read and appended to by Java and PyIceberg, and the database is one to them', async () => {
  const orders = { namespace: freshNamespace(1), name: 'orders' };
  const catalog = over(store);
  const table = await catalog.create(orders, {
    ...creation,
    spec: (schema) => newSpec(schema, ['region']),
  });
  await appendRows(catalog, table, rowsFrom(0, 4));
  await checkRows(orders, rowsFrom(0, 4));
  for (const [i, [, tool]] of readers.entries()) {
    const at = { ...opened(tool), table: formatIdentifier(orders) };
    await tool.call('append', { ...at, rows: rowsFrom(4 + 2 * i, 2) });
    await tool.call('createTable', { ...at, table: `${orders.namespace}.other${i}`, schema: json });
    const other = (await catalog.load({ ...orders, name: `other${i}` }))!;
    expect(other.metadata.location).toBe(`${warehouse}/${orders.namespace}.db/other${i}`);
  }
  await appendRows(catalog, table, rowsFrom(8, 2));
  await checkRows(orders, rowsFrom(0, 10));
  await catalog.close();
});

describe.each(readers)('a table made by %s', (_name, tool) => {
  test('is appended to, and nothing else that Glue has of it changes', async () => {
    const orders = { namespace: freshNamespace(1), name: 'orders' };
    const at = { ...opened(tool), table: formatIdentifier(orders) };
    await tool.call('createTable', { ...at, schema: json, spec: byRegion, properties: { theirs: '1' } });
    await tool.call('append', { ...at, rows: rowsFrom(0, 2) });
    const made = await inGlue(orders);
    const theirs = { ...made.Parameters, classification: 'parquet', 'crawler.said': '{"a": "ö"}' };
    await glue.send(
      new UpdateTableCommand({
        DatabaseName: orders.namespace[0]!,
        TableInput: {
          Name: 'orders',
          TableType: made.TableType,
          Owner: 'etl',
          StorageDescriptor: made.StorageDescriptor,
          Parameters: theirs,
        },
      }),
    );
    const before = await inGlue(orders);
    const catalog = over(store);
    const table = (await catalog.load(orders))!;
    await appendRows(catalog, table, rowsFrom(2, 4));
    const after = await inGlue(orders);
    expect(lasting(after)).toEqual(lasting(before));
    expect(after.Parameters).toEqual({
      ...theirs,
      metadata_location: (await catalog.load(orders))!.metadataLocation,
      previous_metadata_location: table.metadataLocation,
    });
    expect(Number(after.VersionId)).toBe(Number(before.VersionId) + 1);
    await tool.call('append', { ...at, rows: rowsFrom(6, 2) });
    await checkRows(orders, rowsFrom(0, 8));
    await catalog.close();
  });
});
