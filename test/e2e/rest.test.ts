import { afterAll, afterEach, beforeAll, expect, inject, test, vi } from 'vitest';
import { Lake } from '../tools/frazil.ts';
import { java } from '../tools/java.ts';
import { Localstack } from '../tools/localstack.ts';
import { countOffsets, everyOffsetOnce } from '../tools/offsets.ts';
import { orders, ordersConfig } from '../tools/pipeline.ts';
import { python } from '../tools/python.ts';
import { nessieServer, type RestServer, s3Properties, seaweedServer } from '../tools/rest-servers.ts';

/** The program with REST catalogs, its tables in S3. */

const parts = { brokers: inject('brokers'), registry: inject('registry') };
const table = 'shop.orders';
const stack = await Localstack.start(['seaweedfs']);
const endpoint = stack.env['FRAZIL_SEAWEEDFS_S3']!;
const key = stack.env['FRAZIL_SEAWEEDFS_ACCESS_KEY']!;
const secret = stack.env['FRAZIL_SEAWEEDFS_SECRET_KEY']!;
const onS3 = (part: string): string[] =>
  Object.entries({ port: '0', endpoint, key, secret }).flatMap(([name, value]) => [
    `--${part}-${name}`,
    value,
  ]);
await stack.up(
  ...[...onS3('iceberg-rest'), '--iceberg-rest-warehouse', 's3://lake/rest', 'iceberg-rest'],
  ...[...onS3('nessie'), 'nessie'],
);

beforeAll(() => java.call('configure', { brokers: parts.brokers }));
beforeAll(() =>
  python.call('duckdb', {
    sql:
      `CREATE OR REPLACE SECRET (TYPE s3, KEY_ID '${key}', SECRET '${secret}', REGION 'us-east-1', ` +
      `ENDPOINT '${new URL(endpoint).host}', URL_STYLE 'path', USE_SSL false)`,
  }),
);
afterEach(() => vi.unstubAllEnvs());
afterAll(async () => {
  await java.close();
  await python.close();
  await stack.stop();
});

function lakeOf(pipeline: string, catalog: object, others: RestServer['catalog']): Lake {
  const lake = new Lake(ordersConfig(pipeline, parts, { catalog, store: { type: 's3', endpoint } }));
  Object.assign(lake.pythonCatalog, others);
  return lake;
}

/** For catalogs that vend nothing. */
function withDefaultCredentials(): void {
  vi.stubEnv('AWS_ACCESS_KEY_ID', key);
  vi.stubEnv('AWS_SECRET_ACCESS_KEY', secret);
}

function sum(a: readonly number[], b: readonly number[]): number[] {
  return a.map((count, i) => count + b[i]!);
}

test('orders land in tables of SeaweedFS’s catalog, with OAuth2; PyIceberg and DuckDB read each once', async () => {
  withDefaultCredentials();
  const { settings, catalog } = seaweedServer(stack);
  const { uri, warehouse, auth } = settings;
  using lake = lakeOf('to-seaweedfs', { type: 'rest', uri, warehouse, auth }, catalog);
  const first = await orders('to-seaweedfs', parts, 5_000);
  await lake.catchUp();
  const second = await orders('to-seaweedfs', parts, 2_000, 2, 2);
  await lake.catchUp();
  expect(await countOffsets(lake, table)).toEqual(everyOffsetOnce(sum(first, second)));
  const report = JSON.parse(await lake.call('inspect', table, '--json'));
  expect(report.totals).toMatchObject({ rows: 7_000, snapshots: 2 });
});

test('the keys that a catalog vends open its tables for every thread; nobody else has any; Java reads them', async () => {
  vi.stubEnv('AWS_ACCESS_KEY_ID', undefined);
  vi.stubEnv('AWS_SECRET_ACCESS_KEY', undefined);
  vi.stubEnv('AWS_EC2_METADATA_DISABLED', 'true');
  const uri = stack.env['FRAZIL_ICEBERG_REST']!;
  const others = { ...s3Properties(stack.env), type: 'rest', uri };
  using lake = lakeOf('with-vended-keys', { type: 'rest', uri }, others);
  const acknowledged = await orders('with-vended-keys', parts, 5_000);
  await lake.catchUp();
  expect(await countOffsets(lake, table)).toEqual(everyOffsetOnce(acknowledged));
  const read = await java.call<{ count: string }>('readTable', { catalog: others, name: 'lake', table });
  expect(Number(read.count)).toBe(5_000);
  lake.configure(
    ordersConfig('without-keys', parts, {
      source: { brokers: parts.brokers, topics: ['with-vended-keys'] },
      tables: [{ table, topics: ['with-vended-keys'] }],
      catalog: { type: 'rest', uri, vendedCredentials: false },
      store: { type: 's3', endpoint },
    }),
  );
  const run = lake.start('run', '--until-caught-up');
  expect(await run.exit).toBe(1);
  expect(run.stderr).toMatch(/credentials/i);
});

test('Nessie shows only the newest snapshot: after another writer’s the ledger is still known', async () => {
  withDefaultCredentials();
  const { settings, catalog } = nessieServer(stack);
  const { uri, warehouse } = settings;
  using lake = lakeOf('to-nessie', { type: 'rest', uri, warehouse }, catalog);
  const first = await orders('to-nessie', parts, 3_000);
  await lake.catchUp();
  await java.call('rewriteDataFiles', { catalog, name: 'lake', table });
  const second = await orders('to-nessie', parts, 1_000, 2, 2);
  await lake.catchUp();
  expect(await countOffsets(lake, table)).toEqual(everyOffsetOnce(sum(first, second)));
});
