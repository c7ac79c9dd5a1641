import type { RecordColumns } from '../kafka/record-columns.ts';

/**
 * Why one record's bytes do not make a row. Carries the field's path and the reason; the lane adds topic, partition and
 * offset. Thrown on the slow path only, so it may be an object.
 */
export class DecodeError extends Error {
  override readonly name = 'DecodeError';
  /** Path of the field from the record's root, e.g. `address.city`, `tags[]`; empty for the record as a whole. */
  readonly field: string;
  readonly reason: string;

  constructor(field: string, reason: string) {
    super(field === '' ? reason : `${field}: ${reason}`);
    this.field = field;
    this.reason = reason;
  }
}

/** The keys or the values of a batch: entry `i` is `bytes[starts[i], starts[i] + lengths[i])`, null if its length is -1. */
export interface Entries {
  readonly bytes: Buffer;
  /** A view of `bytes`. */
  readonly view: DataView;
  readonly starts: Int32Array;
  readonly lengths: Int32Array;
}

/** Turns the keys or values of records into rows of the columns it was made for. */
export interface Decoder {
  /** Why the entry at which {@link append} stopped makes no row. */
  readonly failure: DecodeError | undefined;

  /**
   * Fetches what decoding these records needs (writer schemas by id). A source that is down delays, for a bounded time.
   * @throws {TransientError} when the bound is reached.
   */
  prepare(records: RecordColumns): Promise<void>;

  /**
   * Appends a row for each of the entries from `from` up to `to`, none of which is null. Returns `to`, or the first entry
   * that makes no row: nothing of it is in the columns then.
   */
  append(entries: Entries, from: number, to: number): number;
}
