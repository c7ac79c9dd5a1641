import { afterEach, describe, expect, test } from 'vitest';
import { systemClock } from '../../../src/base/clock.ts';
import { keyOf } from '../../../src/kafka/topic-partition.ts';
import { Wire } from '../../../src/kafka/wire.ts';
import { Localstack } from '../../tools/localstack.ts';
import { Repl } from '../../tools/repl.ts';
import { openSource, Reading, until } from './reading.ts';

/** Tools of its own: the brokers are others than those of the other tests. */
const tools = new Repl('java');

let reading: Reading | undefined;
afterEach(async () => {
  await reading?.source.close();
  reading = undefined;
  await tools.close();
});

/** A member of a group that reads whatever it is assigned, from where it was. */
async function follow(brokers: string, topic: string): Promise<Reading> {
  const follower = new Reading(openSource(brokers, { group: `group-${topic}`, topics: [topic] }));
  reading = follower;
  follower.onEvent = (event) => {
    if (event.type === 'revoked') follower.release(event.topicPartitions);
    if (event.type !== 'assigned') return;
    for (const topicPartition of event.topicPartitions)
      follower.seek([topicPartition], follower.position(topicPartition) ?? 0);
  };
  await follower.start();
  return follower;
}

/** Waits until `count` records in all were read, and nothing is missing or twice. */
async function hasRead(follower: Reading, count: number, timeoutMs = 30_000): Promise<void> {
  const total = (): number => [...follower.offsets.values()].flat().length;
  await until(
    () => total() >= count || follower.of('failed').length > 0,
    () => `${count} records are read (${total()} were)`,
    timeoutMs,
  );
  expect(follower.of('failed')).toEqual([]);
  expect(total()).toBe(count);
  for (const [key, offsets] of follower.offsets) expect(offsets, key).toEqual([...offsets.keys()]);
}

test('reading goes on when the only broker is back, after a failure and after a shutdown', async () => {
  await using stack = await Localstack.start(['kafka']);
  const brokers = stack.env['FRAZIL_BROKERS']!;
  await tools.call('configure', { brokers });
  const topic = 'restarts';
  await tools.call('createTopic', { topic, partitions: 3 });
  await tools.call('produceMany', { topic, count: 3_000 });
  const follower = await follow(brokers, topic);
  await hasRead(follower, 3_000);
  for (const [i, signal] of ['KILL', 'TERM'].entries()) {
    await stack.down('--broker', '1', '--signal', signal);
    await new Promise((resolve) => setTimeout(resolve, 2_000));
    await stack.up('--broker', '1');
    const upAtMs = Date.now();
    await tools.call('produceMany', { topic, count: 3_000 });
    await hasRead(follower, 3_000 * (i + 2));
    expect(Date.now() - upAtMs).toBeLessThan(15_000);
    // And it is still a member of its group.
    await follower.source.commitOffsets(new Map([[keyOf({ topic, partition: 0 }), 1_000]]), signal);
  }
});

describe('three brokers', () => {
  test('reading goes on while one of them fails or is shut down and comes back', async () => {
    await using stack = await Localstack.start(['kafka'], '--brokers', '3');
    const brokers = stack.env['FRAZIL_BROKERS']!;
    await tools.call('configure', { brokers });
    const topic = 'replicated';
    await tools.call('createTopic', { topic, partitions: 6, replication: 3 });
    // It knows one broker only: of the others it learns.
    const follower = await follow(brokers.split(',')[0]!, topic);
    await asksTheWrongBrokers(brokers);
    let produced = 0;
    const produce = async (): Promise<void> => {
      await tools.call('produceMany', { topic, count: 3_000, configs: { 'enable.idempotence': 'true' } });
      produced += 3_000;
    };
    await produce();
    await hasRead(follower, produced);
    for (const [broker, signal] of [
      ['1', 'KILL'],
      ['2', 'TERM'],
    ] as const) {
      await stack.down('--broker', broker, '--signal', signal);
      await produce();
      await hasRead(follower, produced);
      await stack.up('--broker', broker);
      await produce();
      await hasRead(follower, produced);
    }
  });

  /** Their answers tell the leaders in tagged fields, which are not for us but have to be stepped over. */
  async function asksTheWrongBrokers(brokers: string): Promise<void> {
    const topic = 'single';
    await tools.call('createTopic', { topic, partitions: 6, replication: 1 });
    const wire = new Wire({ brokers: brokers.split(','), clientId: 'test' }, systemClock);
    try {
      // The broker that is asked may not have heard of the topic yet.
      const isKnown = (): Promise<boolean> =>
        wire.metadata([topic]).then(
          () => true,
          () => false,
        );
      await until(isKnown, 'the topic is known');
      const metadata = await wire.metadata([topic]);
      const { topicId, leaders } = metadata.topics.get(topic)!;
      expect(new Set(leaders).size).toBe(3);
      const request = {
        waitMs: 100,
        bytesMin: 1,
        bytesMax: 1024 * 1024,
        partitionBytesMax: 1024,
        topics: [{ topic, topicId, partitions: leaders.map((_, partition) => ({ partition, offset: 0 })) }],
      };
      for (const [id, broker] of metadata.brokers) {
        const right = leaders.map((leader, partition) => [partition, leader === id ? 0 : 6]);
        let errors: number[][] = [];
        // New partitions are led a little later than they are known.
        await until(
          async () => {
            const { partitions } = await wire.fetch(broker, request);
            errors = partitions.map(({ partition, errorCode }) => [partition, errorCode]);
            return JSON.stringify(errors.sort(([a], [b]) => a! - b!)) === JSON.stringify(right);
          },
          () => `broker ${id} answers ${JSON.stringify(right)}, not ${JSON.stringify(errors)}`,
        );
      }
    } finally {
      await wire.close();
    }
  }
});
