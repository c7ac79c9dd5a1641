import { afterAll, afterEach, beforeAll, expect, inject, test, vi } from 'vitest';
import { type Row, sorted } from '../tools/canonical.ts';
import { type EngineCatalog, icebergOnS3, sparkAt, trinoAt } from '../tools/engines.ts';
import { Lake } from '../tools/frazil.ts';
import { java } from '../tools/java.ts';
import { Localstack } from '../tools/localstack.ts';
import { spark } from '../tools/spark.ts';

/** What the program lands by way of Glue, REST and PostgreSQL, read by Trino and Spark by way of the same catalog. */

const brokers = inject('brokers');
let stack: Localstack;

beforeAll(async () => {
  stack = await Localstack.start(['ministack', 'seaweedfs', 'postgres']);
  await java.call('configure', { brokers });
});
afterEach(async () => {
  // It has the credentials of its first catalog.
  await spark.close();
  vi.unstubAllEnvs();
});
afterAll(async () => {
  await java.close();
  await stack.stop();
});

interface Place {
  /** The program's settings. */
  settings: (lake: Lake) => object;
  engines: (lake: Lake) => EngineCatalog;
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

test.each([
  ['Glue', glue],
  ['SeaweedFS’s REST catalog', rest],
  ['PostgreSQL', postgres],
])('what lands by way of %s is read by Trino and Spark', async (name, place) => {
  const topic = `by-way-of-${name.replace(/\W/g, '')}`;
  const [key, secret] = place.key?.() ?? ['', ''];
  vi.stubEnv('AWS_ACCESS_KEY_ID', key);
  vi.stubEnv('AWS_SECRET_ACCESS_KEY', secret);
  vi.stubEnv('AWS_REGION', 'us-east-1');
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
});
