import type { PartitionLag, Rebalance } from './lag.ts';

/** What a worker is doing, at one moment. */
export interface SinkStatus {
  state: 'running' | 'draining' | 'stopped';
  /** The topics that are read, by this worker or by others: named, and found by a pattern; 100 at most. */
  topics: readonly string[];
  partitions: number;
  records: number;
  rows: number;
  bytes: number;
  snapshots: number;
  /** Records between what has landed and the end of the log, over this worker's partitions whose end is known. */
  lagRecords: number;
  /** The oldest record that was not read is no older than this; undefined when all were read. */
  unreadAgeMs: number | undefined;
  /** Bytes that Kafka has sent: compressed, with what others than tables have asked for. */
  fetchedBytes: number;
  /** Of this worker's topic-partitions those that are furthest behind, 100 at most. */
  lags: readonly PartitionLag[];
  /** How often topic-partitions came or went, and the last times. */
  rebalances: number;
  rebalanceHistory: readonly Rebalance[];
  heldBytes: number;
  heldBytesMax: number;
  /** The most that was held at any time. */
  heldBytesPeak: number;
  /** True while nothing may be fetched because of the memory bound. */
  paused: boolean;
  /** Since the last commit that succeeded; undefined before the first. */
  lastCommitAgeMs: number | undefined;
  undecodable: number;
  tombstones: number;
  fenced: number;
}
