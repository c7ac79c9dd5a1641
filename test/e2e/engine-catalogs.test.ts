import { afterAll, afterEach, beforeAll, expect, inject, test, vi } from 'vitest';
import { systemClock } from '../../src/base/clock.ts';
import { systemRandom } from '../../src/base/random.ts';
import { loadConfig } from '../../src/config/config.ts';
import { unpartitioned } from '../../src/iceberg/partition-spec.ts';
import { openCatalog } from '../../src/worker/open.ts';
import { append, writeDataFile } from '../contract/appends.ts';
import { asPyIcebergReads, asSparkReads, everyTypeFiles, sparkColumns } from '../interop/samples.ts';
import { type Row, sorted } from '../tools/canonical.ts';
import { type EngineCatalog, icebergOnS3, sparkAt, trinoAt } from '../tools/engines.ts';
import { Lake } from '../tools/frazil.ts';
import { java } from '../tools/java.ts';
import { Localstack } from '../tools/localstack.ts';
import { python } from '../tools/python.ts';
import { s3Properties, seaweedServer } from '../tools/rest-servers.ts';
import { spark } from '../tools/spark.ts';
import { everyType } from '../unit/arrow/rows.ts';

/** What the program lands by way of Glue, REST and PostgreSQL, read by others by way of the same catalog. */

const brokers = inject('brokers');
let stack: Localstack;

beforeAll(async () => {
  stack = await Localstack.start(['ministack', 'seaweedfs', 'postgres']);
});
afterEach(async () => {
  // They have the credentials of their first catalog.
  for (const tool of [spark, python, java]) await tool.close();
  vi.unstubAllEnvs();
});
afterAll(async () => {
  await stack.stop();
});

interface Place {
  /** The program's settings. */
  settings: (lake: Lake) => object;
  engines: (lake: Lake) => EngineCatalog;
  /** For Java's library, and for PyIceberg's. */
  libraries: (lake: Lake) => [Record<string, string>, Record<string, string>];
  /** Access key and secret of the store. */
  key?: () => [string, string];
}

const env = (name: string): string => stack.env[`FRAZIL_${name}`]!;
const seaweedKey = (): [string, string] => [env('SEAWEEDFS_ACCESS_KEY'), env('SEAWEEDFS_SECRET_KEY')];

const glue: Place = {
  settings: () => ({
    catalog: {
      type: 'glue',
      region: 'us-east-1',
      warehouse: 's3://lake/warehouse',
      endpoint: env('AWS'),
      createDatabase: true,
    },
    store: { type: 's3', region: 'us-east-1', endpoint: env('AWS') },
  }),
  key: () => ['test', 'test'],
  libraries: () => {
    const shared = { type: 'glue', warehouse: 's3://lake/warehouse', 'glue.endpoint': env('AWS') };
    const s3 = { ...s3Properties(stack.env), 's3.endpoint': env('AWS') };
    const keys = { 's3.access-key-id': 'test', 's3.secret-access-key': 'test' };
    return [
      { ...shared, ...s3, ...keys },
      { ...shared, ...keys, 'glue.region': 'us-east-1', 's3.region': 'us-east-1', 's3.endpoint': env('AWS') },
    ];
  },
  engines: () => {
    const s3 = icebergOnS3(env('AWS'), ['test', 'test']);
    return {
      name: 'lake',
      trino: {
        'iceberg.catalog.type': 'glue',
        'hive.metastore.glue.region': 'us-east-1',
        'hive.metastore.glue.endpoint-url': env('AWS'),
        'hive.metastore.glue.aws-access-key': 'test',
        'hive.metastore.glue.aws-secret-key': 'test',
        'hive.metastore.glue.default-warehouse-dir': 's3://lake/warehouse',
        ...s3.trino,
      },
      spark: { type: 'glue', warehouse: 's3://lake/warehouse', 'glue.endpoint': env('AWS'), ...s3.spark },
    };
  },
};

