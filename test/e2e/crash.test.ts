import { afterAll, beforeAll, expect, inject, test } from 'vitest';
import { produceOrders } from '../../localstack/produce.ts';
import { Lake, type Run } from '../tools/frazil.ts';
import { java } from '../tools/java.ts';
import { countOffsets, everyOffsetOnce } from '../tools/offsets.ts';
import { ordersConfig, pause, shortSessions } from '../tools/pipeline.ts';

const parts = { brokers: inject('brokers'), registry: inject('registry') };

beforeAll(() => java.call('configure', { brokers: parts.brokers }));
afterAll(() => java.close());

test('twenty SIGKILLs at random moments: each offset is landed exactly once', {
  timeout: 600_000,
}, async () => {
  const seed = Number(process.env['SEED'] ?? Math.floor(Math.random() * 1e9));
  console.log(`SEED=${seed}`);
  let state = seed;
  const random = (): number => {
    state = (Math.imul(state, 1103515245) + 12345) & 0x7fffffff;
    return state / 0x7fffffff;
  };
  const pipeline = 'kills';
  await shortSessions(pipeline);
  using lake = new Lake(ordersConfig(pipeline, parts));
  const ended = new AbortController();
  const producing = produceOrders({
    ...parts,
    topic: pipeline,
    partitions: 6,
    count: 10_000_000,
    format: 'avro',
    rate: 4_000,
    signal: ended.signal,
  });
  await pause(1_000);
  const workers: Run[] = [lake.start('run'), lake.start('run')];
  for (let kill = 0; kill < 20; kill++) {
    await pause(300 + random() * 4_000);
    const [victim] = workers.splice(Math.floor(random() * workers.length), 1);
    victim!.kill('SIGKILL');
    workers.push(lake.start('run'));
    if (workers.length < 3 && random() < 0.3) workers.push(lake.start('run'));
  }
  // The last one started must have come as far as to hear a signal.
  await pause(2_000);
  ended.abort();
  const acknowledged = await producing;
  for (const worker of workers) worker.kill('SIGTERM');
  for (const worker of workers) expect(await worker.exit, worker.stderr.slice(-2000)).toBe(0);
  await lake.catchUp();
  expect(await countOffsets(lake, 'shop.orders')).toEqual(everyOffsetOnce(acknowledged));
});

test('a worker frozen until its partitions have moved is fenced when it wakes: nothing doubles', {
  timeout: 300_000,
}, async () => {
  const pipeline = 'zombie';
  await shortSessions(pipeline);
  const ended = new AbortController();
  const producing = produceOrders({
    ...parts,
    topic: pipeline,
    partitions: 4,
    count: 10_000_000,
    format: 'avro',
    rate: 2_000,
    signal: ended.signal,
  });
  using lake = new Lake(ordersConfig(pipeline, parts, { commit: { interval: '2s' } }));
  await pause(1_000);
  const zombie = lake.start('run');
  await zombie.logged('committed');
  // In the middle of what it holds.
  await pause(1_200);
  zombie.kill('SIGSTOP');
  const heir = lake.start('run');
  await heir.logged('committed', 1);
  zombie.kill('SIGCONT');
  await zombie.logged((line) => /lost|fenced|given our partitions/.test(line.msg));
  await pause(3_000);
  ended.abort();
  const acknowledged = await producing;
  for (const worker of [zombie, heir]) worker.kill('SIGTERM');
  for (const worker of [zombie, heir]) expect(await worker.exit).toBe(0);
  await lake.catchUp();
  expect(await countOffsets(lake, 'shop.orders')).toEqual(everyOffsetOnce(acknowledged));
});
