import { describe, expect, test } from 'vitest';
import { seededRandom } from '../../../src/base/random.ts';
import { type Finding, runChecks } from '../../../src/doctor/check.ts';
import { type Cluster, kafkaChecks } from '../../../src/doctor/kafka.ts';
import { KafkaError } from '../../../src/kafka/errors.ts';
import { TopicPattern } from '../../../src/kafka/topic-pattern.ts';
import { SkippingClock } from '../base/clock.ts';

const refused = (id: string): KafkaError => new KafkaError('asking', id, id, undefined);
const [a, b] = [
  { host: 'a', port: 1 },
  { host: 'b', port: 2 },
];

/** A cluster of two brokers with the topic orders of two partitions, in which all is well. */
function wellCluster(): Cluster {
  return {
    metadata: async (topics) => ({
      clusterId: 'c1',
      brokers: new Map([
        [1, a],
        [2, b],
      ]),
      topics: new Map(
        topics.map((topic) => [topic, { topic, topicId: 't1', leaders: [1, 2], epochs: [0, 0] }]),
      ),
    }),
    coordinator: async () => b,
    config: async () => '604800000',
    listOffsets: async (_broker, topics) =>
      topics.flatMap(({ topic, partitions }) =>
        partitions.map((partition) => ({ topic, partition, offset: 7 })),
      ),
    offsetFetch: async () => [],
    fetch: async () => ({ throttleMs: 0, errorCode: 0, sessionId: 0, partitions: [] }),
    mayRead: async () => {},
    access: { principal: undefined, grace: { lasts: () => false } },
  };
}

async function check(cluster: Partial<Cluster>, more: object = {}, intervalMs = 60_000): Promise<Finding[]> {
  const source = { brokers: ['a:1'], topics: ['orders'], ...more };
  const tables = [{ topics: ['orders'], topicsPattern: new TopicPattern('shop\\.(orders|users)') }];
  const config = { pipeline: 'shop', source, commit: { interval: intervalMs }, tables };
  // Waits are skipped, the bounds of checks are not.
  const clock = new SkippingClock(1_000_000, 10_000);
  const checks = kafkaChecks(
    config as never,
    { ...wellCluster(), ...cluster },
    { clock, random: seededRandom(1) },
  );
  return runChecks(checks, clock, () => {});
}

const texts = (findings: Finding[]): string[] =>
  findings.map(({ status, what, found, fix }) => `${status} ${what}: ${found}${fix ? ` (${fix})` : ''}`);

test('all is well', async () => {
  expect(texts(await check({}))).toEqual([
    'ok brokers: cluster c1: a:1, b:2 answer',
    'ok topic orders: 2 partitions, readable; retention.ms 604800000',
    'ok group: coordinator b:2; group shop has not committed yet',
  ]);
});

test('brokers that do not answer: what depends on them is skipped', async () => {
  const down = await check({ metadata: () => Promise.reject(refused('NETWORK')) });
  expect(texts(down)).toEqual([
    'failed brokers: a:1: asking: NETWORK (check source.brokers, and that they can be reached from here)',
    'skipped topic orders: the brokers do not answer',
    'skipped group: the brokers do not answer',
  ]);
});

test('a broker whose advertised address cannot be reached', async () => {
  const [brokers] = await check({
    listOffsets: async (broker) => {
      if (broker.host === 'b') throw refused('NETWORK');
      return [];
    },
  });
  expect(brokers).toMatchObject({
    status: 'failed',
    found: 'a:1 name b:2, which cannot be reached: asking: NETWORK',
    fix: 'the addresses in advertised.listeners must be reachable from here',
  });
});

