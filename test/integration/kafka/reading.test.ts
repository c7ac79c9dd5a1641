import { createHash } from 'node:crypto';
import { beforeAll, describe, expect, inject, test } from 'vitest';
import { produceOrders } from '../../../localstack/produce.ts';
import { parseKey } from '../../../src/kafka/topic-partition.ts';
import { java } from '../../tools/java.ts';
import { createTopic, type Dump, dumped, openSource, readTopic, until } from './reading.ts';

const brokers = inject('brokers');
const registry = inject('registry');
/** The least that is worth a fetch: every large transaction takes many. */
const sparing = { allowed: 256 * 1024 };

beforeAll(() => java.call('configure', { brokers }));

/** Both ways of fetching see what the Java consumer sees. @returns how many records that is. */
async function agrees(topic: string): Promise<number> {
  const java = await dumped(topic);
  expect(digest(await readTopic(brokers, topic))).toEqual(digest(java));
  expect(digest(await readTopic(brokers, topic, sparing))).toEqual(digest(java));
  return Object.values(java.records).flat().length;
}

/** Long values are compared, but not printed. */
function digest({ records, positions }: Dump): unknown {
  const short = (text: string | null): unknown =>
    text === null || text.length < 200
      ? text
      : [text.length, text.slice(0, 40), createHash('sha1').update(text).digest('hex')];
  const shortened = Object.entries(records).map(([partition, list]) => [
    partition,
    list.map(([offset, timestamp, , key, value, headers]) => [
      offset,
      timestamp,
      short(key),
      short(value),
      headers,
    ]),
  ]);
  return { records: Object.fromEntries(shortened), positions };
}

describe('transactions', () => {
  test.each([
    'mixed',
    'longAbort',
    'manyAborts',
    'interleaved',
    'abortThenCommit',
    'endsInControl',
    'plainBetween',
    'empty',
    'fenced',
  ])('%s', async (scenario) => {
    const topic = `transactions-${scenario}`;
    const { visible } = await java.call<{ visible: number }>('transactions', { topic, scenario });
    expect(await agrees(topic)).toBe(visible);
  });

  test.each([1, 2, 3, 4])('random with seed %i, compressed and over several partitions', async (seed) => {
    const topic = `transactions-random-${seed}`;
    const compression = ['none', 'lz4', 'snappy', 'zstd'][seed % 4];
    const { visible } = await java.call<{ visible: number }>('transactions', {
      topic,
      scenario: 'random',
      partitions: (seed % 2) * 2 + 1,
      compression,
      seed,
      steps: 300,
    });
    expect(await agrees(topic)).toBe(visible);
  });

  test.each(['commit', 'abort'])('open, then ended by %s', async (outcome) => {
    const topic = `transactions-open-${outcome}`;
    const open = await java.call<{ visible: number }>('transactions', { topic, scenario: 'open' });
    expect(await agrees(topic)).toBe(open.visible);
    const ended = await java.call<{ visible: number }>('endTransaction', { topic, outcome });
    expect(ended.visible).toBeGreaterThan(open.visible);
    expect(await agrees(topic)).toBe(ended.visible);
  });
});

describe('compacted topics', () => {
  test.each([
    [false, 'none'],
    [true, 'none'],
    [true, 'zstd'],
  ])('transactional %s, %s', async (transactional, compression) => {
    const topic = `compacted-${transactional}-${compression}`;
    const { remaining, sent, position } = await java.call<{
      remaining: number;
      sent: number;
      position: number;
    }>('compacted', { topic, transactional, compression, keys: 20, rounds: 6 });
    expect(remaining).toBeLessThan(sent);
    expect(await agrees(topic)).toBe(remaining);
    expect((await readTopic(brokers, topic)).positions).toEqual({ 0: position });
  });
});

