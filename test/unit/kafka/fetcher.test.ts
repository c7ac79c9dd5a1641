import { beforeEach, describe, expect, test } from 'vitest';
import { FatalError, TransientError } from '../../../src/base/errors.ts';
import { silentLog } from '../../../src/base/log.ts';
import { KafkaError } from '../../../src/kafka/errors.ts';
import { partitionBytesOf } from '../../../src/kafka/fetch-plan.ts';
import type { FetchRequest } from '../../../src/kafka/fetch-request.ts';
import type { FetchedPartition, FetchResponse } from '../../../src/kafka/fetch-response.ts';
import { Fetcher } from '../../../src/kafka/fetcher.ts';
import type { LogRange, RecordSet, SourceEvent } from '../../../src/kafka/source.ts';
import type { ClusterMetadata, Wire } from '../../../src/kafka/wire.ts';
import { ManualClock, settle } from '../base/clock.ts';
import { batch, offsetsOf, readAll } from './record-sets.ts';

const errorCodes = { outOfRange: 1, notLeader: 6, topicAuthorizationFailed: 29, unknownTopicId: 100 };
const mebibyte = 1024 * 1024;

interface Asked {
  broker: string;
  request: FetchRequest;
  answer(response: Partial<FetchResponse>): Promise<void>;
  fail(error: Error): Promise<void>;
}

/** Brokers that answer when the test says so, and a fetcher that asks them. */
class Cluster {
  readonly clock = new ManualClock();
  readonly asked: Asked[] = [];
  readonly events: SourceEvent[] = [];
  refreshes = 0;
  /** What the next refresh brings; an error is thrown. */
  coming: ClusterMetadata | Error | undefined;
  /** How log ranges are answered. */
  logRange: () => Promise<LogRange> = async () => ({ start: 100, end: 200 });
  onEvent: (event: SourceEvent) => void = () => {};
  metadata: ClusterMetadata;
  readonly fetcher: Fetcher;

  constructor(topics: Record<string, { id: string; leaders: number[] }>, isFixed = false) {
    this.metadata = metadataOf(topics);
    const wire = {
      fetch: (broker: { host: string }, request: FetchRequest) =>
        new Promise<FetchResponse>((resolve, reject) => {
          this.asked.push({
            broker: broker.host,
            request,
            answer: (response) => {
              resolve({ throttleMs: 0, errorCode: 0, sessionId: 0, partitions: [], ...response });
              return settle();
            },
            fail: (error) => {
              reject(error);
              return settle();
            },
          });
        }),
    };
    this.fetcher = new Fetcher({
      wire: wire as unknown as Wire,
      clock: this.clock,
      log: silentLog,
      metadata: () => this.metadata,
      refresh: async () => {
        this.refreshes++;
        if (this.coming instanceof Error) throw this.coming;
        this.metadata = this.coming ?? this.metadata;
        return this.metadata;
      },
      logRange: () => this.logRange(),
      isFixed,
      metadataAgeMaxMs: 5 * 60_000,
    });
    this.fetcher.start((event) => {
      this.events.push(event);
      this.onEvent(event);
    });
  }

  seek(topic: string, partition: number, offset: number, epoch?: number): number {
    const { topicId } = this.metadata.topics.get(topic)!;
    return this.fetcher.seek({ topic, partition, topicId }, offset, epoch);
  }

  get sets(): RecordSet[] {
    return this.events.flatMap((event) => (event.type === 'records' ? [event.set] : []));
  }

  /** The latest request, which nobody has answered. */
  get last(): Asked {
    return this.asked.at(-1)!;
  }
}

function metadataOf(
  topics: Record<string, { id: string; leaders: number[]; epochs?: number[] }>,
): ClusterMetadata {
  const nodes = [1, 2, 3].map((id) => [id, { host: `broker-${id}`, port: 9092 }] as const);
  return {
    clusterId: 'cluster',
    brokers: new Map(nodes),
    topics: new Map(
      Object.entries(topics).map(([topic, { id, leaders, epochs = leaders.map(() => 0) }]) => [
        topic,
        { topic, topicId: id, leaders, epochs },
      ]),
    ),
  };
}

function part(topicId: string, partition: number, records: Buffer, more: Partial<FetchedPartition> = {}) {
  return {
    topicId,
    partition,
    errorCode: 0,
    highWatermark: 1000,
    lastStableOffset: 900,
    logStartOffset: 0,
    aborted: null,
    preferredReplica: -1,
    records,
    ...more,
  };
}

const nothing = Buffer.alloc(0);

/** `orders-0 5` for each partition that a request asks for, in its order. */
function positions({ request }: Asked): string[] {
  return request.topics.flatMap(({ topicId, partitions }) =>
    partitions.map(({ partition, offset }) => `${topicId}-${partition} ${offset}`),
  );
}

let cluster: Cluster;
beforeEach(() => {
  cluster = new Cluster({ orders: { id: 'o', leaders: [1, 1, 2] } });
});

