import { expect, test } from 'vitest';
import { TopicPattern } from '../../../src/kafka/topic-pattern.ts';
import { foundBy } from '../../../src/worker/topics.ts';

const config = (topicsPattern: string | undefined, tables: object[]): Parameters<typeof foundBy>[0] =>
  ({
    source: { topics: [], topicsPattern: topicsPattern && new TopicPattern(topicsPattern) },
    tables,
  }) as never;

test('a topic is found that matches, is not Kafka’s own, and goes into a table', () => {
  const homeless: string[] = [];
  const tables = [
    { topics: ['shop.orders'] },
    { topics: [], topicsPattern: new TopicPattern('.*eu\\..*|__.*') },
  ];
  const isFound = foundBy(config('shop\\..*|__.*', tables), (topic) => homeless.push(topic))!;
  const topics = ['shop.orders', 'shop.eu.users', 'shop.users', 'eu.users', '__consumer_offsets'];
  for (let look = 0; look < 2; look++)
    expect(topics.filter(isFound)).toEqual(['shop.orders', 'shop.eu.users']);
  expect(homeless).toEqual(['shop.users']);
});

test('without a pattern nothing is looked for', () => {
  expect(foundBy(config(undefined, []))).toBeUndefined();
});