const rest: Place = {
  settings: () => ({
    catalog: {
      type: 'rest',
      uri: env('SEAWEEDFS_REST'),
      warehouse: env('SEAWEEDFS_WAREHOUSE'),
      auth: { type: 'oauth2', credential: seaweedKey().join(':'), scope: 'PRINCIPAL_ROLE:ALL' },
    },
    store: { type: 's3', region: 'us-east-1', endpoint: env('SEAWEEDFS_S3') },
  }),
  key: seaweedKey,
  libraries: () => [{ ...seaweedServer(stack).catalog }, { ...seaweedServer(stack).catalog }],
  engines: () => {
    const s3 = icebergOnS3(env('SEAWEEDFS_S3'), seaweedKey());
    const tokens = `${env('SEAWEEDFS_REST')}/v1/oauth/tokens`;
    return {
      name: 'lake',
      trino: {
        'iceberg.catalog.type': 'rest',
        'iceberg.rest-catalog.uri': env('SEAWEEDFS_REST'),
        'iceberg.rest-catalog.warehouse': env('SEAWEEDFS_WAREHOUSE'),
        'iceberg.rest-catalog.security': 'OAUTH2',
        'iceberg.rest-catalog.oauth2.credential': seaweedKey().join(':'),
        'iceberg.rest-catalog.oauth2.server-uri': tokens,
        'iceberg.rest-catalog.oauth2.scope': 'PRINCIPAL_ROLE:ALL',
        ...s3.trino,
      },
      spark: {
        type: 'rest',
        uri: env('SEAWEEDFS_REST'),
        warehouse: env('SEAWEEDFS_WAREHOUSE'),
        credential: seaweedKey().join(':'),
        'oauth2-server-uri': tokens,
        scope: 'PRINCIPAL_ROLE:ALL',
        ...s3.spark,
      },
    };
  },
};

const postgres: Place = {
  settings: () => ({
    catalog: { type: 'postgres', url: env('POSTGRES'), name: 'lake', warehouse: './lake' },
  }),
  libraries: (lake) => {
    const { host } = new URL(env('POSTGRES'));
    const warehouse = `file://${lake.folder}/lake`;
    const uri = `jdbc:postgresql://${host}/postgres?user=postgres`;
    return [
      { type: 'jdbc', uri, warehouse, 'jdbc.schema-version': 'V1' },
      { type: 'sql', uri: `postgresql+psycopg2://postgres@${host}/postgres`, warehouse },
    ];
  },
  engines: (lake) => {
    const uri = `jdbc:postgresql://${new URL(env('POSTGRES')).host}/postgres?user=postgres`;
    const warehouse = `file://${lake.folder}/lake`;
    return {
      name: 'lake',
      trino: {
        'iceberg.catalog.type': 'jdbc',
        'iceberg.jdbc-catalog.driver-class': 'org.postgresql.Driver',
        'iceberg.jdbc-catalog.connection-url': uri,
        'iceberg.jdbc-catalog.catalog-name': 'lake',
        'iceberg.jdbc-catalog.default-warehouse-dir': warehouse,
        'iceberg.jdbc-catalog.schema-version': 'V1',
        'fs.native-local.enabled': 'true',
        'local.location': '/',
      },
      spark: { type: 'jdbc', uri, warehouse, 'jdbc.schema-version': 'V1' },
    };
  },
};

const values: Row[] = [
  {
    n: '1',
    region: 'eu west',
    at: '2026-01-01T00:00:00.000001Z',
    amount: '1.50',
    raw: 'AP+A',
    tags: ['a', null],
  },
  { n: '2', region: 'us', at: '2026-02-02T00:00:00Z', amount: '-0.01', raw: '', tags: [] },
  { n: '3', region: null, at: null, amount: null, raw: null, tags: null },
];
const rows: Row[] = [
  { ...values[0]!, at: '1767225600000001', raw: '00ff80' },
  { ...values[1]!, at: '1769990400000000', raw: '' },
  values[2]!,
];

/** A table of every type in the configured catalog, its rows in a file for each list, and all of them. */
async function landEveryType(
  lake: Lake,
  name: string,
  rowOf: (row: Row) => Row = (row) => row,
): Promise<Row[]> {
  const { catalog, store } = await openCatalog(loadConfig(lake.configFile));
  const ports = { store, clock: systemClock, random: systemRandom };
  const fields = rowOf === asSparkReads ? sparkColumns : everyType.fields;
  const creation = { fields, spec: () => unpartitioned, properties: {} };
  let table = await catalog.create({ namespace: ['shop'], name }, creation);
  const files = everyTypeFiles.map((rows) => rows.map(rowOf));
  for (const rows of files)
    table = await append(catalog, table, [await writeDataFile(table, rows, [], ports)], ports);
  await catalog.close();
  return sorted(files.flat());
}