describe('requests', () => {
  test('need a position and leave to fetch', async () => {
    cluster.fetcher.allow(64 * mebibyte);
    expect(cluster.asked).toEqual([]);
    cluster.fetcher.allow(0);
    cluster.seek('orders', 0, 5);
    expect(cluster.asked).toEqual([]);
    cluster.fetcher.allow(64 * mebibyte);
    expect(cluster.asked.map(positions)).toEqual([['o-0 5']]);
  });

  test('are one in flight for each broker, for all its partitions', async () => {
    cluster.seek('orders', 0, 5);
    cluster.seek('orders', 1, 6);
    cluster.seek('orders', 2, 7);
    cluster.fetcher.allow(64 * mebibyte);
    expect(cluster.asked.map((asked) => [asked.broker, positions(asked)])).toEqual([
      ['broker-1', ['o-0 5', 'o-1 6']],
      ['broker-2', ['o-2 7']],
    ]);
    cluster.fetcher.allow(64 * mebibyte);
    cluster.seek('orders', 1, 60);
    await settle();
    expect(cluster.asked.length).toBe(2);
    await cluster.asked[0]!.answer({});
    expect(cluster.asked.map((asked) => asked.broker)).toEqual(['broker-1', 'broker-2', 'broker-1']);
    expect(positions(cluster.last)).toEqual(['o-0 5', 'o-1 60']);
  });

  test('go on where the last answer ended', async () => {
    cluster.fetcher.allow(64 * mebibyte);
    const generation = cluster.seek('orders', 0, 5);
    await cluster.last.answer({ partitions: [part('o', 0, Buffer.concat([batch(3, 4), batch(9, 2)]))] });
    expect(positions(cluster.last)).toEqual(['o-0 11']);
    expect(cluster.sets).toMatchObject([
      { topic: 'orders', partition: 0, generation, from: 5, next: 11, aborted: null },
    ]);
    const { records, from } = cluster.sets[0]!;
    expect(offsetsOf(readAll(Buffer.from(records.buffer), from))).toEqual([5, 6, 9, 10]);
  });

  test('hand on the index of aborted transactions, and bytes that nobody shares', async () => {
    cluster.fetcher.allow(64 * mebibyte);
    cluster.seek('orders', 0, 0);
    const answer = Buffer.concat([batch(0, 1), batch(0, 1)]);
    const aborted = [{ producerId: 7n, firstOffset: 0 }];
    await cluster.last.answer({
      partitions: [part('o', 0, answer.subarray(0, answer.length / 2), { aborted })],
    });
    expect(cluster.sets[0]!.aborted).toEqual(aborted);
    expect(cluster.sets[0]!.records.buffer.byteLength).toBe(answer.length / 2);
  });

  test('go to the new leader after a change', async () => {
    cluster.fetcher.allow(64 * mebibyte);
    cluster.seek('orders', 0, 5);
    cluster.coming = metadataOf({ orders: { id: 'o', leaders: [3, 1, 2] } });
    await cluster.last.answer({ partitions: [part('o', 0, nothing, { errorCode: errorCodes.notLeader })] });
    expect(cluster.refreshes).toBe(1);
    await cluster.clock.pass(200);
    expect(cluster.last.broker).toBe('broker-3');
    expect(positions(cluster.last)).toEqual(['o-0 5']);
    expect(cluster.events).toEqual([]);
  });

  test('go to a new leader within minutes even if the old one goes on answering', async () => {
    cluster.fetcher.allow(64 * mebibyte);
    cluster.seek('orders', 0, 5);
    cluster.coming = metadataOf({ orders: { id: 'o', leaders: [3, 1, 2] } });
    for (let i = 0; i < 10; i++) {
      await cluster.clock.pass(30_000);
      expect(cluster.last.broker).toBe('broker-1');
      await cluster.last.answer({});
    }
    expect(cluster.refreshes).toBe(0);
    await cluster.clock.pass(30_000);
    await cluster.last.answer({});
    await cluster.last.answer({});
    expect(cluster.last.broker).toBe('broker-3');
    expect(cluster.refreshes).toBe(1);
  });

  test('wait for a leader while there is none', async () => {
    cluster = new Cluster({ orders: { id: 'o', leaders: [-1] } });
    cluster.fetcher.allow(64 * mebibyte);
    cluster.seek('orders', 0, 5);
    await cluster.clock.pass(1000);
    expect(cluster.asked).toEqual([]);
    expect(cluster.refreshes).toBeGreaterThanOrEqual(5);
    expect(cluster.refreshes).toBeLessThanOrEqual(7);
    cluster.coming = metadataOf({ orders: { id: 'o', leaders: [2] } });
    await cluster.clock.pass(400);
    expect(cluster.last.broker).toBe('broker-2');
  });

  test('for a partition that the metadata does not know yet wait for it', async () => {
    cluster.fetcher.allow(64 * mebibyte);
    cluster.coming = metadataOf({ orders: { id: 'o', leaders: [1, 1, 2, 2] } });
    cluster.seek('orders', 3, 0);
    await cluster.clock.pass(200);
    expect(positions(cluster.last)).toEqual(['o-3 0']);
  });
});

