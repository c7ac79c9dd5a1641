import { createServer } from 'node:net';
import { afterEach, beforeAll, describe, expect, inject, test } from 'vitest';
import { type Clock, systemClock } from '../../../src/base/clock.ts';
import type { KafkaSource, KafkaSourceOptions } from '../../../src/kafka/kafka-source.ts';
import { java } from '../../tools/java.ts';
import { createTopic, openSource, Reading, until } from './reading.ts';

const brokers = inject('brokers');
const base64 = (text: string): string => Buffer.from(text).toString('base64');
const record = (timestamp?: number) => ({ key: null, value: base64('v'), ...(timestamp && { timestamp }) });

beforeAll(() => java.call('configure', { brokers }));

const opened: KafkaSource[] = [];
afterEach(async () => {
  for (const source of opened.splice(0)) await source.close();
});

async function open(options: KafkaSourceOptions, clock?: Clock): Promise<Reading> {
  const source = openSource(brokers, options, clock && { clock });
  opened.push(source);
  const reading = new Reading(source);
  await reading.start();
  return reading;
}

/** Time that runs faster than it should, for what takes minutes. */
function fastClock(factor: number): Clock {
  const startMs = Date.now();
  return {
    nowMs: () => startMs + (Date.now() - startMs) * factor,
    monotonicMs: () => performance.now() * factor,
    sleep: (ms, signal) => systemClock.sleep(ms / factor, signal),
  };
}

const fixed = (topic: string, ...partitions: number[]): KafkaSourceOptions => ({
  group: `group-of-${topic}`,
  topics: [topic],
  partitions: { [topic]: partitions },
});

describe('offsets of a log', () => {
  test('its start, its end, and by time', async () => {
    const topic = 'by-time';
    await createTopic(brokers, topic, 3);
    for (const [partition, timestamps] of [[1000, 2000, 3000, 5000], [4000, 4000], []].entries())
      if (timestamps.length > 0)
        await java.call('produce', { topic, partition, records: timestamps.map(record) });
    await java.call('deleteRecords', { topic, partition: 0, before: 1 });
    const { source } = await open(fixed(topic, 0, 1, 2));
    const all = [0, 1, 2].map((partition) => ({ topic, partition }));
    for (const at of ['earliest', 'latest', 1, 1000, 2500, 3000, 4000, 4001, 5000, 5001] as const) {
      const { offsets } = await java.call<{ offsets: Record<string, number> }>('listOffsets', { topic, at });
      const { offsets: ends } = await java.call<{ offsets: Record<string, number> }>('listOffsets', {
        topic,
      });
      const found = await source.listOffsets(all, at);
      // Java says -1 where no record is as late; here that is the end.
      for (const partition of [0, 1, 2])
        expect(found.get(`${topic}-${partition}`), `${partition} at ${at}`).toBe(
          offsets[partition] === -1 ? ends[partition] : offsets[partition],
        );
    }
    expect(await source.listOffsets([], 'latest')).toEqual(new Map());
  });

  test('its end is where an open transaction begins', async () => {
    const topic = 'end-of-open';
    await java.call('transactions', { topic, scenario: 'open' });
    const { source } = await open(fixed(topic, 0));
    const latest = async (isolation: string) =>
      (await java.call<{ offsets: Record<string, number> }>('listOffsets', { topic, isolation })).offsets[0]!;
    const end = (await source.listOffsets([{ topic, partition: 0 }], 'latest')).get(`${topic}-0`);
    expect(end).toBe(await latest('read_committed'));
    expect(end).toBeLessThan(await latest('read_uncommitted'));
    await java.call('endTransaction', { topic, outcome: 'abort' });
    expect((await source.listOffsets([{ topic, partition: 0 }], 'latest')).get(`${topic}-0`)).toBe(
      await latest('read_uncommitted'),
    );
  });

  test('the range as fetches tell it', async () => {
    const topic = 'ranges';
    await createTopic(brokers, topic, 1);
    await java.call('produce', { topic, partition: 0, records: [record(), record(), record()] });
    await java.call('deleteRecords', { topic, partition: 0, before: 2 });
    const reading = await open(fixed(topic, 0));
    expect([...reading.source.logRanges()]).toEqual([]);
    reading.seek([{ topic, partition: 0 }], 2);
    await until(() => reading.offsets.has('ranges-0'), 'the record is read');
    expect([...reading.source.logRanges()]).toMatchObject([
      ['ranges-0', { start: 2, end: 3, highWatermark: 3, position: 3 }],
    ]);
  });
});

