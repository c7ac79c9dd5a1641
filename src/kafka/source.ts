import type { EpochStart } from './leader-epochs.ts';
import type { AbortedTransaction } from './record-set.ts';
import type { TopicPartition, TopicPartitionKey } from './topic-partition.ts';

/** What a fetch answered with for one topic-partition, still encoded. */
export interface RecordSet extends TopicPartition {
  /** What {@link Source.seek} returned for the position this continues from. */
  readonly generation: number;
  /** Offset that was asked for, and the one to ask for next. */
  readonly from: number;
  readonly next: number;
  readonly records: Uint8Array<ArrayBuffer>;
  /** What a batch may have at most, decompressed; without it the default. */
  readonly batchBytesMax?: number | undefined;
  /** Leader epochs of its batches. */
  readonly epochs: readonly EpochStart[];
  /** The index of aborted transactions in read_committed; null when there are none. */
  readonly aborted: readonly AbortedTransaction[] | null;
}

export interface AssignedPartition extends TopicPartition {
  /** Tells a topic from a later one of the same name (KIP-516). */
  readonly topicId: string;
}

export interface ClusterTopics {
  readonly clusterId: string;
  /** All partitions of all topics (or of the fixed assignment), whoever is to read them. */
  readonly topicPartitions: readonly AssignedPartition[];
  /** True when they are the fixed assignment, and the group has no say. */
  readonly isFixed?: true;
}

/** Where a topic-partition's log begins and ends. */
export interface LogRange {
  /** First offset that is still retained. */
  start: number;
  /** One past the last record that read_committed may see: the last stable offset. */
  end: number;
}

/** A log as the last answer told, and how far it has been read. */
export interface FetchedLog extends LogRange {
  /** One past the last record that is replicated, whether its transaction has ended or not. */
  highWatermark?: number;
  /** The next offset to read. */
  position?: number;
  /** Greatest timestamp of what was read last: what has not been read is, as a rule, no older. */
  readTimestampMs?: number;
}

/** What happens on the Kafka side. Events only tell; nothing waits for them to be handled, except a revocation. */
export type SourceEvent =
  | { type: 'assigned'; topicPartitions: readonly AssignedPartition[]; cause?: string | undefined }
  /** Fetching has stopped. The owner finishes, then calls {@link Source.released}, within `withinMs`. */
  | {
      type: 'revoked';
      topicPartitions: readonly TopicPartition[];
      withinMs: number;
      cause?: string | undefined;
    }
  /** They belong to others already: nothing may be finished. `cause` is what the group has said. */
  | { type: 'lost'; topicPartitions: readonly TopicPartition[]; cause?: string }
  | { type: 'records'; set: RecordSet }
  /** The position lies outside of the log. Fetching has stopped: what to do is not the source's choice. */
  | {
      type: 'outOfRange';
      topicPartition: TopicPartition;
      generation: number;
      position: number;
      log: LogRange;
    }
  /**
   * The log was cut below the position: what was read last is not in it any more (an unclean leader election). Fetching
   * has stopped: what to do is not the source's choice.
   */
  | {
      type: 'truncated';
      topicPartition: TopicPartition;
      generation: number;
      position: number;
      /** Where what was read and what the log has part, at the latest. */
      end: number;
    }
  /** By a pattern topics were found, or those that were found are gone. What they mean for us the group tells. */
  | { type: 'topics'; appeared: readonly string[]; vanished: readonly string[] }
  | { type: 'failed'; error: Error };

export interface CommittedOffset {
  offset: number;
  /** Leader epoch of the record before, where whoever committed it has said so. */
  epoch?: number | undefined;
  metadata: string;
}

/** With less than this allowed nothing is fetched: it would not be worth the overhead. */
export const fetchBytesMin: number = 256 * 1024;

/** Kafka as a port. Positions come from the caller only: there is no default reset. */
export interface Source {
  /** Connects, then joins the group or takes the static assignment. @returns what the cluster has of the topics. */
  start(emit: (event: SourceEvent) => void): Promise<ClusterTopics>;

  /**
   * Fetches this topic-partition from `offset` on. Sets that continue from here carry the returned generation and join
   * without a gap; what was on its way for an earlier position carries an earlier one.
   *
   * `epoch` is the leader epoch of the record before `offset`, where it is known: the log is then fetched only if it
   * goes on from that very record.
   */
  seek(topicPartition: TopicPartition, offset: number, epoch?: number): number;

  /**
   * How many bytes may come from now on, under way or not yet asked for; less than {@link fetchBytesMin} stops fetching.
   * What comes counts against it until the next call.
   */
  allow(bytes: number): void;
  /** Bytes that requests in flight may still bring. */
  readonly reservedBytes: number;

  /** Ends a revocation: the group may give these topic-partitions to others. */
  released(topicPartitions: readonly TopicPartition[]): void;

  /** The group's offsets; topic-partitions without one are absent. @throws {TransientError} @throws {FatalError} */
  committedOffsets(
    topicPartitions: readonly TopicPartition[],
  ): Promise<Map<TopicPartitionKey, CommittedOffset>>;

  /**
   * Moves the group's offsets, and tells the leader epochs of the records before them as far as they are known. They are a
   * mirror of the tables: a failure is told and otherwise harmless.
   */
  commitOffsets(
    offsets: ReadonlyMap<TopicPartitionKey, number>,
    metadata: string,
    epochs?: ReadonlyMap<TopicPartitionKey, number>,
  ): Promise<void>;

  /**
   * An offset of each log: its start, its end (last stable offset), or the first record at or after a time (ms since the
   * epoch; the end when there is none). Absent of topics that are gone.
   */
  listOffsets(
    topicPartitions: readonly TopicPartition[],
    at: 'earliest' | 'latest' | number,
  ): Promise<Map<TopicPartitionKey, number>>;

  /**
   * Where each log's records of these leader epochs, and of all before them, end (KIP-320). Who has read on beyond, of
   * such an epoch, has read what the log has not any more. Absent where the log cannot tell.
   */
  epochEnds(
    topicPartitions: readonly (TopicPartition & { readonly epoch: number })[],
  ): Promise<Map<TopicPartitionKey, number>>;

  /** What the last fetches told of each log, without a request. */
  logRanges(): ReadonlyMap<TopicPartitionKey, FetchedLog>;

  /** Leaves the group and closes all connections. */
  close(): Promise<void>;
}