describe('fairness', () => {
  test('partitions that waited longest are asked for first', async () => {
    const count = 20;
    cluster = new Cluster({ many: { id: 'm', leaders: new Array(count).fill(1) } });
    for (let i = 0; i < count; i++) cluster.seek('many', i, 0);
    cluster.fetcher.allow(16 * mebibyte);
    const served: number[] = [];
    // A broker that gives one batch of the first partition asked for, always.
    for (let i = 0; i < count * 3; i++) {
      const { partition, offset } = cluster.last.request.topics[0]!.partitions[0]!;
      served.push(partition);
      cluster.fetcher.allow(16 * mebibyte);
      await cluster.last.answer({ partitions: [part('m', partition, batch(offset, 1))] });
    }
    for (let round = 0; round < 3; round++)
      expect(served.slice(round * count, (round + 1) * count).sort((a, b) => a - b)).toEqual([
        ...new Array(count).keys(),
      ]);
  });

  test('a batch that did not come whole is asked for first', async () => {
    cluster.fetcher.allow(64 * mebibyte);
    cluster.seek('orders', 0, 0);
    cluster.seek('orders', 1, 0);
    await cluster.last.answer({});
    const whole = batch(0, 1);
    await cluster.last.answer({
      partitions: [part('o', 0, whole.subarray(0, -1)), part('o', 1, batch(0, 1))],
    });
    expect(positions(cluster.last)).toEqual(['o-0 0', 'o-1 1']);
    await cluster.last.answer({ partitions: [part('o', 0, whole)] });
    expect(cluster.sets.map(({ partition, next }) => [partition, next])).toEqual([
      [1, 1],
      [0, 1],
    ]);
  });

  test('topics come in the order of their first partition, each once', async () => {
    cluster = new Cluster({ a: { id: 'A', leaders: [1, 1] }, b: { id: 'B', leaders: [1] } });
    cluster.seek('a', 0, 0);
    cluster.seek('a', 1, 0);
    cluster.seek('b', 0, 0);
    cluster.fetcher.allow(64 * mebibyte);
    await cluster.last.answer({ partitions: [part('A', 0, batch(0, 1))] });
    expect(positions(cluster.last)).toEqual(['A-1 0', 'A-0 1', 'B-0 0']);
    await cluster.last.answer({ partitions: [part('A', 1, batch(0, 1))] });
    expect(positions(cluster.last)).toEqual(['B-0 0', 'A-0 1', 'A-1 1']);
  });

  test('with little allowed every broker gets its turn', async () => {
    cluster = new Cluster({ orders: { id: 'o', leaders: [1, 2, 3] } });
    for (let i = 0; i < 3; i++) cluster.seek('orders', i, 0);
    cluster.fetcher.allow(16 * mebibyte);
    const turns: string[] = [];
    for (let i = 0; i < 6; i++) {
      turns.push(cluster.last.broker);
      await cluster.last.answer({});
    }
    expect(turns).toEqual(['broker-1', 'broker-2', 'broker-3', 'broker-1', 'broker-2', 'broker-3']);
  });
});

describe('what is allowed', () => {
  test('is asked for at most, over all brokers', async () => {
    cluster.seek('orders', 0, 0);
    cluster.seek('orders', 2, 0);
    cluster.fetcher.allow(20 * mebibyte);
    expect(cluster.asked.map(({ request }) => request.bytesMax)).toEqual([16 * mebibyte, 4 * mebibyte]);
    expect(cluster.asked.map(({ request }) => request.partitionBytesMax)).toEqual([
      4 * mebibyte,
      4 * mebibyte,
    ]);
    expect(cluster.fetcher.reservedBytes).toBe(20 * mebibyte);
    await cluster.asked[1]!.answer({});
    expect(cluster.fetcher.reservedBytes).toBe(20 * mebibyte);
  });

  test('is shared evenly by the partitions that are asked for', () => {
    const share = (count: number): number => partitionBytesOf(16 * mebibyte, count) / mebibyte;
    expect([1, 4, 5, 8, 9, 16, 64, 1_000].map(share)).toEqual([4, 4, 2, 2, 1, 1, 0.25, 0.25]);
    cluster = new Cluster({ orders: { id: 'o', leaders: Array(8).fill(1) } });
    for (let i = 0; i < 8; i++) cluster.seek('orders', i, 0);
    cluster.fetcher.allow(16 * mebibyte);
    expect(cluster.last.request.partitionBytesMax).toBe(2 * mebibyte);
  });

  test('may be nothing: fetching stops, and goes on when there is something again', async () => {
    cluster.fetcher.allow(16 * mebibyte);
    cluster.seek('orders', 0, 0);
    cluster.fetcher.allow(0);
    await cluster.last.answer({ partitions: [part('o', 0, batch(0, 1))] });
    await cluster.clock.pass(60_000);
    expect(cluster.asked.length).toBe(1);
    expect(cluster.fetcher.reservedBytes).toBe(0);
    expect(cluster.sets.length).toBe(1); // what was under way has come
    cluster.fetcher.allow(300_000.7);
    expect(cluster.asked.length).toBe(2);
    expect(positions(cluster.last)).toEqual(['o-0 1']);
    expect(cluster.last.request).toMatchObject({ bytesMax: 300_000 });
  });

  test('is used up by what comes', async () => {
    const large = batch(0, 1, { baseTimestamp: 0 });
    const big = Buffer.concat([large, Buffer.alloc(3 * mebibyte)]); // a cut off batch behind it counts as well
    cluster.fetcher.allow(4 * mebibyte);
    cluster.seek('orders', 0, 0);
    big.writeInt32BE(0x7fffffff, large.length + 8);
    big[large.length + 16] = 2;
    await cluster.last.answer({ partitions: [part('o', 0, big)] });
    expect(cluster.last.request.bytesMax).toBe(mebibyte - large.length);
  });

  test('is not worth a request when it is less than a quarter of a mebibyte', () => {
    cluster.seek('orders', 0, 0);
    cluster.fetcher.allow(256 * 1024 - 1);
    expect(cluster.asked).toEqual([]);
    cluster.fetcher.allow(256 * 1024);
    expect(cluster.asked.length).toBe(1);
  });

  test('may be said while an answer is taken, without a partition being fetched twice', async () => {
    cluster.fetcher.allow(64 * mebibyte);
    cluster.seek('orders', 0, 0);
    cluster.seek('orders', 1, 0);
    await cluster.last.answer({});
    cluster.onEvent = () => cluster.fetcher.allow(64 * mebibyte);
    const asked = cluster.asked.length;
    await cluster.last.answer({ partitions: [part('o', 0, batch(0, 2)), part('o', 1, batch(0, 3))] });
    expect(cluster.asked.slice(asked).map(positions)).toEqual([['o-0 2', 'o-1 3']]);
  });
});

