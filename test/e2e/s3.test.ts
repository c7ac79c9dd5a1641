import { afterAll, afterEach, beforeAll, beforeEach, expect, inject, test, vi } from 'vitest';
import { Lake } from '../tools/frazil.ts';
import { java } from '../tools/java.ts';
import { Localstack } from '../tools/localstack.ts';
import { countOffsets, everyOffsetOnce } from '../tools/offsets.ts';
import { groupOffsets, orders, ordersConfig } from '../tools/pipeline.ts';
import { python } from '../tools/python.ts';

/** The program with its tables in S3: the catalog is a file, everything else is in the bucket. */

const parts = { brokers: inject('brokers'), registry: inject('registry') };
const table = 'shop.orders';
const stack = await Localstack.start(['seaweedfs']);
const endpoint = stack.env['FRAZIL_SEAWEEDFS_S3']!;
const key = stack.env['FRAZIL_SEAWEEDFS_ACCESS_KEY']!;
const secret = stack.env['FRAZIL_SEAWEEDFS_SECRET_KEY']!;
const warehouse = `s3://${stack.env['FRAZIL_SEAWEEDFS_BUCKET']}/warehouse`;

beforeAll(() => java.call('configure', { brokers: parts.brokers }));
beforeEach(() => {
  vi.stubEnv('AWS_ACCESS_KEY_ID', key);
  vi.stubEnv('AWS_SECRET_ACCESS_KEY', secret);
});
afterEach(() => vi.unstubAllEnvs());
afterAll(async () => {
  await java.close();
  await python.close();
  await stack.stop();
});

function lakeOf(pipeline: string): Lake {
  const catalog = { type: 'sqlite', path: './lake/catalog.db', name: 'lake', warehouse };
  const lake = new Lake(ordersConfig(pipeline, parts, { catalog, store: { type: 's3', endpoint } }));
  Object.assign(lake.pythonCatalog, {
    's3.endpoint': endpoint,
    's3.access-key-id': key,
    's3.secret-access-key': secret,
    's3.region': 'us-east-1',
  });
  return lake;
}

test('orders land in S3, where PyIceberg and DuckDB read each of them once', async () => {
  const acknowledged = await orders('to-s3', parts, 20_000);
  using lake = lakeOf('to-s3');
  await lake.catchUp();
  const more = await orders('to-s3', parts, 5_000, 2, 2);
  await lake.catchUp();
  const all = acknowledged.map((count, partition) => count + more[partition]!);

  await python.call('duckdb', {
    sql:
      `CREATE OR REPLACE SECRET (TYPE s3, KEY_ID '${key}', SECRET '${secret}', REGION 'us-east-1', ` +
      `ENDPOINT '${new URL(endpoint).host}', URL_STYLE 'path', USE_SSL false)`,
  });
  expect(await countOffsets(lake, table)).toEqual(everyOffsetOnce(all));
  const read = await python.call<{ count: string }>('readTable', {
    catalog: lake.pythonCatalog,
    name: 'lake',
    table,
  });
  expect(Number(read.count)).toBe(25_000);
  expect(await groupOffsets('to-s3')).toEqual(all);
  const report = JSON.parse(await lake.call('inspect', table, '--json', '--files'));
  expect(report.totals).toMatchObject({ rows: 25_000, snapshots: 2 });
  expect(report.files[0].path).toMatch(`${warehouse}/`);
});

test('credentials that are refused end the run with what to change, and no secret is told', async () => {
  await orders('refused-by-s3', parts, 10);
  vi.stubEnv('AWS_SECRET_ACCESS_KEY', 'a-wrong-secret');
  using lake = lakeOf('refused-by-s3');
  const run = lake.start('run', '--until-caught-up');
  expect(await run.exit).toBe(1);
  expect(run.stderr).toContain(
    'the credentials are not accepted: check access key, secret and session token',
  );
  expect(run.stderr).not.toContain('a-wrong-secret');
});