describe('offsets of a group', () => {
  test('are kept with their metadata, and are absent where there are none', async () => {
    const topic = 'committed';
    await createTopic(brokers, topic, 3);
    const { source } = await open(fixed(topic, 0, 1, 2));
    const all = [0, 1, 2].map((partition) => ({ topic, partition }));
    expect(await source.committedOffsets(all)).toEqual(new Map());
    const offsets = new Map([
      ['committed-0', 0],
      ['committed-2', 2 ** 40],
    ]);
    await source.commitOffsets(offsets, '{"pipeline":"ü"}');
    expect(await source.committedOffsets(all)).toEqual(
      new Map([...offsets].map(([key, offset]) => [key, { offset, metadata: '{"pipeline":"ü"}' }])),
    );
    const group = `group-of-${topic}`;
    const asJavaHasThem = await java.call<{ offsets: Record<string, unknown>[] }>('groupOffsets', { group });
    expect(
      asJavaHasThem.offsets.map(({ partition, offset, metadata }) => [partition, offset, metadata]),
    ).toEqual([
      [0, 0, '{"pipeline":"ü"}'],
      [2, 2 ** 40, '{"pipeline":"ü"}'],
    ]);
    await java.call('setGroupOffsets', {
      group,
      offsets: [{ topic, partition: 1, offset: 7, metadata: '' }],
    });
    expect((await source.committedOffsets(all)).get('committed-1')).toEqual({ offset: 7, metadata: '' });
  });

  test('cannot be moved from outside while it has members', async () => {
    const topic = 'foreign';
    await createTopic(brokers, topic, 1);
    const member = await open({ group: 'has-members', topics: [topic] });
    await until(() => member.owned.size === 1, 'the member owns the partition');
    const outsider = await open({ ...fixed(topic, 0), group: 'has-members' });
    await expect(outsider.source.commitOffsets(new Map([['foreign-0', 1]]), '')).rejects.toThrow(
      'committing the offsets of group has-members: UNKNOWN_MEMBER_ID',
    );
    await member.source.commitOffsets(new Map([['foreign-0', 1]]), 'mine');
    expect((await outsider.source.committedOffsets([{ topic, partition: 0 }])).get('foreign-0')).toEqual({
      offset: 1,
      metadata: 'mine',
    });
  });
});

describe('a position outside of the log', () => {
  test('below its start and past its end are told with the range, and reading goes on after a seek', async () => {
    const topic = 'retention';
    await createTopic(brokers, topic, 2);
    for (const partition of [0, 1])
      await java.call('produce', { topic, partition, records: new Array(10).fill(record()) });
    await java.call('deleteRecords', { topic, partition: 0, before: 6 });
    const reading = await open(fixed(topic, 0, 1));
    reading.seek([{ topic, partition: 0 }], 2);
    reading.seek([{ topic, partition: 1 }], 11);
    await until(() => reading.of('outOfRange').length === 2, 'both are told');
    expect(
      reading
        .of('outOfRange')
        .map(({ topicPartition, position, log }) => [topicPartition.partition, position, log]),
    ).toEqual(
      expect.arrayContaining([
        [0, 2, { start: 6, end: 10 }],
        [1, 11, { start: 0, end: 10 }],
      ]),
    );
    reading.seek([{ topic, partition: 0 }], 6);
    reading.seek([{ topic, partition: 1 }], 8);
    await until(() => reading.position({ topic, partition: 0 }) === 10, 'partition 0 is read');
    await until(() => reading.position({ topic, partition: 1 }) === 10, 'partition 1 is read');
    expect(Object.fromEntries(reading.offsets)).toEqual({
      'retention-0': [6, 7, 8, 9],
      'retention-1': [8, 9],
    });
    expect(reading.of('outOfRange').length).toBe(2);
  });

  test('because records were deleted while it was read', async () => {
    const topic = 'overtaken';
    await createTopic(brokers, topic, 1);
    const reading = await open(fixed(topic, 0));
    reading.seek([{ topic, partition: 0 }], 0);
    await java.call('produce', { topic, partition: 0, records: [record(), record()] });
    await until(() => reading.position({ topic, partition: 0 }) === 2, 'the first records are read');
    reading.onEvent = () => reading.source.allow(0);
    reading.source.allow(0);
    await java.call('produce', { topic, partition: 0, records: new Array(5).fill(record()) });
    await systemClock.sleep(600); // whatever was under way has come
    const position = reading.position({ topic, partition: 0 })!;
    await java.call('produce', { topic, partition: 0, records: new Array(5).fill(record()) });
    await java.call('deleteRecords', { topic, partition: 0, before: 11 });
    reading.source.allow(64 * 1024 * 1024);
    await until(() => reading.of('outOfRange').length === 1, 'it is told');
    expect(reading.of('outOfRange')[0]).toMatchObject({ position, log: { start: 11, end: 12 } });
  });
});

