import type { FetchedLog } from '../kafka/source.ts';
import { parseKey, type TopicPartitionKey } from '../kafka/topic-partition.ts';

/** Where a topic-partition of ours stands between its log and the tables, as the last fetches told. */
export interface PartitionLag {
  topic: string;
  partition: number;
  /** First offset that is retained. */
  logStart: number;
  /** One past the last record that read_committed may see. */
  lastStableOffset: number;
  /** One past the last record that is replicated; what lies between is of open transactions. */
  highWatermark: number | undefined;
  /** The next offset to read. */
  position: number | undefined;
  /** Below this every table has everything; undefined while a table is being opened. */
  landed: number | undefined;
  /** Offsets between what has landed and the last stable offset. */
  lagRecords: number;
  /** The oldest record that was not read is no older than this; undefined when all were, or none ever was. */
  unreadAgeMs: number | undefined;
}

/** Of those topic-partitions whose logs have been heard of, the furthest behind first. */
export function partitionLags(
  logs: ReadonlyMap<TopicPartitionKey, FetchedLog>,
  landedOf: (key: TopicPartitionKey) => number | undefined,
  nowMs: number,
): PartitionLag[] {
  const lags = [...logs].map(([key, log]): PartitionLag => {
    const landed = landedOf(key);
    const { position, readTimestampMs } = log;
    const isBehind = position !== undefined && position < log.end;
    return {
      ...parseKey(key),
      logStart: log.start,
      lastStableOffset: log.end,
      highWatermark: log.highWatermark,
      position,
      landed,
      lagRecords: Math.max(0, log.end - (landed ?? log.end)),
      unreadAgeMs:
        isBehind && readTimestampMs !== undefined ? Math.max(0, nowMs - readTimestampMs) : undefined,
    };
  });
  return lags.sort((a, b) => b.lagRecords - a.lagRecords);
}

/** The greatest of the ages, undefined without any. */
export function oldestUnreadAgeMs(lags: readonly PartitionLag[]): number | undefined {
  const ages = lags.flatMap(({ unreadAgeMs }) => (unreadAgeMs === undefined ? [] : [unreadAgeMs]));
  return ages.length === 0 ? undefined : Math.max(...ages);
}

/** Topic-partitions that came or went. */
export interface Rebalance {
  /** ISO 8601. */
  at: string;
  type: 'assigned' | 'revoked' | 'lost';
  /** How many, and the first of them. */
  count: number;
  partitions: readonly TopicPartitionKey[];
  /** Why, where the source knows more than that the group has divided them anew. */
  cause?: string;
}

const rebalancesMax = 20;
const namedMax = 20;

/** The last rebalances, oldest first. */
export class RebalanceHistory {
  #events: Rebalance[] = [];
  count = 0;

  add(type: Rebalance['type'], keys: readonly TopicPartitionKey[], nowMs: number, cause?: string): void {
    this.count++;
    const event: Rebalance = {
      at: new Date(nowMs).toISOString(),
      type,
      count: keys.length,
      partitions: keys.slice(0, namedMax),
      ...(cause === undefined ? {} : { cause }),
    };
    this.#events = [...this.#events, event].slice(-rebalancesMax);
  }

  get events(): readonly Rebalance[] {
    return this.#events;
  }
}