describe('answers for nobody', () => {
  const late = { partitions: [part('o', 0, batch(5, 5))] };

  test('are dropped after a seek, and carry the new generation when they are asked for anew', async () => {
    cluster.fetcher.allow(64 * mebibyte);
    const first = cluster.seek('orders', 0, 5);
    const second = cluster.seek('orders', 0, 7);
    expect(second).toBeGreaterThan(first);
    await cluster.last.answer(late);
    expect(cluster.events).toEqual([]);
    expect(positions(cluster.last)).toEqual(['o-0 7']);
    await cluster.last.answer(late);
    expect(cluster.sets).toMatchObject([{ generation: second, from: 7, next: 10 }]);
  });

  test('are dropped even if the seek was to where it was', async () => {
    cluster.fetcher.allow(64 * mebibyte);
    cluster.seek('orders', 0, 5);
    const generation = cluster.seek('orders', 0, 5);
    await cluster.last.answer(late);
    expect(cluster.events).toEqual([]);
    await cluster.last.answer(late);
    expect(cluster.sets).toMatchObject([{ generation, from: 5, next: 10 }]);
  });

  test('are dropped after a stop, errors too', async () => {
    cluster.fetcher.allow(64 * mebibyte);
    cluster.seek('orders', 0, 5);
    cluster.seek('orders', 1, 5);
    await cluster.last.answer({});
    await cluster.last.answer({ partitions: [part('o', 1, nothing)] });
    expect([...cluster.fetcher.logRanges]).toMatchObject([
      ['orders-1', { start: 0, end: 900, highWatermark: 1000 }],
    ]);
    cluster.fetcher.stop([{ topic: 'orders', partition: 0 }]);
    cluster.fetcher.stop([{ topic: 'orders', partition: 1 }]);
    await cluster.last.answer({
      partitions: [
        part('o', 0, batch(5, 5)),
        part('o', 1, nothing, { errorCode: errorCodes.topicAuthorizationFailed }),
      ],
    });
    await cluster.clock.pass(10_000);
    expect(cluster.events).toEqual([]);
    expect(cluster.fetcher.logRanges.size).toBe(0);
    expect(cluster.asked.length).toBe(3);
  });

  test('are dropped when they come from two leaders: the slower one is for a position that was left', async () => {
    cluster = new Cluster({ orders: { id: 'o', leaders: [1, 1] } });
    cluster.fetcher.allow(64 * mebibyte);
    cluster.seek('orders', 0, 0);
    const [old] = cluster.asked;
    // It moves to broker 2 while broker 1 is still to answer.
    cluster.metadata = metadataOf({ orders: { id: 'o', leaders: [2, 2] } });
    cluster.fetcher.allow(64 * mebibyte);
    expect(cluster.asked.map((asked) => [asked.broker, positions(asked)])).toEqual([
      ['broker-1', ['o-0 0']],
      ['broker-2', ['o-0 0']],
    ]);
    await cluster.asked[1]!.answer({ partitions: [part('o', 0, batch(0, 3))] });
    await old!.answer({ partitions: [part('o', 0, batch(0, 5))] });
    expect(cluster.sets.map(({ from, next }) => [from, next])).toEqual([[0, 3]]);
  });

  test('are dropped after close, and nothing more is asked', async () => {
    cluster.fetcher.allow(64 * mebibyte);
    cluster.seek('orders', 0, 5);
    cluster.seek('orders', 2, 5);
    const [first, second] = cluster.asked;
    await cluster.fetcher.close();
    await first!.answer(late);
    await second!.fail(new TransientError('the connection was closed'));
    cluster.fetcher.allow(64 * mebibyte);
    await cluster.clock.pass(60_000);
    expect(cluster.events).toEqual([]);
    expect(cluster.asked.length).toBe(2);
    expect(cluster.refreshes).toBe(0);
    expect(cluster.fetcher.reservedBytes).toBe(0);
  });

  test('for partitions that were not asked for are dropped', async () => {
    cluster.fetcher.allow(64 * mebibyte);
    cluster.seek('orders', 0, 5);
    await cluster.last.answer({
      partitions: [part('other', 0, batch(5, 1)), part('o', 1, batch(5, 1)), part('o', 0, batch(5, 1))],
    });
    expect(cluster.sets.map(({ topic, partition }) => [topic, partition])).toEqual([['orders', 0]]);
  });
});