describe('a topic', () => {
  test('that is deleted fails within 40 seconds', async () => {
    const topic = 'deleted';
    await createTopic(brokers, topic, 2);
    const reading = await open(fixed(topic, 0, 1), fastClock(20));
    reading.seek([{ topic, partition: 0 }], 0);
    await java.call('deleteTopic', { topic });
    await until(() => reading.of('failed').length > 0, 'it fails', 5_000);
    expect(reading.of('failed')[0]!.error.message).toContain('UNKNOWN_TOPIC_OR_PARTITION');
  });

  test('that is deleted and made anew fails, whatever it has at the position', async () => {
    const topic = 'anew';
    await createTopic(brokers, topic, 1);
    await java.call('produce', { topic, partition: 0, records: [record(), record()] });
    const reading = await open(fixed(topic, 0));
    reading.seek([{ topic, partition: 0 }], 0);
    await until(() => reading.position({ topic, partition: 0 }) === 2, 'it is read');
    await java.call('deleteTopic', { topic });
    await createTopic(brokers, topic, 1);
    await java.call('produce', { topic, partition: 0, records: new Array(5).fill(record()) });
    await until(() => reading.of('failed').length > 0, 'it fails');
    expect(reading.of('failed')[0]!.error.message).toMatch(
      /fetching topic anew: it was deleted and made anew \(topic id [0-9a-f-]{36} is now [0-9a-f-]{36}\)/,
    );
    expect(reading.offsets.get('anew-0')).toEqual([0, 1]);
  });

  test('that does not exist is named', async () => {
    await expect(open(fixed('no-such-topic', 0), fastClock(100))).rejects.toThrow(
      'asking for the metadata of no-such-topic: UNKNOWN_TOPIC_OR_PARTITION',
    );
  });

  test('whose partition does not exist is named', async () => {
    await createTopic(brokers, 'two', 2);
    await expect(open(fixed('two', 0, 2))).rejects.toThrow('assigning two-2: the topic has 2 partitions');
  });
});

describe('a broker', () => {
  test('that is not there at the start is named within a minute', async () => {
    const port = await closedPort();
    const source = openSource(`127.0.0.1:${port}`, fixed('orders', 0), { clock: fastClock(20) });
    opened.push(source);
    const startMs = Date.now();
    await expect(source.start(() => {})).rejects.toThrow(
      `connecting to 127.0.0.1:${port}: connect ECONNREFUSED`,
    );
    expect(Date.now() - startMs).toBeLessThan(5_000);
  });

  test('that does not speak Kafka is named', async () => {
    const server = createServer((socket) => socket.end('HTTP/1.1 400 Bad Request\r\n\r\n'));
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const { port } = server.address() as { port: number };
    try {
      const source = openSource(`127.0.0.1:${port}`, fixed('orders', 0), { clock: fastClock(100) });
      opened.push(source);
      await expect(source.start(() => {})).rejects.toThrow(
        `connecting to 127.0.0.1:${port}: the broker ended the connection without an answer`,
      );
    } finally {
      server.close();
    }
  });

  async function closedPort(): Promise<number> {
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const { port } = server.address() as { port: number };
    await new Promise((resolve) => server.close(resolve));
    return port;
  }
});
