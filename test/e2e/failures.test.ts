import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { DatabaseSync } from 'node:sqlite';
import { afterAll, beforeAll, expect, inject, test } from 'vitest';
import { orderColumns } from '../../localstack/orders.ts';
import { produceOrders } from '../../localstack/produce.ts';
import { Lake } from '../tools/frazil.ts';
import { java } from '../tools/java.ts';
import { Localstack } from '../tools/localstack.ts';
import { countOffsets, everyOffsetOnce } from '../tools/offsets.ts';
import { groupOffsets, orders, ordersConfig, pause } from '../tools/pipeline.ts';
import { python } from '../tools/python.ts';

/** Bad data and bad luck: nothing is lost, nothing is silently left out, and the text says what to do. */

const parts = { brokers: inject('brokers'), registry: inject('registry') };

beforeAll(() => java.call('configure', { brokers: parts.brokers }));
afterAll(async () => {
  await java.close();
  await python.close();
});

const table = 'shop.orders';

function jsonConfig(topic: string, decode: object = {}, source: object = {}): object {
  return {
    pipeline: topic,
    source: { brokers: [parts.brokers], topics: [topic], ...source },
    decode: { value: { format: 'json' }, ...decode },
    tables: [{ table, topics: [topic], create: true, schema: [{ name: 'n', type: 'long', required: true }] }],
    commit: { interval: '500ms' },
    lanes: 1,
  };
}

async function produce(topic: string, partition: number, values: readonly (string | null)[]): Promise<void> {
  const records = values.map((value) => ({
    key: null,
    value: value === null ? null : Buffer.from(value).toString('base64'),
  }));
  await java.call('produce', { topic, partition, records });
}

test('a record that cannot be decoded stops the pipeline at its offset; everything else has landed', async () => {
  const topic = 'undecodable';
  await java.call('createTopic', { topic, partitions: 2 });
  await produce(topic, 0, ['{"n":0}', '{"n":1}', '{"n":"two"}', '{"n":3}']);
  await produce(topic, 1, ['{"n":0}', '{"n":1}']);
  using lake = new Lake(jsonConfig(topic));
  for (const _ of ['first', 'again after a restart']) {
    const run = lake.start('run', '--until-caught-up');
    expect(await run.exit).toBe(1);
    expect(run.stderr).toMatch(
      /landing undecodable-0 in table shop.orders: the record at offset 2 cannot be landed: field n: expected a long, found "two"/,
    );
    expect(await groupOffsets(topic)).toEqual([2, 2]);
  }
  expect((await countOffsets(lake, table)).map(({ rows }) => rows)).toEqual([2, 2]);
  lake.configure(jsonConfig(topic, { onError: 'skip' }));
  const run = lake.start('run', '--until-caught-up');
  expect(await run.exit).toBe(0);
  expect(JSON.parse(run.stdout)).toMatchObject({ records: 2, rows: 1, undecodable: 1 });
  expect(run.log().find(({ msg }) => msg.startsWith('record skipped'))).toMatchObject({
    topic,
    partition: 0,
    offset: 2,
    field: 'n',
  });
  expect((await countOffsets(lake, table)).map(({ rows, max }) => [rows, max])).toEqual([
    [3, 3],
    [2, 1],
  ]);
});

test('a tombstone is left out and counted, or stops the pipeline where onTombstone says so', async () => {
  const topic = 'tombstones';
  await java.call('createTopic', { topic });
  await produce(topic, 0, ['{"n":0}', null, '{"n":2}']);
  using lake = new Lake(jsonConfig(topic, { onTombstone: 'halt' }));
  const run = lake.start('run', '--until-caught-up');
  expect(await run.exit).toBe(1);
  expect(run.stderr).toContain(
    'the record at offset 1 cannot be landed: the record has no value (a tombstone)',
  );
  lake.configure(jsonConfig(topic));
  expect(await lake.catchUp()).toMatchObject({ records: 2, rows: 1, tombstones: 1 });
  expect(await groupOffsets(topic)).toEqual([3]);
});

test('a registry that is down delays and loses nothing; one that refuses us stops the pipeline', async () => {
  const topic = 'registry-down';
  const acknowledged = await orders(topic, parts, 500);
  let status = 503;
  const server = createServer(async (request, response) => {
    if (status !== 200) return response.writeHead(status).end('{}');
    const answer = await fetch(`${parts.registry}${request.url}`);
    response.writeHead(answer.status, { 'content-type': 'application/json' }).end(await answer.text());
  }).listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  const registry = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  try {
    using lake = new Lake(ordersConfig(topic, { ...parts, registry }));
    const run = lake.start('run', '--until-caught-up');
    await run.logged('the schema registry does not answer', 2);
    status = 200;
    expect(await run.exit).toBe(0);
    expect(await countOffsets(lake, table)).toEqual(everyOffsetOnce(acknowledged));
    status = 401;
    await orders(topic, parts, 10, 2, 5);
    lake.configure(
      ordersConfig(
        topic,
        { ...parts, registry },
        { decode: { onError: 'skip', value: { format: 'avro', registry: { url: registry } } } },
      ),
    );
    const refused = lake.start('run', '--until-caught-up');
    expect(await refused.exit).toBe(1);
    expect(refused.stderr).toContain('check decode.*.registry.auth');
    // Not a single record was blamed for it.
    expect(await countOffsets(lake, table)).toEqual(everyOffsetOnce(acknowledged));
  } finally {
    server.close();
  }
});

