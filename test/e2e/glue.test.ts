import { afterAll, beforeAll, expect, inject, test, vi } from 'vitest';
import type { FaultRule } from '../../localstack/lib/faults.ts';
import { HttpProxy } from '../../localstack/lib/http-proxy.ts';
import { produceOrders } from '../../localstack/produce.ts';
import type { Row } from '../tools/canonical.ts';
import { Lake } from '../tools/frazil.ts';
import { java } from '../tools/java.ts';
import { Localstack } from '../tools/localstack.ts';
import { orders, ordersConfig, shortSessions } from '../tools/pipeline.ts';

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

/** `shop.orders` in Glue and S3 at `at`. */
function inGlue(at: string): object {
  return {
    catalog: { type: 'glue', warehouse, region, createDatabase: true, endpoint: at },
    store: { type: 's3', endpoint: at, region },
  };
}

/** The rows of shop.orders as Java's GlueCatalog reads them, by partition. */
async function landed(table = 'shop.orders'): Promise<string[][]> {
  const { rows } = await java.call<{ rows: Row[] }>('readTable', {
    name: 'lake',
    table,
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
  using lake = new Lake(ordersConfig('glue', parts, inGlue(endpoint)));
  const first = await orders('glue', parts, 2_000);
  await lake.catchUp();
  expect(await landed()).toEqual(first.map(upTo));
  const second = await orders('glue', parts, 500, 2, 2);
  await lake.catchUp();
  expect(await landed()).toEqual(first.map((count, i) => upTo(count + second[i]!)));
});

/** What goes wrong with every third request or so; nothing that a person would have to mend. */
const weather: readonly FaultRule[] = [
  ...rules({ headers: { 'x-amz-target': 'UpdateTable|CreateTable' } }, 'glue', 0.06),
  ...rules({ headers: { 'x-amz-target': 'Glue' } }, 'glue', 0.03),
  ...rules({ method: 'PUT|POST' }, 's3', 0.03),
  ...rules({ method: 'GET|HEAD' }, 's3', 0.03),
];

/** Each of these faults befalls this share of the requests. */
function rules(
  request: Omit<FaultRule, 'fault'>,
  service: 'glue' | 's3',
  probability: number,
): readonly FaultRule[] {
  const faults: FaultRule['fault'][] = [
    { type: 'cut', when: 'before' },
    { type: 'cut', when: 'after' },
    { type: 'cut', when: 'within' },
    { type: 'answer', status: 500, passed: true },
    { type: 'answer', status: 503, passed: false },
    { type: 'throttle', as: service },
    { type: 'again', ms: 300 },
    { type: 'late', ms: 300 },
    { type: 'delay', ms: 200 },
  ];
  return faults.map((fault) => ({ ...request, probability, fault }));
}

test('in a storm of lost, late, doubled and throttled requests, with a worker killed, each offset lands once', {
  timeout: 300_000,
}, async () => {
  const seed = Number(process.env['SEED'] ?? Math.floor(Math.random() * 1e9));
  console.log(`SEED=${seed}`);
  const pipeline = 'glue-storm';
  await shortSessions(pipeline);
  const proxy = await HttpProxy.start({ target: endpoint, rules: weather, seed });
  try {
    const tables = [{ table: 'shop.stormy', topics: [pipeline], create: true }];
    using lake = new Lake(ordersConfig(pipeline, parts, { ...inGlue(proxy.url), tables }));
    const producing = produceOrders({
      ...parts,
      topic: pipeline,
      partitions: 2,
      count: 40_000,
      format: 'avro',
      rate: 3_000,
      seed,
    });
    const [victim, survivor] = [lake.start('run'), lake.start('run')];
    await Promise.race([victim.logged('committed', 1), survivor.logged('committed', 3)]);
    victim.kill('SIGKILL');
    const acknowledged = await producing;
    await lake.catchUp();
    survivor.kill('SIGTERM');
    expect(await survivor.exit, survivor.stderr.slice(-2000)).toBe(0);
    expect(await landed('shop.stormy')).toEqual(acknowledged.map(upTo));
    expect(proxy.faults.done.length, 'it was a storm').toBeGreaterThan(10);
  } finally {
    await proxy.close();
  }
});
