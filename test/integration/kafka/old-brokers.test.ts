import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { systemClock } from '../../../src/base/clock.ts';
import { Wire } from '../../../src/kafka/wire.ts';
import { java } from '../../tools/java.ts';
import { Localstack } from '../../tools/localstack.ts';
import { Members } from './members.ts';
import { createTopic, dumped, openSource, readTopic, until } from './reading.ts';

/** The oldest that is spoken with (it has a ZooKeeper), and the last before 4.0. */
describe.each(['2.8.2', '3.9.1'])('Kafka %s', (version) => {
  let parts: Localstack;
  let brokers: string;

  beforeAll(async () => {
    parts = await Localstack.start(['kafka'], '--kafka-version', version);
    brokers = parts.env['FRAZIL_BROKERS']!;
    await java.call('configure', { brokers });
  });
  afterAll(() => parts?.stop());

  test('records are read as the Java consumer reads them', async () => {
    for (const scenario of ['mixed', 'interleaved']) {
      const topic = `old-${scenario}`;
      await java.call('transactions', { topic, scenario });
      const seen = await dumped(topic);
      expect(Object.values(seen.records).flat().length).toBeGreaterThan(0);
      expect(await readTopic(brokers, topic)).toEqual(seen);
    }
  });

  test('topics have ids, and a topic made anew has another', async () => {
    const topic = 'old-ids';
    const wire = new Wire({ brokers: [brokers], clientId: 'test' }, systemClock);
    const idOf = async (): Promise<string> => (await wire.metadata([topic])).topics.get(topic)!.topicId;
    try {
      await createTopic(brokers, topic, 1);
      const first = await idOf();
      await java.call('deleteTopic', { topic });
      // A topic is gone only some time after its deletion was taken.
      const isMade = (): Promise<boolean> =>
        createTopic(brokers, topic, 1).then(
          () => true,
          () => false,
        );
      await until(isMade, 'it is made anew');
      expect(await idOf()).not.toBe(first);
    } finally {
      await wire.close();
    }
  });

  test('members join by the classic protocol, for there is no other', async () => {
    const members = new Members(brokers, 'old-group', { sessionTimeoutMs: 3_000 });
    try {
      await members.create(4);
      const a = await members.add('a');
      const b = await members.add('b');
      await members.settled([a, b]);
      await b.source.commitOffsets(new Map([[b.keys[0]!, 0]]), 'by a member');
      await members.leave(a);
      await members.settled([b]);
      expect([...a.events, ...b.events].filter(({ type }) => type === 'lost' || type === 'failed')).toEqual(
        [],
      );
      const refused = await members.add('c', { protocol: 'consumer' });
      await until(() => refused.of('failed').length > 0, 'it is told');
      expect(refused.of('failed')[0]!.error.message).toMatch(
        / of ConsumerGroupHeartbeat, version 1 is needed: it came with Apache Kafka 4\.0: set source\.groupProtocol to auto or classic$/,
      );
    } finally {
      await members.close();
    }
  });

  test("the group's offsets and those of the log are told", async () => {
    const topic = 'old-offsets';
    await createTopic(brokers, topic, 2);
    await java.call('produce', {
      topic,
      partition: 1,
      records: [1_000, 2_000].map((timestamp) => ({ key: null, value: 'AA==', timestamp })),
    });
    const source = openSource(brokers, { group: 'old', topics: [topic], partitions: { [topic]: [0, 1] } });
    try {
      const { topicPartitions } = await source.start(() => {});
      expect([...(await source.listOffsets(topicPartitions, 'latest')).values()]).toEqual([0, 2]);
      expect([...(await source.listOffsets(topicPartitions, 2_000)).values()]).toEqual([0, 1]);
      expect(await source.committedOffsets(topicPartitions)).toEqual(new Map());
      await source.commitOffsets(new Map([[`${topic}-1`, 2]]), 'from a test');
      expect(await source.committedOffsets(topicPartitions)).toEqual(
        new Map([[`${topic}-1`, { offset: 2, metadata: 'from a test' }]]),
      );
    } finally {
      await source.close();
    }
  });
});

/** A group with a member of the classic protocol, one that asks the brokers, and one that insists on the newer one. */
async function errorOfTheInsistent(property: string): Promise<string> {
  await using parts = await Localstack.start(['kafka'], '--kafka-property', property);
  const brokers = parts.env['FRAZIL_BROKERS']!;
  await java.call('configure', { brokers });
  const members = new Members(brokers, 'stays', { sessionTimeoutMs: 3_000 });
  try {
    await members.create(4);
    const a = await members.add('a', { protocol: 'classic' });
    await members.settled([a]);
    const b = await members.add('b', { protocol: 'auto' });
    await members.settled([a, b]);
    const c = await members.add('c', { protocol: 'consumer' });
    await until(() => c.of('failed').length > 0, 'c is refused');
    return c.of('failed')[0]!.error.message;
  } finally {
    await members.close();
  }
}

describe('a group stays a classic one, unless that is ruled out', () => {
  test('where brokers do not let it move', async () => {
    expect(await errorOfTheInsistent('group.consumer.migration.policy=disabled')).toMatch(
      /^heartbeat of group group-stays: GROUP_ID_NOT_FOUND.*: the group has members of the classic protocol that cannot be taken over/,
    );
  });

  test('where brokers have the newer protocol switched off', async () => {
    expect(await errorOfTheInsistent('group.coordinator.rebalance.protocols=classic')).toMatch(
      /^heartbeat of group group-stays: UNSUPPORTED_VERSION.*: the brokers know the request, and do not have what it is for enabled/,
    );
  });
});