describe('leader epochs', () => {
  const asked = (): unknown[] =>
    cluster.last.request.topics.flatMap(({ partitions }) =>
      partitions.map(({ partition, offset, epoch, leaderEpoch }) => [partition, offset, epoch, leaderEpoch]),
    );

  test('of the record before the position and of the leader go with every request', async () => {
    cluster.metadata = metadataOf({ orders: { id: 'o', leaders: [1, 1, 2], epochs: [7, 8, 9] } });
    cluster.fetcher.allow(64 * mebibyte);
    cluster.seek('orders', 0, 5);
    cluster.seek('orders', 1, 6, 3);
    await cluster.last.answer({});
    expect(asked()).toEqual([
      [0, 5, undefined, 7],
      [1, 6, 3, 8],
    ]);
    const set = Buffer.concat([batch(5, 2, { leaderEpoch: 4 }), batch(7, 1, { leaderEpoch: 7 })]);
    await cluster.last.answer({ partitions: [part('o', 0, set)] });
    expect(cluster.sets[0]!.epochs).toEqual([
      { offset: 5, epoch: 4 },
      { offset: 7, epoch: 7 },
    ]);
    expect(asked()).toContainEqual([0, 8, 7, 7]);
  });

  test('that part from the log’s are told once, and not fetched again until the position is sought', async () => {
    cluster.fetcher.allow(64 * mebibyte);
    const generation = cluster.seek('orders', 0, 50, 3);
    await cluster.last.answer({ partitions: [part('o', 0, nothing, { divergingEnd: 40 })] });
    expect(cluster.events).toEqual([
      {
        type: 'truncated',
        topicPartition: { topic: 'orders', partition: 0 },
        generation,
        position: 50,
        end: 40,
      },
    ]);
    await cluster.clock.pass(10_000);
    expect(cluster.asked.length).toBe(1);
    cluster.seek('orders', 0, 40);
    expect(positions(cluster.last)).toEqual(['o-0 40']);
  });
});

describe('a position outside of the log', () => {
  const outOfRange = { partitions: [part('o', 0, nothing, { errorCode: errorCodes.outOfRange })] };

  test('is told once, and not fetched again until it is sought', async () => {
    cluster.fetcher.allow(64 * mebibyte);
    const generation = cluster.seek('orders', 0, 5);
    cluster.seek('orders', 1, 6);
    await cluster.last.answer({});
    await cluster.last.answer(outOfRange);
    for (let i = 0; i < 3; i++) {
      await cluster.clock.pass(1000);
      expect(positions(cluster.last)).toEqual(['o-1 6']);
      await cluster.last.answer({});
    }
    expect(cluster.events).toEqual([
      {
        type: 'outOfRange',
        topicPartition: { topic: 'orders', partition: 0 },
        generation,
        position: 5,
        log: { start: 100, end: 200 },
      },
    ]);
    cluster.seek('orders', 0, 100);
    await cluster.last.answer({});
    expect(positions(cluster.last).sort()).toEqual(['o-0 100', 'o-1 6']);
  });

  test('is not told when it was left meanwhile', async () => {
    const range = Promise.withResolvers<LogRange>();
    cluster.logRange = () => range.promise;
    cluster.fetcher.allow(64 * mebibyte);
    cluster.seek('orders', 0, 5);
    await cluster.last.answer(outOfRange);
    cluster.seek('orders', 0, 120);
    await cluster.clock.pass(1000);
    range.resolve({ start: 100, end: 200 });
    await settle();
    expect(cluster.events).toEqual([]);
    expect(positions(cluster.last)).toEqual(['o-0 120']);
  });

  test('is asked for anew of whoever leads now: an old leader may have answered', async () => {
    cluster.fetcher.allow(64 * mebibyte);
    cluster.seek('orders', 0, 5);
    cluster.coming = metadataOf({ orders: { id: 'o', leaders: [3] } });
    let leaderWhenAsked: number | undefined;
    cluster.logRange = async () => {
      leaderWhenAsked = cluster.metadata.topics.get('orders')!.leaders[0];
      return { start: 100, end: 200 };
    };
    await cluster.last.answer(outOfRange);
    await cluster.clock.pass(1000);
    expect(leaderWhenAsked).toBe(3);
  });

  test('is not told after close, whether its range can be had or not', async () => {
    for (const isFound of [true, false]) {
      cluster = new Cluster({ orders: { id: 'o', leaders: [1] } });
      const range = Promise.withResolvers<LogRange>();
      cluster.logRange = () => range.promise;
      cluster.fetcher.allow(64 * mebibyte);
      cluster.seek('orders', 0, 5);
      await cluster.last.answer(outOfRange);
      await cluster.fetcher.close();
      if (isFound) range.resolve({ start: 1, end: 2 });
      else range.reject(new Error('closed'));
      await settle();
      expect(cluster.events).toEqual([]);
    }
  });

  test('fails when the range cannot be had', async () => {
    const error = new TransientError('no answer');
    cluster.logRange = () => Promise.reject(error);
    cluster.fetcher.allow(64 * mebibyte);
    cluster.seek('orders', 0, 5);
    await cluster.last.answer(outOfRange);
    await cluster.clock.pass(1000);
    expect(cluster.events).toEqual([{ type: 'failed', error }]);
  });
});