describe('records', () => {
  const base64 = (text: string): string => Buffer.from(text).toString('base64');

  test('of every shape, in every codec', async () => {
    for (const compression of ['none', 'gzip', 'snappy', 'lz4', 'zstd']) {
      const topic = `shapes-${compression}`;
      await java.call('createTopic', { topic, partitions: 2 });
      const records = [
        { key: base64('k'), value: base64('v') },
        { key: null, value: base64('no key') },
        { key: base64('tombstone'), value: null },
        { key: null, value: null },
        { key: '', value: '' },
        { key: base64('k'), value: base64('with headers'), headers: headersOfAllKinds() },
        { key: base64('k'), value: base64('at a time'), timestamp: 1_500_000_000_123 },
        { key: base64('k'), value: base64('at the beginning of time'), timestamp: 0 },
        { key: null, value: base64('x'.repeat(300_000)) },
        { key: null, value: base64('ü'.repeat(50_000)) },
      ];
      for (const partition of [0, 1])
        await java.call('produce', {
          topic,
          partition,
          records,
          compression,
          linger: 50,
          batchSize: 1_000_000,
        });
      expect(await agrees(topic), compression).toBe(records.length * 2);
    }
  });

  function headersOfAllKinds(): [string, string | null][] {
    return [
      ['trace', base64('abc')],
      ['trace', base64('twice')],
      ['', base64('no name')],
      ['nothing', null],
      ['empty', ''],
      ['ünïcode', base64('ü')],
    ];
  }

  test('stamped by the broker', async () => {
    const topic = 'log-append-time';
    await java.call('createTopic', { topic, configs: { 'message.timestamp.type': 'LogAppendTime' } });
    for (const compression of ['none', 'lz4'])
      await java.call('produceMany', { topic, count: 50, compression, valueBytes: 20 });
    expect(await agrees(topic)).toBe(100);
  });

  test('of 10 MB, between small ones', async () => {
    const topic = 'huge';
    await java.call('createTopic', { topic });
    const records = (bytes: number) => [
      { key: null, value: Buffer.alloc(bytes, bytes % 251).toString('base64') },
    ];
    for (const compression of ['none', 'zstd'])
      for (const bytes of [10, 10_000_000, 20, 5_000_000, 9_999_999, 30])
        await java.call('produce', { topic, partition: 0, records: records(bytes), compression });
    expect(await agrees(topic)).toBe(12);
  });

  test('of 50 partitions', async () => {
    const topic = 'fifty';
    await createTopic(brokers, topic, 50);
    await produceOrders({ brokers, registry, topic, partitions: 50, count: 100_000, format: 'avro' });
    expect(await agrees(topic)).toBe(100_000);
  });

  test('that were not produced by Java', async () => {
    for (const codec of ['none', 'gzip', 'snappy', 'lz4', 'zstd'] as const) {
      const topic = `orders-${codec}`;
      await createTopic(brokers, topic, 2);
      await produceOrders({ brokers, registry, topic, partitions: 2, count: 4_000, format: 'avro', codec });
      expect(await agrees(topic), codec).toBe(4_000);
    }
  });

  test('of a topic that has none', async () => {
    const topic = 'nothing';
    await java.call('createTopic', { topic, partitions: 3 });
    expect(await agrees(topic)).toBe(0);
  });
});

test('of 1,000 partitions each has its turn before any has a second, however much one of them has', async () => {
  const topic = 'thousand';
  const count = 1_000;
  await createTopic(brokers, topic, count);
  await java.call('produceMany', { topic, count: 20 * count });
  // One has more than an answer takes.
  await java.call('produceMany', { topic, count: 3_000, partitions: 1, valueBytes: 1_000 });
  const numbers = [...new Array(count).keys()];
  const options = { group: topic, topics: [topic], partitions: { [topic]: numbers } };
  const source = openSource(brokers, options);
  try {
    const turns: number[] = [];
    const left = new Map<number, number>();
    const { topicPartitions } = await source.start((event) => {
      if (event.type !== 'records') return;
      const { partition, next } = event.set;
      turns.push(partition);
      if (next >= left.get(partition)!) left.delete(partition);
      source.allow(sparing.allowed);
    });
    for (const [key, end] of await source.listOffsets(topicPartitions, 'latest'))
      left.set(parseKey(key).partition, end);
    for (const topicPartition of topicPartitions) source.seek(topicPartition, 0);
    source.allow(sparing.allowed);
    await until(
      () => left.size === 0,
      () => `${left.size} partitions are read to their end`,
      60_000,
    );
    expect(new Set(turns.slice(0, count)).size).toBeGreaterThan(count * 0.98);
    expect(turns.length).toBeGreaterThan(count + 3);
  } finally {
    await source.close();
  }
});
