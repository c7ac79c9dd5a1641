import type { BytesColumn, Column, DecimalColumn, Int64Column } from '../arrow/columns.ts';
import { assert } from '../base/assert.ts';
import { murmur3, murmur3Long } from '../iceberg/murmur3.ts';
import { codePointEnd } from '../iceberg/single-value.ts';
import { monthsOfDays, type PartitionValue, type Transform } from '../iceberg/transforms.ts';
import type { PrimitiveType } from '../iceberg/types.ts';

/**
 * A partition value in the form that is cheapest to make and to compare, as a key of a Map: numbers, also of long and
 * decimal columns as far as they are exact (beyond that bigint), strings with a character per byte, `-0` as text,
 * undefined for null. Equal values have one form only.
 */
export type PartitionKey = number | bigint | string | boolean | undefined;

/** Makes the key of a row. */
export type KeyOf = (row: number) => PartitionKey;

/** What a transform (spec "Partition Transforms") makes of the rows of a column, as keys. */
export function keysOf(transform: Transform, type: PrimitiveType, column: Column): KeyOf {
  const key = presentKeys(transform, type, column);
  return (row) => (column.isNull(row) ? undefined : key(row));
}

function presentKeys(transform: Transform, type: PrimitiveType, column: Column): KeyOf {
  switch (transform.kind) {
    case 'identity':
      return identityKeys(column);
    case 'bucket': {
      const hash = hashes(column);
      return (row) => (hash(row) & 0x7fffffff) % transform.width;
    }
    case 'truncate':
      return truncatedKeys(transform.width, type, column);
    case 'hour':
      return units(column as Int64Column, 3_600_000_000);
    case 'day':
      return daysIn(column);
    case 'month':
      return monthsIn(column);
    case 'year': {
      const months = monthsIn(column);
      return (row) => Math.floor(months(row) / 12);
    }
    case 'void':
      return () => undefined;
  }
}

/** Whether a key is within what a partition value of type `type` can hold: not every hour is, nor every cut decimal. */
export function fits(type: PrimitiveType, key: PartitionKey): boolean {
  if (typeof key !== 'number' && typeof key !== 'bigint') return true;
  if (type.kind === 'int') return key === (Number(key) | 0);
  if (type.kind !== 'decimal') return true;
  const limit = 10n ** BigInt(type.precision);
  return key > -limit && key < limit;
}

/** The value of a partition tuple that a key of type `type` stands for. */
export function valueOfKey(type: PrimitiveType, key: PartitionKey): PartitionValue {
  if (key === undefined) return null;
  switch (type.kind) {
    case 'long':
    case 'time':
    case 'timestamp':
    case 'timestamptz':
    case 'decimal':
      return BigInt(key);
    case 'float':
    case 'double':
      return Number(key);
    case 'string':
      return Buffer.from(key as string, 'latin1').toString('utf8');
    case 'uuid':
    case 'fixed':
    case 'binary':
      return Uint8Array.from(Buffer.from(key as string, 'latin1'));
    default:
      return key;
  }
}

function identityKeys(column: Column): KeyOf {
  const latin1 = latin1Reader();
  switch (column.kind) {
    case 'boolean':
      return (row) => column.get(row);
    case 'int32':
      return (row) => column.values[row];
    case 'int64':
      return (row) => int64(column, row);
    case 'decimal':
      return (row) => int128(column, row);
    case 'float32':
    case 'float64':
      // -0 and 0 are different partitions, all NaNs are one.
      return (row) => (Object.is(column.values[row], -0) ? '-0' : column.values[row]);
    case 'bytes':
      return (row) => latin1(column.data, column.offsets[row]!, column.offsets[row + 1]!);
    case 'fixed':
      return (row) => latin1(column.values, row * column.width, (row + 1) * column.width);
    default:
      assert(false, 'a partition value is a primitive');
  }
}

/** A number where it is exact, which costs less than a bigint. */
function int64(column: Int64Column, row: number): number | bigint {
  const high = column.halves[row * 2 + 1]!;
  if (high < -0x200000 || high >= 0x200000) return column.values[row]!;
  return high * 0x1_0000_0000 + (column.halves[row * 2]! >>> 0);
}

function int128(column: DecimalColumn, row: number): number | bigint {
  const { words } = column;
  const [low, high, sign] = [words[row * 4]!, words[row * 4 + 1]!, words[row * 4 + 1]! >> 31];
  const isExact = high >= -0x200000 && high < 0x200000;
  if (!isExact || words[row * 4 + 2] !== sign || words[row * 4 + 3] !== sign) return column.get(row);
  return high * 0x1_0000_0000 + (low >>> 0);
}

