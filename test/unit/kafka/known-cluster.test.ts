import { beforeEach, expect, test } from 'vitest';
import { silentLog } from '../../../src/base/log.ts';
import { KafkaError } from '../../../src/kafka/errors.ts';
import { KnownCluster, type TopicChanges } from '../../../src/kafka/known-cluster.ts';
import type { ClusterMetadata } from '../../../src/kafka/wire.ts';
import { ManualClock } from '../base/clock.ts';

const ageMaxMs = 60_000;

let clock: ManualClock;
let changes: TopicChanges[];
/** What brokers tell: topics by id. */
let topics: Record<string, string>;
let asked: number;
let refusal: Error | undefined;

beforeEach(() => {
  clock = new ManualClock();
  changes = [];
  topics = { 'shop.orders': 'o' };
  asked = 0;
  refusal = undefined;
});

async function metadata(
  named: readonly string[],
  isFound?: (topic: string) => boolean,
): Promise<ClusterMetadata> {
  asked++;
  if (refusal) throw refusal;
  const told = Object.entries(topics).filter(([topic]) => named.includes(topic) || isFound?.(topic));
  return {
    clusterId: 'c',
    brokers: new Map(),
    topics: new Map(told.map(([topic, topicId]) => [topic, { topic, topicId, leaders: [1], epochs: [0] }])),
  };
}

async function watching(): Promise<KnownCluster> {
  const isFound = (topic: string): boolean => topic.startsWith('shop.');
  const cluster = new KnownCluster(
    { topics: [], isFound, ageMaxMs },
    { wire: { metadata }, clock, log: silentLog },
  );
  cluster.onChange = (change) => changes.push(change);
  await cluster.refresh();
  void cluster.watch();
  return cluster;
}

test('topics that come are found within the age that metadata may have', async () => {
  const cluster = await watching();
  expect(cluster.topics).toEqual(['shop.orders']);
  topics['shop.users'] = 'u';
  topics['other'] = 'x';
  await clock.pass(ageMaxMs - 1);
  expect(changes).toEqual([]);
  await clock.pass(1);
  expect(changes).toEqual([{ appeared: ['shop.users'], vanished: [] }]);
  expect(cluster.topics).toEqual(['shop.orders', 'shop.users']);
  cluster.close();
  await clock.pass(10 * ageMaxMs);
  expect(asked).toBe(2);
});

test('a topic that is missing is looked for again at once, and gone after some seconds; told once', async () => {
  const cluster = await watching();
  topics = {};
  await clock.pass(ageMaxMs + 3_000);
  expect(cluster.isGone('shop.orders')).toBe(false);
  expect(changes).toEqual([]);
  await clock.pass(2_000);
  expect(cluster.isGone('shop.orders')).toBe(true);
  await clock.pass(10 * ageMaxMs);
  expect(changes).toEqual([{ appeared: [], vanished: ['shop.orders'] }]);
  topics = { 'shop.orders': 'o2' };
  await clock.pass(ageMaxMs);
  expect(changes.slice(1)).toEqual([{ appeared: ['shop.orders'], vanished: [] }]);
  cluster.close();
});

test('a topic that only one broker has not heard of is not gone', async () => {
  const cluster = await watching();
  topics = {};
  await clock.pass(ageMaxMs + 2_000);
  topics = { 'shop.orders': 'o' };
  await clock.pass(1_000);
  topics = {};
  await clock.pass(ageMaxMs + 2_000);
  expect(changes).toEqual([]);
  expect(cluster.metadata.topics.get('shop.orders')?.topicId).toBe('o');
  cluster.close();
});

test('brokers that do not answer do not end the looking', async () => {
  const cluster = await watching();
  refusal = new KafkaError('asking', 'NETWORK', 'away', undefined);
  await clock.pass(3 * ageMaxMs);
  expect(cluster.isGone('shop.orders')).toBe(false);
  refusal = undefined;
  topics['shop.users'] = 'u';
  await clock.pass(ageMaxMs);
  expect(changes).toEqual([{ appeared: ['shop.users'], vanished: [] }]);
  cluster.close();
});
