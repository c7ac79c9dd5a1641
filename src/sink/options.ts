import type { Field } from '../iceberg/types.ts';
import type { TopicChoice } from '../kafka/topic-pattern.ts';
import type { KeyFormat, ValueFormat } from '../lane/format.ts';
import type { RollbackPolicy } from './ledger.ts';

/** What a sink is told to do. Plain values; where they come from is the configuration's business. */
export interface SinkOptions {
  /** Names the consumer group and the ledger in the tables. */
  readonly pipeline: string;
  /** Names this process in snapshots and file names; for people. */
  readonly worker: string;
  readonly engineVersion: string;
  /** Those that are named; what else is assigned a pattern has found. */
  readonly topics: readonly string[];
  /** Where to begin with topic-partitions that neither table nor group know: or a time in ms since the epoch. */
  readonly startAt: 'earliest' | 'latest' | number;
  /** Retention has taken records before they could be read: stop, or go on behind them and record what is lost. */
  readonly onGap: 'halt' | 'skip';
  /** A topic was deleted and made anew: stop, or begin with the new one from its start. */
  readonly onTopicRecreated: 'halt' | 'restart';
  /** Records that have landed are in Kafka no more: stop, or keep their rows and go on behind them. */
  readonly onTruncation: 'halt' | 'skip';
  readonly tables: readonly TableOptions[];
  readonly commit: CommitTriggers;
  /** Hard bound on bytes read and not yet landed. */
  readonly heldBytesMax: number;
  /** Stop, everything committed, at the ends that the logs had at the start. */
  readonly untilCaughtUp: boolean;
  /** How long a graceful stop may take. */
  readonly graceMs: number;
}

export interface TableOptions extends TopicChoice {
  /** `namespace.table`. */
  readonly table: string;
  readonly create: boolean;
  /** Columns of a table to be created; empty: from the Avro schema of the first record. */
  readonly fields: readonly Field[];
  readonly partitionBy: readonly string[];
  readonly metadataColumns: boolean;
  readonly keyColumn: string | undefined;
  readonly properties: Readonly<Record<string, string>>;
  readonly value: ValueFormat;
  readonly key: KeyFormat;
  readonly onError: 'halt' | 'skip';
  readonly onTombstone: 'halt' | 'skip';
  readonly onRollback: RollbackPolicy;
}

/** A table is committed when any of these is reached. */
export interface CommitTriggers {
  /** Age of the oldest record that has not landed. */
  readonly intervalMs: number;
  /** Key and value bytes that have not landed. */
  readonly bytes: number;
  readonly rows: number;
}
