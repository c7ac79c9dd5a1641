import type { Clock } from '../base/clock.ts';
import { systemClock } from '../base/clock.ts';
import { silentLog } from '../base/log.ts';
import { systemRandom } from '../base/random.ts';
import { KafkaSource } from '../kafka/kafka-source.ts';
import { summarize } from '../kafka/record-set.ts';
import type { FetchedLog } from '../kafka/source.ts';
import { keyOf, type TopicPartition, type TopicPartitionKey } from '../kafka/topic-partition.ts';
import type { Wire } from '../kafka/wire.ts';
import type { Ledger } from '../sink/ledger.ts';

/** What a log has behind what a table has landed of it. */
export interface LogBehind extends FetchedLog {
  /** Timestamp of the first record that has not landed, as far as its batch tells; undefined when it did not come in time. */
  oldestAtMs?: number;
  /** The log does not have any more what landed from here on. */
  truncatedAt?: number;
}

/** So long is waited for what brokers have. */
const waitMs = 5_000;
/** A look at each topic-partition, not more. */
const allowedBytes = 64 * 1024 * 1024;

/** Looks at the logs of topics, named and found, from where a ledger ends. @throws {KafkaError} when that cannot be. */
export async function logsBehind(
  wire: Wire,
  group: string,
  topics: readonly string[],
  isFound: ((topic: string) => boolean) | undefined,
  ledger: Ledger | undefined,
  clock: Clock = systemClock,
): Promise<Map<TopicPartitionKey, LogBehind>> {
  const { topics: known } = await wire.metadata(topics, isFound);
  const partitions = Object.fromEntries(
    [...known.values()].map(({ topic, leaders }) => [topic, [...leaders.keys()]]),
  );
  const source = new KafkaSource(
    { group, topics: Object.keys(partitions), partitions },
    { wire, clock, random: systemRandom, log: silentLog },
  );
  try {
    const found = new Map<TopicPartitionKey, LogBehind>();
    const waiting = new Set<TopicPartitionKey>();
    const done = Promise.withResolvers<void>();
    const told = (topicPartition: TopicPartition, what: Partial<LogBehind>): void => {
      const key = keyOf(topicPartition);
      Object.assign(found.get(key)!, what);
      waiting.delete(key);
      if (waiting.size === 0) done.resolve();
    };
    const { topicPartitions } = await source.start((event) => {
      if (event.type === 'truncated') told(event.topicPartition, { truncatedAt: event.end });
      if (event.type === 'outOfRange') told(event.topicPartition, {});
      if (event.type === 'failed') done.resolve();
      if (event.type !== 'records') return;
      const { firstTimestampMs } = summarize(Buffer.from(event.set.records.buffer), event.set.from);
      told(event.set, firstTimestampMs < 0 ? {} : { oldestAtMs: firstTimestampMs });
      source.allow(allowedBytes);
    });
    const starts = await source.listOffsets(topicPartitions, 'earliest');
    const ends = await source.listOffsets(topicPartitions, 'latest');
    for (const topicPartition of topicPartitions) {
      const key = keyOf(topicPartition);
      const [start, end] = [starts.get(key)!, ends.get(key)!];
      found.set(key, { start, end });
      waiting.add(key);
      const next = Math.max(ledger?.next.get(key) ?? start, start);
      source.seek(topicPartition, next, next > start ? ledger?.epochs.get(key) : undefined);
      // With nothing behind it no records come: that is known already.
      if (next === end) waiting.delete(key);
    }
    source.allow(allowedBytes);
    // A moment in any case: the first answers tell the high watermarks.
    await clock.sleep(500);
    if (waiting.size > 0) await Promise.race([done.promise, clock.sleep(waitMs)]);
    for (const [key, log] of source.logRanges()) {
      const { highWatermark } = log;
      if (highWatermark !== undefined) found.get(key)!.highWatermark = highWatermark;
    }
    return found;
  } finally {
    await source.close();
  }
}
