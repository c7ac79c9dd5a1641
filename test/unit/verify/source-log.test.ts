import { expect, test } from 'vitest';
import { systemClock } from '../../../src/base/clock.ts';
import type { AbortedTransaction } from '../../../src/kafka/record-set.ts';
import type { Source, SourceEvent } from '../../../src/kafka/source.ts';
import { keyOf, type TopicPartition } from '../../../src/kafka/topic-partition.ts';
import { writeBatch } from '../../../src/kafka/write-batch.ts';
import { SourceLog } from '../../../src/verify/source-log.ts';
import { baseTimestamp, batch, marker } from '../kafka/record-sets.ts';

/** What a log has at the offsets asked for, read through the Source port. */

const orders = { topic: 'orders', partition: 0 };

interface Part {
  from: number;
  next: number;
  bytes: Buffer;
  aborted?: AbortedTransaction[];
}

/** A log that answers with one part at a time. */
function logOf(parts: readonly Part[], end: number): { log: SourceLog; seeks: number[] } {
  const seeks: number[] = [];
  let emit: (event: SourceEvent) => void = () => {};
  let generation = 0;
  let position = 0;
  const answer = (): void => {
    const part = parts.find(({ next }) => next > position);
    if (!part) {
      emit({ type: 'outOfRange', topicPartition: orders, generation, position, log: { start: 0, end } });
      return;
    }
    const { next, bytes, aborted = null } = part;
    const set = {
      ...orders,
      generation,
      from: position,
      next,
      records: Uint8Array.from(bytes),
      aborted,
      epochs: [],
    };
    position = next;
    // What was on its way for an earlier position comes, too.
    emit({ type: 'records', set: { ...set, generation: generation - 1, records: Uint8Array.from([1]) } });
    emit({ type: 'records', set });
  };
  const source = {
    start: async (to: typeof emit) => {
      emit = to;
      return { clusterId: 'cluster', topicPartitions: [{ ...orders, topicId: 'id' }] };
    },
    listOffsets: async (asked: readonly TopicPartition[], at: unknown) =>
      new Map(asked.map((each) => [keyOf(each), at === 'earliest' ? 0 : end])),
    epochEnds: async (asked: readonly (TopicPartition & { epoch: number })[]) =>
      new Map(asked.map((each) => [keyOf(each), each.epoch])),
    seek: (_: TopicPartition, offset: number) => {
      seeks.push(offset);
      position = offset;
      return ++generation;
    },
    allow: (bytes: number) => {
      if (bytes > 0) setImmediate(answer);
    },
  } as unknown as Source;
  const describe = async (topic: string) =>
    topic === 'orders' ? { clusterId: 'cluster', topicId: 'id', partitions: 1 } : undefined;
  return { log: new SourceLog(describe, () => source, systemClock), seeks };
}

test('topics and log ranges; a topic that the cluster does not have is absent', async () => {
  const view = await logOf([], 12).log.view(['orders', 'gone'], new Map([['orders-0', 3]]));
  expect(view).toEqual({
    clusterId: 'cluster',
    topics: new Map([['orders', expect.objectContaining({ topicId: 'id', partitions: 1 })]]),
    ranges: new Map([['orders-0', { start: 0, end: 12 }]]),
    epochEnds: new Map([['orders-0', 3]]),
  });
});

test('tells records, tombstones, aborted records and markers apart, and what is not there', async () => {
  const tombstone = writeBatch({ baseOffset: 4, baseTimestamp }, [
    { offsetDelta: 0, timestampDelta: 0, key: Buffer.of(1), value: null },
  ]);
  const transaction = batch(6, 2, { producerId: 9n, transactional: true });
  const { log, seeks } = logOf(
    [
      { from: 0, next: 5, bytes: Buffer.concat([batch(0, 3), tombstone]) },
      {
        from: 5,
        next: 9,
        bytes: Buffer.concat([transaction, marker(8, 9n, 'abort')]),
        aborted: [{ producerId: 9n, firstOffset: 6 }],
      },
      { from: 9, next: 12, bytes: batch(9, 3) },
      { from: 50_000, next: 50_002, bytes: batch(50_000, 2) },
    ],
    60_000,
  );
  await log.view(['orders'], new Map());
  const found = await log.look(orders, [
    { from: 1, next: 9 },
    { from: 10, next: 11 },
    { from: 50_001, next: 50_002 },
  ]);
  expect([...found].sort(([a], [b]) => a - b)).toEqual([
    [1, 'record'],
    [2, 'record'],
    [4, 'tombstone'],
    [6, 'aborted'],
    [7, 'aborted'],
    [8, 'control'],
    [10, 'record'],
    [50_001, 'record'],
  ]);
  // Far away from the others: not all between is read.
  expect(seeks).toEqual([1, 50_001]);
});

test('a range that retention has taken meanwhile is said to be gone', async () => {
  const { log } = logOf([], 12);
  await log.view(['orders'], new Map());
  await expect(log.look(orders, [{ from: 3, next: 5 }])).rejects.toThrow(
    'looking at orders-0: offset 3 is not retained any more',
  );
});