describe('errors', () => {
  test('of one partition do not hold up the others', async () => {
    cluster.fetcher.allow(64 * mebibyte);
    cluster.seek('orders', 0, 5);
    cluster.seek('orders', 1, 6);
    await cluster.last.answer({});
    await cluster.last.answer({
      partitions: [part('o', 0, nothing, { errorCode: errorCodes.notLeader }), part('o', 1, batch(6, 1))],
    });
    expect(cluster.sets.map(({ next }) => next)).toEqual([7]);
    expect(cluster.refreshes).toBe(1);
    await cluster.clock.pass(199);
    expect(cluster.asked.length).toBe(2); // the broker is left alone for a moment
    await cluster.clock.pass(1);
    expect(positions(cluster.last).sort()).toEqual(['o-0 5', 'o-1 7']);
  });

  test('that a person must mend fail, once, and end all fetching', async () => {
    cluster.fetcher.allow(64 * mebibyte);
    cluster.seek('orders', 0, 5);
    cluster.seek('orders', 1, 6);
    await cluster.last.answer({});
    const denied = { errorCode: errorCodes.topicAuthorizationFailed };
    await cluster.last.answer({
      partitions: [part('o', 0, nothing, denied), part('o', 1, nothing, denied)],
    });
    await cluster.clock.pass(60_000);
    expect(cluster.events.length).toBe(1);
    expect(cluster.events[0]).toMatchObject({
      type: 'failed',
      error: {
        id: 'TOPIC_AUTHORIZATION_FAILED',
        message:
          'fetching orders-0 from offset 5: TOPIC_AUTHORIZATION_FAILED on topic orders: grant this principal READ and DESCRIBE on the topic',
      },
    });
    expect(cluster.asked.length).toBe(2);
  });

  test('of the connection refresh the metadata, and it is asked again after a moment', async () => {
    cluster.fetcher.allow(64 * mebibyte);
    cluster.seek('orders', 0, 5);
    for (let i = 1; i <= 3; i++) {
      await cluster.last.fail(new KafkaError('fetching', 'NETWORK', 'connection refused', undefined));
      expect(cluster.refreshes).toBe(i);
      expect(cluster.asked.length).toBe(i);
      expect(cluster.fetcher.reservedBytes).toBe(0);
      await cluster.clock.pass(200);
      expect(cluster.asked.length).toBe(i + 1);
      expect(positions(cluster.last)).toEqual(['o-0 5']);
    }
    expect(cluster.events).toEqual([]);
  });

  test('of metadata on top of that are survived', async () => {
    cluster.fetcher.allow(64 * mebibyte);
    cluster.seek('orders', 0, 5);
    cluster.coming = new TransientError('nobody there');
    await cluster.last.fail(new TransientError('connection refused'));
    await cluster.clock.pass(200);
    expect(cluster.asked.length).toBe(2);
    expect(cluster.events).toEqual([]);
  });

  test.each([
    ['an old broker', new FatalError('Apache Kafka 4.0 or newer is needed')],
    ['an unknown one', new TypeError('undefined is not a function')],
  ])('that do not pass fail: %s', async (_, error) => {
    cluster.fetcher.allow(64 * mebibyte);
    cluster.seek('orders', 0, 5);
    await cluster.last.fail(error);
    await cluster.clock.pass(60_000);
    expect(cluster.events).toEqual([{ type: 'failed', error }]);
    expect(cluster.asked.length).toBe(1);
  });

  test('of the answer as a whole are those of a request', async () => {
    cluster.fetcher.allow(64 * mebibyte);
    cluster.seek('orders', 0, 5);
    await cluster.last.answer({ errorCode: -1, partitions: [part('o', 0, batch(5, 1))] });
    expect(cluster.events).toEqual([]);
    await cluster.clock.pass(200);
    expect(positions(cluster.last)).toEqual(['o-0 5']);
  });

  test('in the bytes are asked for again, and fail with the place when they come again and again', async () => {
    cluster.fetcher.allow(64 * mebibyte);
    cluster.seek('orders', 0, 5);
    const old = batch(5, 1);
    old[16] = 1;
    for (let again = 0; again < 5; again++) {
      await cluster.last.answer({ partitions: [part('o', 0, old)] });
      expect(cluster.events).toEqual([]);
      await cluster.clock.pass(200);
      expect(positions(cluster.last)).toEqual(['o-0 5']);
    }
    await cluster.last.answer({ partitions: [part('o', 0, old)] });
    expect(cluster.events).toMatchObject([
      {
        type: 'failed',
        error: {
          message:
            'reading orders-0 from offset 5: message format v1 is not supported: the topic holds records from before Kafka 0.11',
        },
      },
    ]);
  });

  test('in an answer as a whole, too; one that is right makes up for those before', async () => {
    const damaged = new KafkaError(
      'fetching from b:9092',
      'DAMAGED',
      'the fetch response is cut off',
      undefined,
    );
    cluster.fetcher.allow(64 * mebibyte);
    cluster.seek('orders', 0, 5);
    const damage = async (): Promise<void> => {
      await cluster.last.fail(damaged);
      await cluster.clock.pass(200);
    };
    for (let again = 0; again < 5; again++) await damage();
    await cluster.last.answer({ partitions: [part('o', 0, batch(5, 1))] });
    for (let again = 0; again < 5; again++) await damage();
    expect(cluster.events.map(({ type }) => type)).toEqual(['records']);
    expect(positions(cluster.last)).toEqual(['o-0 6']);
    await cluster.last.fail(damaged);
    expect(cluster.events.at(-1)).toEqual({ type: 'failed', error: damaged });
  });
});