describe('a topic', () => {
  const topic = async (cluster: Partial<Cluster>, more?: object, intervalMs?: number): Promise<Finding> =>
    (await check(cluster, more, intervalMs))[1]!;
  const onlyTopic = (change: (topics: readonly string[]) => ReturnType<Cluster['metadata']>) => ({
    metadata: (topics: readonly string[]) =>
      topics.length === 0 ? wellCluster().metadata(topics) : change(topics),
  });

  test('that does not exist', async () => {
    const gone = onlyTopic(() => Promise.reject(refused('UNKNOWN_TOPIC_OR_PARTITION')));
    expect(await topic(gone)).toMatchObject({
      status: 'failed',
      fix: 'make the topic, or correct source.topics',
    });
  });

  test('that we may not see, or not read', async () => {
    const hidden = onlyTopic(() => Promise.reject(refused('TOPIC_AUTHORIZATION_FAILED')));
    expect((await topic(hidden)).found).toContain('grant this principal READ and DESCRIBE on the topic');
    const unreadable = {
      fetch: async () => ({
        throttleMs: 0,
        errorCode: 0,
        sessionId: 0,
        partitions: [{ errorCode: 29 }] as never,
      }),
    };
    expect(await topic(unreadable)).toMatchObject({
      status: 'failed',
      found:
        'reading topic orders: TOPIC_AUTHORIZATION_FAILED on topic orders: grant this principal READ and DESCRIBE on the topic',
    });
  });

  test('with a partition that has no leader', async () => {
    const headless = onlyTopic(async (topics) => ({
      ...(await wellCluster().metadata(topics)),
      topics: new Map([['orders', { topic: 'orders', topicId: 't1', leaders: [1, -1], epochs: [0, 0] }]]),
    }));
    expect(await topic(headless)).toMatchObject({
      status: 'warning',
      found: '2 partitions, 1 without a leader',
    });
  });

  test('without a partition that is assigned', async () => {
    expect(await topic({}, { partitions: { orders: [0, 2] } })).toMatchObject({
      status: 'failed',
      found: '2 partitions, none with number 2',
      fix: 'correct source.partitions',
    });
  });

  test.each([
    ['604800000', 60_000, 'ok'],
    ['-1', 60_000, 'ok'],
    ['600000', 60_000, 'warning'],
    ['7200000', 3_600_000, 'warning'],
    ['60000', 60_000, 'failed'],
    [undefined, 60_000, 'ok'],
  ])('that keeps records for %s ms, with commits each %i ms: %s', async (retention, intervalMs, status) => {
    expect((await topic({ config: async () => retention }, {}, intervalMs)).status).toBe(status);
  });

  test('whose configuration is not shown', async () => {
    const secret = { config: () => Promise.reject(refused('TOPIC_AUTHORIZATION_FAILED')) };
    expect(await topic(secret)).toMatchObject({
      status: 'ok',
      found: '2 partitions, readable; retention.ms is not told (DESCRIBE_CONFIGS on the topic would show it)',
    });
  });
});

test('a group whose coordinator is only being found is asked for again; one that is refused is not', async () => {
  let asked = 0;
  const late = await check({
    coordinator: async () => {
      if (++asked < 3) throw refused('COORDINATOR_NOT_AVAILABLE');
      return a;
    },
    offsetFetch: async () => [{ topic: 'orders', partition: 0, offset: 5, metadata: '' }],
  });
  expect(texts(late)[2]).toBe('ok group: coordinator a:1; group shop has committed offsets');
  asked = 0;
  const forbidden = await check({
    coordinator: async () => {
      asked++;
      throw refused('GROUP_AUTHORIZATION_FAILED');
    },
  });
  expect(texts(forbidden)[2]).toBe(
    'failed group: asking: GROUP_AUTHORIZATION_FAILED: grant this principal READ on the group',
  );
  expect(asked).toBe(1);
});

describe('topics by pattern', () => {
  const source = { topics: [], topicsPattern: new TopicPattern('shop\\..*') };
  const having = (...there: string[]): Partial<Cluster> => ({
    metadata: (topics, isFound) =>
      wellCluster().metadata([...topics, ...there.filter((topic) => isFound?.(topic))]),
  });
  const aboutTopics = async (cluster: Partial<Cluster>): Promise<string[]> =>
    texts(await check(cluster, source)).filter((text) => text.includes('topics shop'));

  test('are named', async () => {
    expect(await aboutTopics(having('shop.users', 'shop.orders', 'other'))).toEqual([
      'ok topics shop\\..*: 2 found: shop.orders, shop.users',
    ]);
  });

  test('that are not there are a warning: they may come', async () => {
    expect(await aboutTopics(having('other'))).toEqual([
      'warning topics shop\\..*: none is there, or this principal may DESCRIBE none (nothing, if they come later; else correct source.topicsPattern)',
    ]);
  });

  test('that go into no table are named', async () => {
    expect(await aboutTopics(having('shop.orders', 'shop.refunds'))).toEqual([
      'warning topics shop\\..*: 1 found: shop.orders; without a table, and not read: shop.refunds (add them to a table (topicsPattern: .* takes all), or narrow source.topicsPattern)',
    ]);
  });

  test('that cannot be read fail, with the topic', async () => {
    const denied = {
      ...having('shop.orders', 'shop.users'),
      fetch: async () => Promise.reject(refused('NO')),
    };
    expect(await aboutTopics(denied)).toEqual([
      'failed topics shop\\..*: 2 found: shop.orders, shop.users; topic shop.orders: asking: NO',
    ]);
  });
});