/** Every value of every type, as each reader finds it. */
async function checkEveryType(lake: Lake, place: Place): Promise<void> {
  const all = await landEveryType(lake, 'every_type');
  const ofSpark = await landEveryType(lake, 'every_type_but_time', asSparkReads);
  const catalog = place.engines(lake);
  const trino = await trinoAt(catalog, inject('sharedParts'));
  expect(sorted(await trino.query(`SELECT * FROM ${trino.table('shop', 'every_type')}`)), 'Trino').toEqual(
    all,
  );
  const { query, table } = sparkAt(catalog);
  expect(sorted(await query(`SELECT * FROM ${table('shop', 'every_type_but_time')}`)), 'Spark').toEqual(
    ofSpark,
  );
  const [ofJava, ofPython] = place.libraries(lake);
  const at = { name: catalog.name, table: 'shop.every_type' };
  const byJava = await java.call<{ rows: Row[] }>('readTable', { ...at, catalog: ofJava });
  expect(sorted(byJava.rows), 'Java').toEqual(all);
  const byPython = await python.call<{ rows: Row[] }>('readTable', { ...at, catalog: ofPython });
  expect(sorted(byPython.rows), 'PyIceberg').toEqual(sorted(asPyIcebergReads(all)));
  const { location } = await python.call<{ location: string }>('loadMetadata', { ...at, catalog: ofPython });
  if (place.key) await openS3ForDuckdb(ofPython);
  const sql = 'SELECT * FROM t';
  const byDuckdb = await python.call<{ rows: Row[] }>('duckdb', { sql, metadata: location });
  expect(sorted(byDuckdb.rows), 'DuckDB').toEqual(all);
}

async function openS3ForDuckdb(catalog: Record<string, string>): Promise<void> {
  const { host } = new URL(catalog['s3.endpoint']!);
  await python.call('duckdb', {
    sql:
      `CREATE OR REPLACE SECRET (TYPE s3, KEY_ID '${catalog['s3.access-key-id']}', ` +
      `SECRET '${catalog['s3.secret-access-key']}', REGION 'us-east-1', ENDPOINT '${host}', URL_STYLE 'path', USE_SSL false)`,
  });
}

test.each([
  ['Glue', glue],
  ['SeaweedFS’s REST catalog', rest],
  ['PostgreSQL', postgres],
])('what lands by way of %s is read by Trino, Spark, Java, PyIceberg and DuckDB', async (name, place) => {
  const topic = `by-way-of-${name.replace(/\W/g, '')}`;
  const [key, secret] = place.key?.() ?? ['', ''];
  vi.stubEnv('AWS_ACCESS_KEY_ID', key);
  vi.stubEnv('AWS_SECRET_ACCESS_KEY', secret);
  vi.stubEnv('AWS_REGION', 'us-east-1');
  await java.call('configure', { brokers });
  await java.call('createTopic', { topic });
  using lake = new Lake({});
  lake.configure({
    pipeline: topic,
    source: { brokers, topics: [topic] },
    decode: { value: { format: 'json' } },
    tables: [
      {
        table: 'shop.things',
        topics: [topic],
        create: true,
        metadataColumns: false,
        partitionBy: ['region', 'day(at)'],
        schema: [
          { name: 'n', type: 'long', required: true },
          { name: 'region', type: 'string' },
          { name: 'at', type: 'timestamptz' },
          { name: 'amount', type: 'decimal(38,2)' },
          { name: 'raw', type: 'binary' },
          { name: 'tags', type: 'list', element: 'string' },
        ],
      },
    ],
    lanes: 1,
    ...place.settings(lake),
  });
  for (const some of [values.slice(0, 2), values.slice(2)]) {
    const records = some.map((row) => ({
      key: null,
      value: Buffer.from(JSON.stringify({ ...row, n: Number(row['n']) })).toString('base64'),
    }));
    await java.call('produce', { topic, partition: 0, records });
    expect(await lake.catchUp()).toMatchObject({ rows: some.length });
  }
  const catalog = place.engines(lake);
  for (const engine of [await trinoAt(catalog, inject('sharedParts')), sparkAt(catalog)]) {
    const from = `FROM ${engine.table('shop', 'things')}`;
    expect(sorted(await engine.query(`SELECT * ${from}`)), engine.name).toEqual(sorted(rows));
    const condition = "at >= TIMESTAMP '2026-02-01 00:00:00 UTC'";
    expect(await engine.scan(`SELECT n ${from} WHERE ${condition}`), engine.name).toEqual({
      rows: [{ n: '2' }],
      files: 1,
    });
  }
  await checkEveryType(lake, place);
});