describe('throttling', () => {
  test('is respected: the broker is not asked before its time', async () => {
    cluster.fetcher.allow(64 * mebibyte);
    cluster.seek('orders', 0, 5);
    await cluster.last.answer({ throttleMs: 3000, partitions: [part('o', 0, batch(5, 1))] });
    expect(cluster.sets.length).toBe(1);
    cluster.fetcher.allow(64 * mebibyte);
    await cluster.clock.pass(2999);
    expect(cluster.asked.length).toBe(1);
    await cluster.clock.pass(1);
    expect(positions(cluster.last)).toEqual(['o-0 6']);
  });

  test('is respected by what the handling of records sets off', async () => {
    cluster.fetcher.allow(64 * mebibyte);
    cluster.seek('orders', 0, 5);
    cluster.onEvent = () => {
      cluster.fetcher.allow(64 * mebibyte);
      cluster.seek('orders', 1, 0);
    };
    await cluster.last.answer({ throttleMs: 3000, partitions: [part('o', 0, batch(5, 1))] });
    await cluster.clock.pass(2999);
    expect(cluster.asked.length).toBe(1);
  });

  test('does not hold up other brokers, nor the end', async () => {
    cluster.fetcher.allow(64 * mebibyte);
    cluster.seek('orders', 0, 5);
    await cluster.last.answer({ throttleMs: 60_000 });
    cluster.seek('orders', 2, 7);
    expect(cluster.last.broker).toBe('broker-2');
    expect(cluster.clock.sleeping).toBe(2); // the throttled broker, and the watch over deleted topics
    await cluster.fetcher.close();
    expect(cluster.clock.sleeping).toBe(0);
  });
});

describe('a topic that was deleted while nothing of it was ours', () => {
  test('fails: a member that was left without partitions must say why', async () => {
    cluster.coming = new KafkaError(
      'metadata',
      'UNKNOWN_TOPIC_OR_PARTITION',
      'there is no topic orders',
      undefined,
    );
    await cluster.clock.pass(20_000);
    expect(cluster.events).toEqual([]);
    for (let i = 0; i < 4; i++) await cluster.clock.pass(15_000);
    expect(cluster.events).toMatchObject([{ type: 'failed', error: cluster.coming }]);
  });
});

describe('a topic that was deleted', () => {
  const gone = { partitions: [part('o', 0, nothing, { errorCode: errorCodes.unknownTopicId })] };

  test('and made anew fails where nobody takes it away: the same offsets are other records', async () => {
    cluster = new Cluster({ orders: { id: 'o', leaders: [1] } }, true);
    cluster.fetcher.allow(64 * mebibyte);
    cluster.seek('orders', 0, 5);
    cluster.coming = metadataOf({ orders: { id: 'p', leaders: [1] } });
    await cluster.last.answer(gone);
    await cluster.clock.pass(10_000);
    expect(cluster.events).toMatchObject([
      {
        type: 'failed',
        error: { message: 'fetching topic orders: it was deleted and made anew (topic id o is now p)' },
      },
    ]);
    expect(cluster.asked.length).toBe(1);
  });

  test('and made anew is never read by the old position, whoever learned of it first', async () => {
    cluster.fetcher.allow(64 * mebibyte);
    cluster.seek('orders', 0, 5);
    cluster.metadata = metadataOf({ orders: { id: 'p', leaders: [1] } });
    await cluster.last.answer({});
    await cluster.clock.pass(10_000);
    expect(cluster.events).toEqual([]);
    expect(cluster.asked.length).toBe(1);
    // The group takes it away and gives it anew.
    cluster.fetcher.stop([{ topic: 'orders', partition: 0 }]);
    cluster.seek('orders', 0, 0);
    expect(positions(cluster.last)).toEqual(['p-0 0']);
  });

  test('and found by a pattern is left alone, looked for once a second, and read on if it comes back', async () => {
    cluster.fetcher.allow(64 * mebibyte);
    cluster.seek('orders', 0, 5);
    cluster.coming = metadataOf({});
    await cluster.last.answer(gone);
    const before = cluster.refreshes;
    await cluster.clock.pass(10_000);
    expect(cluster.events).toEqual([]);
    expect(cluster.asked.length).toBe(1);
    expect(cluster.refreshes - before).toBeGreaterThanOrEqual(8);
    expect(cluster.refreshes - before).toBeLessThanOrEqual(11);
    cluster.coming = metadataOf({ orders: { id: 'o', leaders: [1] } });
    await cluster.clock.pass(2_000);
    expect(positions(cluster.last)).toEqual(['o-0 5']);
  });

  test('and made anew may be read when it is assigned anew', async () => {
    cluster.fetcher.allow(64 * mebibyte);
    cluster.seek('orders', 0, 5);
    cluster.fetcher.stop([{ topic: 'orders', partition: 0 }]);
    cluster.metadata = metadataOf({ orders: { id: 'p', leaders: [1] } });
    cluster.seek('orders', 0, 0);
    await cluster.last.answer({ partitions: [part('o', 0, batch(5, 1))] });
    expect(cluster.events).toEqual([]);
    expect(positions(cluster.last)).toEqual(['p-0 0']);
  });

  test('fails when it does not come back', async () => {
    cluster.fetcher.allow(64 * mebibyte);
    cluster.seek('orders', 0, 5);
    cluster.coming = new KafkaError('asking', 'UNKNOWN_TOPIC_OR_PARTITION', 'no such topic', undefined);
    const startMs = cluster.clock.nowMs();
    while (cluster.events.length === 0 && cluster.clock.nowMs() < startMs + 120_000) {
      await cluster.last.answer(gone);
      await cluster.clock.pass(200);
    }
    expect(cluster.events).toEqual([{ type: 'failed', error: cluster.coming }]);
    expect(cluster.clock.nowMs() - startMs).toBeGreaterThan(30_000);
    expect(cluster.clock.nowMs() - startMs).toBeLessThan(32_000);
  });

  test('for a moment only is survived', async () => {
    cluster.fetcher.allow(64 * mebibyte);
    cluster.seek('orders', 0, 5);
    const missing = new KafkaError('asking', 'UNKNOWN_TOPIC_OR_PARTITION', 'no such topic', undefined);
    for (let i = 0; i < 5; i++) {
      cluster.coming = missing;
      await cluster.last.answer(gone);
      await cluster.clock.pass(20_000);
      cluster.coming = undefined;
      await cluster.last.answer(gone);
      await cluster.clock.pass(20_000);
    }
    expect(cluster.events).toEqual([]);
  });
});

