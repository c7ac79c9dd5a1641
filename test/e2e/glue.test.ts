import { afterAll, beforeAll, expect, inject, test, vi } from 'vitest';
import type { Row } from '../tools/canonical.ts';
import { Lake } from '../tools/frazil.ts';
import { java } from '../tools/java.ts';
import { Localstack } from '../tools/localstack.ts';
import { orders, ordersConfig } from '../tools/pipeline.ts';

/** The program with tables in Glue and files in S3, as on AWS. */

const parts = { brokers: inject('brokers'), registry: inject('registry') };
const region = 'us-east-1';
const warehouse = 's3://lake/warehouse';
let stack: Localstack;
let endpoint = '';

beforeAll(async () => {
  // For the program and for the tools: credentials are in no configuration.
  vi.stubEnv('AWS_ACCESS_KEY_ID', 'test');
  vi.stubEnv('AWS_SECRET_ACCESS_KEY', 'test');
  stack = await Localstack.start(['ministack']);
  endpoint = stack.env['FRAZIL_AWS']!;
  await java.call('configure', { brokers: parts.brokers });
});
afterAll(async () => {
  await java.close();
  await stack?.stop();
  vi.unstubAllEnvs();
});

/** The rows of shop.orders as Java's GlueCatalog reads them, by partition. */
async function landed(): Promise<string[][]> {
  const { rows } = await java.call<{ rows: Row[] }>('readTable', {
    name: 'lake',
    table: 'shop.orders',
    catalog: {
      type: 'glue',
      warehouse,
      'glue.endpoint': endpoint,
      's3.endpoint': endpoint,
      's3.path-style-access': 'true',
      'client.region': region,
      'http-client.type': 'urlconnection',
    },
  });
  const offsets: string[][] = [[], []];
  for (const row of rows) offsets[Number(row['_kafka_partition'])]!.push(String(row['_kafka_offset']));
  return offsets.map((each) => each.sort((a, b) => Number(a) - Number(b)));
}

const upTo = (count: number): string[] => Array.from({ length: count }, (_, offset) => String(offset));

test('records land in a table of Glue that the program has made, exactly once over two runs', async () => {
  using lake = new Lake(
    ordersConfig('glue', parts, {
      catalog: { type: 'glue', warehouse, region, createDatabase: true, endpoint },
      store: { type: 's3', endpoint, region },
    }),
  );
  const first = await orders('glue', parts, 2_000);
  await lake.catchUp();
  expect(await landed()).toEqual(first.map(upTo));
  const second = await orders('glue', parts, 500, 2, 2);
  await lake.catchUp();
  expect(await landed()).toEqual(first.map((count, i) => upTo(count + second[i]!)));
});
