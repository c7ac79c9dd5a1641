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

/** Turns the bytes of a record's key or value into one row of the columns it was made for. */
export interface Decoder {
  /**
   * Fetches what decoding these records needs (writer schemas by id). A source that is down delays, for a bounded time.
   * @throws {TransientError} when the bound is reached.
   */
  prepare(records: RecordColumns): Promise<void>;

  /**
   * Appends one value to each target column from `bytes[start, end)`.
   * @throws {DecodeError} with the columns in any state: the caller truncates them to whole rows.
   */
  append(bytes: Buffer, view: DataView, start: number, end: number): void;
}
