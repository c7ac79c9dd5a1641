import { afterAll, beforeAll, expect, test } from 'vitest';
import { Lake } from '../tools/frazil.ts';
import { java } from '../tools/java.ts';
import { Localstack } from '../tools/localstack.ts';
import { countOffsets, everyOffsetOnce } from '../tools/offsets.ts';
import { groupOffsets } from '../tools/pipeline.ts';

let parts: Localstack;
let brokers: string;

beforeAll(async () => {
  parts = await Localstack.start(['kafka'], '--kafka-version', '2.8.2');
  brokers = parts.env['FRAZIL_BROKERS']!;
  await java.call('configure', { brokers });
});
afterAll(async () => {
  java.close();
  await parts?.stop();
});

test('from the oldest Kafka that is spoken with, two workers land every record once, and the doctor finds nothing', async () => {
  const topic = 'orders';
  const count = 3_000;
  await java.call('createTopic', { topic, partitions: 2 });
  const produce = async (): Promise<void> => {
    for (const partition of [0, 1]) {
      const records = Array.from({ length: count }, (_, n) => ({
        key: null,
        value: Buffer.from(JSON.stringify({ n })).toString('base64'),
      }));
      await java.call('produce', { topic, partition, records });
    }
  };
  await produce();
  using lake = new Lake({
    pipeline: 'old',
    source: { brokers, topics: [topic], sessionTimeout: '3s' },
    decode: { value: { format: 'json' } },
    tables: [
      {
        table: 'shop.orders',
        topics: [topic],
        create: true,
        schema: [{ name: 'n', type: 'long', required: true }],
      },
    ],
    commit: { interval: '500ms' },
    lanes: 1,
  });
  const doctor = lake.start('doctor');
  expect(await doctor.exit, doctor.stdout).toBe(0);
  expect(doctor.stdout).not.toMatch(/^(failed|warning)/m);
  const workers = [lake.start('run'), lake.start('run')];
  for (const worker of workers) await worker.logged('partitions assigned');
  await produce();
  workers[0]!.kill('SIGKILL');
  await workers[1]!.logged('partitions assigned', 1);
  workers[1]!.kill('SIGTERM');
  expect(await workers[1]!.exit, workers[1]!.stderr.slice(-2000)).toBe(0);
  await lake.catchUp();
  expect(await countOffsets(lake, 'shop.orders')).toEqual(everyOffsetOnce([2 * count, 2 * count]));
  expect(await groupOffsets('old')).toEqual([2 * count, 2 * count]);
});
