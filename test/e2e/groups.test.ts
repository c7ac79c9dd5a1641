import { afterAll, beforeAll, expect, inject, test } from 'vitest';
import { produceOrders } from '../../localstack/produce.ts';
import { Lake, type Run } from '../tools/frazil.ts';
import { java } from '../tools/java.ts';
import { countOffsets, everyOffsetOnce } from '../tools/offsets.ts';
import { groupOffsets, ordersConfig, pause, shortSessions } from '../tools/pipeline.ts';

const parts = { brokers: inject('brokers'), registry: inject('registry') };

beforeAll(() => java.call('configure', { brokers: parts.brokers }));
afterAll(() => java.close());

function configOf(pipeline: string, source: object): object {
  return ordersConfig(pipeline, parts, {
    source: { brokers: parts.brokers, topics: [pipeline], sessionTimeout: '2s', ...source },
  });
}

/** Records that come for as long as it is not ended; the answer is how many each partition got. */
function producing(topic: string): { end: () => Promise<number[]> } {
  const ended = new AbortController();
  const all = produceOrders({
    ...parts,
    topic,
    partitions: 6,
    count: 10_000_000,
    format: 'avro',
    rate: 2_000,
    signal: ended.signal,
  });
  return {
    end: () => {
      ended.abort();
      return all;
    },
  };
}

async function stop(worker: Run): Promise<void> {
  worker.kill('SIGTERM');
  expect(await worker.exit, worker.stderr.slice(-2000)).toBe(0);
}

const groupType = async (group: string): Promise<string> =>
  (await java.call<{ type: string }>('describeGroup', { group })).type;

test('a group moves from the classic protocol to the newer one, worker by worker, while records land', async () => {
  const pipeline = 'rolling';
  await shortSessions(pipeline);
  const records = producing(pipeline);
  using lake = new Lake(configOf(pipeline, { groupProtocol: 'classic' }));
  await pause(1_000);
  const workers = [lake.start('run'), lake.start('run')];
  for (const worker of workers) await worker.logged('committed');
  expect(await groupType(pipeline)).toBe('Classic');
  lake.configure(configOf(pipeline, { groupProtocol: 'consumer' }));
  for (const i of workers.keys()) {
    await stop(workers[i]!);
    workers[i] = lake.start('run');
    await workers[i].logged('committed', 1);
  }
  expect(await groupType(pipeline)).toBe('Consumer');
  const acknowledged = await records.end();
  for (const worker of workers) await stop(worker);
  await lake.catchUp();
  expect(await countOffsets(lake, 'shop.orders')).toEqual(everyOffsetOnce(acknowledged));
  expect(await groupOffsets(pipeline)).toEqual(acknowledged);
});

test('workers of a classic group are killed: each offset is landed exactly once', async () => {
  const pipeline = 'classic-kills';
  const records = producing(pipeline);
  using lake = new Lake(configOf(pipeline, { groupProtocol: 'classic' }));
  await pause(1_000);
  const workers = [lake.start('run'), lake.start('run')];
  for (let kill = 0; kill < 4; kill++) {
    await workers.at(-1)!.logged('committed');
    workers.shift()!.kill('SIGKILL');
    workers.push(lake.start('run'));
  }
  await workers.at(-1)!.logged('committed');
  const acknowledged = await records.end();
  for (const worker of workers) await stop(worker);
  await lake.catchUp();
  expect(await countOffsets(lake, 'shop.orders')).toEqual(everyOffsetOnce(acknowledged));
});
