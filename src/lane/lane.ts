import { FatalError } from '../base/errors.ts';
import type { DataFile } from '../iceberg/data-file.ts';
import type { HashedFolders } from '../iceberg/data-location.ts';
import type { PartitionSpec } from '../iceberg/partition-spec.ts';
import type { Schema } from '../iceberg/schema.ts';
import type { Field } from '../iceberg/types.ts';
import type { RecordSet } from '../kafka/source.ts';
import type { TopicPartition } from '../kafka/topic-partition.ts';
import type { KeyFormat, ValueFormat } from './format.ts';

/**
 * A lane turns record sets of its topic-partitions into data files: decode -> route -> append -> encode -> upload. It
 * knows nothing of commits. Commands run one after the other, in the order they were given.
 */
export interface Lane {
  /** Prepares a table (again, after its schema or properties changed: it must hold nothing then). */
  open(plan: TablePlan): Promise<void>;
  /** From here on records of this topic-partition go to the table, starting at offset `position`. */
  seek(table: string, topicPartition: TopicPartition, position: number): Promise<void>;
  /** Appends a record set to every table that takes its topic-partition. `set.records` is given away. */
  append(set: RecordSet): Promise<Appended>;
  /** Closes and uploads all files of a table: what has been appended before is in the answer, nothing else. */
  flush(table: string): Promise<Flushed>;
  /** Forgets all rows of a table that no flush has taken, its files and its positions. */
  drop(table: string): Promise<Held>;
  /** No table takes this topic-partition any more. Rows it has appended stay. */
  release(topicPartition: TopicPartition): Promise<void>;
  /** What the first telling record of a set asks for. Appends nothing. */
  describe(set: RecordSet, plan: DescribePlan): Promise<Described>;
  close(): Promise<void>;
  /** After a {@link LaneDiedError}, with which every command fails until then: it begins anew, and holds nothing. */
  restart(): void;
}

/** A lane has ended by itself, with all that it held: nothing of that has landed. One object for each death. */
export class LaneDiedError extends FatalError {}

/** All that a lane must know of a table. Plain data: it crosses threads. */
export interface TablePlan {
  readonly table: string;
  readonly schema: Schema;
  readonly spec: PartitionSpec;
  readonly properties: Readonly<Record<string, string>>;
  /** URI of the folder for data files. */
  readonly dataLocation: string;
  readonly hashed?: HashedFolders | undefined;
  /** Start of every file's name, so that a sink's own leftovers can be told from others'. */
  readonly filePrefix: string;
  readonly value: ValueFormat;
  readonly key: KeyFormat;
  /** The column that takes the key, if one does. */
  readonly keyColumn: string | undefined;
  readonly onError: 'halt' | 'skip';
  readonly onTombstone: 'halt' | 'skip';
}

export type DescribePlan = Pick<TablePlan, 'value' | 'key' | 'keyColumn' | 'onError' | 'onTombstone'>;

export type Described =
  /** The columns for the values (and keys). */
  | { type: 'columns'; fields: Field[] }
  /** No record tells: each has no value, or cannot be decoded, and is left out by policy. */
  | { type: 'nothing'; undecodable: number; first: RecordFailure | undefined }
  /** A record stops the table (`onError: halt`, `onTombstone: halt`). */
  | { type: 'failure'; failure: RecordFailure };

/** What became of a record set in one table. Of the visible records from the position on: records = rows + the rest. */
export interface AppendedTable {
  /** Every offset below is in this table's files or was left out by policy. */
  next: number;
  records: number;
  rows: number;
  /** Records without a value, left out by `onTombstone: skip`. */
  tombstones: number;
  /** Records that could not be decoded, left out by `onError: skip`. */
  undecodable: number;
  /** Key and value bytes of the rows. */
  bytes: number;
  /** Greatest record timestamp, -1 when there was none. */
  timestampMaxMs: number;
  /** Why the table stopped at `next` (`onError: halt`, `onTombstone: halt`). */
  failure?: RecordFailure;
}

export interface RecordFailure extends TopicPartition {
  offset: number;
  field: string;
  reason: string;
}

/** Bytes the lane keeps in memory now. */
export interface Held {
  heldBytes: number;
}

export interface Appended extends Held {
  tables: Record<string, AppendedTable>;
}

export interface Flushed extends Held {
  files: DataFile[];
}