test('a catalog that is away: Kafka is paused at the memory bound, memory stays in it, and everything lands afterwards', async () => {
  const topic = 'outage';
  const held = 32 * 1024 * 1024;
  using lake = new Lake({
    pipeline: topic,
    source: { brokers: [parts.brokers], topics: [topic] },
    decode: { value: { format: 'json', epoch: 'us' } },
    tables: [
      { table, topics: [topic], create: true, schema: [...orderColumns, { name: 'pad', type: 'string' }] },
    ],
    commit: { interval: '500ms' },
    memory: { held },
    log: { statusInterval: '1s' },
    lanes: 1,
  });
  const ended = new AbortController();
  const producing = produceOrders({
    ...parts,
    topic,
    partitions: 2,
    count: 10_000_000,
    format: 'json',
    padTo: 2_000,
    rate: 5_000,
    signal: ended.signal,
  });
  await pause(1_000);
  const run = lake.start('run');
  await run.logged('committed', 1);
  const lock = new DatabaseSync(`${lake.folder}/lake/catalog.db`);
  lock.exec('BEGIN EXCLUSIVE');
  await run.logged((line) => line.msg === 'status' && line['paused'] === true, 2);
  await run.logged(({ msg }) => msg.startsWith('a commit did not succeed'));
  lock.exec('ROLLBACK');
  lock.close();
  await run.logged((line) => line.msg === 'status' && line['paused'] === false, 0);
  ended.abort();
  const acknowledged = await producing;
  await run.logged(
    (line) =>
      line.msg === 'status' &&
      line['lagRecords'] === 0 &&
      line['rows'] === acknowledged[0]! + acknowledged[1]!,
  );
  run.kill('SIGTERM');
  expect(await run.exit).toBe(0);
  for (const line of run.log())
    if (line.msg === 'status') expect(line['heldBytesPeak']).toBeLessThanOrEqual(held);
  expect(await countOffsets(lake, table)).toEqual(everyOffsetOnce(acknowledged));
});

test('records lost to retention stop the pipeline with the range; onGap: skip goes on and writes down what was lost', async () => {
  const topic = 'gap';
  await java.call('createTopic', { topic });
  await produce(topic, 0, ['{"n":0}', '{"n":1}']);
  using lake = new Lake(jsonConfig(topic));
  await lake.catchUp();
  await produce(topic, 0, ['{"n":2}', '{"n":3}', '{"n":4}', '{"n":5}']);
  await java.call('deleteRecords', { topic, partition: 0, before: 4 });
  const run = lake.start('run', '--until-caught-up');
  expect(await run.exit).toBe(1);
  expect(run.stderr).toContain('fetching gap-0: offsets 2 to 3 (2 offsets) are no longer retained');
  expect(run.stderr).toContain('source.onGap: skip goes on from offset 4');
  lake.configure(jsonConfig(topic, {}, { onGap: 'skip' }));
  expect(await lake.catchUp()).toMatchObject({ rows: 2 });
  const { snapshots } = await java.call<{ snapshots: { summary: Record<string, string> }[] }>('readTable', {
    catalog: lake.javaCatalog,
    name: 'lake',
    table,
  });
  const lost = snapshots.flatMap(({ summary }) => summary['frazil.gap.lost'] ?? []);
  expect(lost).toEqual(['[["gap-0",2,4]]']);
});

test('a topic that was deleted and made anew stops the pipeline; onTopicRecreated: restart lands the new one', async () => {
  const topic = 'recreated';
  await java.call('createTopic', { topic });
  await produce(topic, 0, ['{"n":0}', '{"n":1}', '{"n":2}']);
  using lake = new Lake(jsonConfig(topic));
  await lake.catchUp();
  await java.call('deleteTopic', { topic });
  await java.call('createTopic', { topic });
  await produce(topic, 0, ['{"n":10}', '{"n":11}']);
  const run = lake.start('run', '--until-caught-up');
  expect(await run.exit).toBe(1);
  expect(run.stderr).toContain('topic recreated was deleted and made anew since');
  lake.configure(jsonConfig(topic, {}, { onTopicRecreated: 'restart' }));
  expect(await lake.catchUp()).toMatchObject({ rows: 2 });
  expect((await countOffsets(lake, table)).map(({ rows, distinct }) => [rows, distinct])).toEqual([[5, 3]]);
});

test('brokers that are killed and come back: consuming goes on by itself, nothing missing, nothing twice', async () => {
  await using stack = await Localstack.start(['kafka'], '--brokers', '3');
  const own = { brokers: stack.env['FRAZIL_BROKERS']!, registry: parts.registry };
  const topic = 'broker-restart';
  const ended = new AbortController();
  const producing = produceOrders({
    ...own,
    topic,
    partitions: 6,
    count: 10_000_000,
    format: 'avro',
    rate: 2_000,
    signal: ended.signal,
  });
  await pause(2_000);
  using lake = new Lake(ordersConfig(topic, own));
  const run = lake.start('run');
  await run.logged('committed', 2);
  // The producer sends to fixed leaders: it must have ended before one of them does.
  ended.abort();
  const acknowledged = await producing;
  await stack.down('--broker', '1', '--signal', 'KILL');
  await pause(3_000);
  await stack.up('--broker', '1');
  const more = await orders(topic, own, 3_000, 6, 9);
  const all = acknowledged.map((count, i) => count + more[i]!);
  const total = all.reduce((sum, count) => sum + count, 0);
  await run.logged(
    (line) =>
      line.msg === 'committed' &&
      run.log().reduce((sum, l) => sum + (l.msg === 'committed' ? Number(l['rows']) : 0), 0) >= total,
  );
  run.kill('SIGTERM');
  expect(await run.exit).toBe(0);
  expect(await countOffsets(lake, table)).toEqual(everyOffsetOnce(all));
});