describe('an incremental session', () => {
  test('names what has changed since the last request, per broker', async () => {
    cluster.fetcher.allow(64 * mebibyte);
    cluster.seek('orders', 0, 5);
    cluster.seek('orders', 1, 6);
    await cluster.last.answer({ sessionId: 8 });
    expect(positions(cluster.last)).toEqual(['o-1 6']);
    await cluster.last.answer({ sessionId: 8, partitions: [part('o', 0, batch(5, 2))] });
    expect([cluster.last.request.session, positions(cluster.last)]).toEqual([{ id: 8, epoch: 2 }, ['o-0 7']]);
    cluster.fetcher.stop([{ topic: 'orders', partition: 1 }]);
    await cluster.last.answer({ sessionId: 8 });
    expect(cluster.last.request.forgotten).toMatchObject([{ topic: 'orders', partitions: [1] }]);
  });

  test.each([70, 71, 106])(
    'that the broker refuses (%i) is begun anew at once, and nobody hears of it',
    async (errorCode) => {
      cluster.fetcher.allow(64 * mebibyte);
      cluster.seek('orders', 0, 5);
      await cluster.last.answer({ sessionId: 8 });
      await cluster.last.answer({ sessionId: 8, errorCode });
      expect([cluster.last.request.session, positions(cluster.last)]).toEqual([
        { id: 0, epoch: 0 },
        ['o-0 5'],
      ]);
      expect([cluster.events, cluster.refreshes]).toEqual([[], 0]);
    },
  );

  test('is begun anew when a request had no answer', async () => {
    cluster.fetcher.allow(64 * mebibyte);
    cluster.seek('orders', 0, 5);
    await cluster.last.answer({ sessionId: 8 });
    await cluster.last.fail(new TransientError('the connection was closed'));
    await cluster.clock.pass(1_000);
    expect([cluster.last.request.session, positions(cluster.last)]).toEqual([{ id: 8, epoch: 0 }, ['o-0 5']]);
  });
});

describe('a replica that is nearer than the leader', () => {
  const near = (preferredReplica: number) => ({ partitions: [part('o', 0, nothing, { preferredReplica })] });

  test('is fetched from when the leader says so, and the leader is asked again after some minutes', async () => {
    cluster.fetcher.allow(64 * mebibyte);
    cluster.seek('orders', 0, 5);
    await cluster.last.answer(near(3));
    expect([cluster.last.broker, positions(cluster.last)]).toEqual(['broker-3', ['o-0 5']]);
    await cluster.last.answer({ partitions: [part('o', 0, batch(5, 2))] });
    expect([cluster.last.broker, positions(cluster.last)]).toEqual(['broker-3', ['o-0 7']]);
    await cluster.clock.pass(6 * 60_000);
    await cluster.last.answer({});
    expect([cluster.last.broker, positions(cluster.last)]).toEqual(['broker-1', ['o-0 7']]);
  });

  test.each([
    ['that a position is outside of the log', { errorCode: errorCodes.outOfRange }],
    ['that it knows no such partition', { errorCode: 3 }],
    ['that the log was cut', { divergingEnd: 4 }],
  ])('is not believed %s: the leader is asked', async (_what, answer) => {
    cluster.fetcher.allow(64 * mebibyte);
    cluster.seek('orders', 0, 5);
    await cluster.last.answer(near(3));
    await cluster.last.answer({ partitions: [part('o', 0, nothing, answer)] });
    expect([cluster.last.broker, positions(cluster.last)]).toEqual(['broker-1', ['o-0 5']]);
    expect(cluster.events).toEqual([]);
  });

  test('that is away is not waited for', async () => {
    cluster.fetcher.allow(64 * mebibyte);
    cluster.seek('orders', 0, 5);
    await cluster.last.answer(near(3));
    await cluster.last.fail(new TransientError('the connection was closed'));
    await cluster.clock.pass(1_000);
    expect(cluster.last.broker).toBe('broker-1');
  });
});