/** Reads bytes as text of a character each, from a buffer that is replaced by a larger one as it grows. */
function latin1Reader(): (bytes: Uint8Array, start: number, end: number) => string {
  let view = Buffer.alloc(0);
  return (bytes, start, end) => {
    if (view.buffer !== bytes.buffer)
      view = Buffer.from(bytes.buffer as ArrayBuffer, bytes.byteOffset, bytes.byteLength);
    return view.toString('latin1', start, end);
  };
}

/** The hash that buckets are counted by: integers and times as 64 bits, decimals in the fewest bytes. */
function hashes(column: Column): (row: number) => number {
  switch (column.kind) {
    case 'int32':
      return (row) => murmur3Long(column.values[row]!, column.values[row]! >> 31);
    case 'int64':
      return (row) => murmur3Long(column.halves[row * 2]!, column.halves[row * 2 + 1]!);
    case 'decimal':
      return (row) => hashOfDecimal(column.words, row * 4);
    case 'bytes':
      return (row) => murmur3(column.data, column.offsets[row]!, column.offsets[row + 1]!);
    case 'fixed':
      return (row) => murmur3(column.values, row * column.width, (row + 1) * column.width);
    default:
      assert(false, `a ${column.kind} column has no buckets`);
  }
}

const bigEndian = new DataView(new ArrayBuffer(16));
const bigEndianBytes = new Uint8Array(bigEndian.buffer);

function hashOfDecimal(words: Int32Array, at: number): number {
  for (let word = 0; word < 4; word++) bigEndian.setInt32(12 - word * 4, words[at + word]!);
  // As few bytes as hold the sign.
  const sign = words[at + 3]! >> 31;
  let start = 0;
  while (start < 15 && bigEndian.getInt8(start) === sign && bigEndian.getInt8(start + 1) >> 31 === sign)
    start++;
  return murmur3(bigEndianBytes, start, 16);
}

function truncatedKeys(width: number, type: PrimitiveType, column: Column): KeyOf {
  switch (column.kind) {
    case 'int32':
      // Java's integers run over below their least, and so do its readers: the partition of such a value is theirs.
      return (row) => truncateNumber(column.values[row]!, width) | 0;
    case 'int64':
      return (row) => truncateWhole(int64(column, row), width, 64);
    case 'decimal':
      return (row) => truncateWhole(int128(column, row), width, 128);
    case 'bytes':
      return type.kind === 'string' ? firstCharacters(column, width) : firstBytes(column, width);
    default:
      assert(false, `a ${column.kind} column cannot be truncated`);
  }
}

function firstCharacters(column: BytesColumn, width: number): KeyOf {
  const latin1 = latin1Reader();
  return (row) => {
    const start = column.offsets[row]!;
    return latin1(column.data, start, codePointEnd(column.data, width, start, column.offsets[row + 1]!));
  };
}

function firstBytes(column: BytesColumn, width: number): KeyOf {
  const latin1 = latin1Reader();
  return (row) => {
    const start = column.offsets[row]!;
    return latin1(column.data, start, Math.min(start + width, column.offsets[row + 1]!));
  };
}

function truncateNumber(value: number, width: number): number {
  return value - (((value % width) + width) % width);
}

function truncateWhole(value: number | bigint, width: number, bits: number): number | bigint {
  if (typeof value === 'number') {
    const truncated = truncateNumber(value, width);
    if (Number.isSafeInteger(truncated)) return truncated;
  }
  const [whole, by] = [BigInt(value), BigInt(width)];
  const truncated = BigInt.asIntN(bits, whole - (((whole % by) + by) % by));
  const number = Number(truncated);
  // One form for one value: what is exact as a number is a number.
  return number >= -(2 ** 53) && number < 2 ** 53 && BigInt(number) === truncated ? number : truncated;
}

/** Whole units of microseconds since the epoch, counted down before it. */
function units(column: Int64Column, micros: number): (row: number) => number {
  return (row) => {
    const value = int64(column, row);
    if (typeof value === 'number') return Math.floor(value / micros);
    const by = BigInt(micros);
    return Number((value - (((value % by) + by) % by)) / by);
  };
}

function daysIn(column: Column): (row: number) => number {
  if (column.kind === 'int32') return (row) => column.values[row]!;
  return units(column as Int64Column, 86_400_000_000);
}

function monthsIn(column: Column): (row: number) => number {
  const days = daysIn(column);
  return (row) => monthsOfDays(days(row));
}
