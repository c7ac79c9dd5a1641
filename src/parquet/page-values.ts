import type { BloomFilter } from './bloom-filter.ts';
import type { Dictionary, Range } from './dictionary.ts';
import type { Extremes } from './encoder.ts';
import type { GrowingBytes } from './growing-bytes.ts';
import type { LeafBatch } from './levels.ts';

/** The values of the page under way in one leaf, without the nulls, in the form that its encodings start from. */
export interface PageValues {
  readonly count: number;
  /** NaNs among them, once {@link PageValues.extremes} has looked. */
  readonly nans: number;
  /** What they take in PLAIN. */
  readonly plainBytes: number;
  readonly heldBytes: number;
  /** What values `[from, to)` of a batch take in PLAIN, or a little more. */
  plainBytesOf(batch: LeafBatch, from: number, to: number): number;
  append(batch: LeafBatch, from: number, to: number): void;
  plain(out: GrowingBytes): void;
  /** Writes them in the delta encoding of their type and answers its number; undefined: they have none. */
  delta(out: GrowingBytes): number | undefined;
  /** Undefined for values that are better off without. */
  makeDictionary(): Dictionary | undefined;
  /**
   * Puts the number that each value of the range has in a dictionary that this one made into `codes`; false as soon as
   * there are too many.
   */
  index(dictionary: Dictionary, range: Range, codes: Int32Array): boolean;
  /** Undefined when there are none but NaNs. `codes` are those of the dictionary, if there is one. */
  extremes(codes?: Int32Array, dictionary?: Dictionary): Extremes | undefined;
  insertInto(filter: BloomFilter): void;
  clear(): void;
}

/** Encodings as parquet.thrift `Encoding` numbers them. */
export const encodings = {
  plain: 0,
  rle: 3,
  deltaBinaryPacked: 5,
  deltaLengthByteArray: 6,
  rleDictionary: 8,
} as const;

export const firstValues = 64;

/** `values`, or a copy with room for `more` behind the first `used`. */
export function withRoom<T extends Int32Array | Uint8Array>(values: T, used: number, more: number): T {
  if (used + more <= values.length) return values;
  const length = Math.max(used + more, values.length * 2);
  const larger = new (values.constructor as new (length: number) => T)(length);
  larger.set(values.subarray(0, used));
  return larger;
}

/** The memory of a few numbers. */
export function bytesOf(numbers: Int32Array | Float32Array | Float64Array): Uint8Array {
  return new Uint8Array(numbers.buffer, numbers.byteOffset, numbers.byteLength);
}
