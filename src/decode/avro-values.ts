import { isUtf8 } from 'node:buffer';
import type { BytesColumn, DecimalColumn, FixedColumn } from '../arrow/columns.ts';
import { copyBytes, copyText } from './copy-text.ts';
import { unusual } from './generate.ts';

/**
 * What generated readers call: each reads the Avro value at `p` (Avro 1.12 "Binary Encoding") into the arrays of a column
 * and returns where the next one begins, or {@link unusual} for whatever it does not read: values that do not fit, bytes
 * that are damaged, and rarities. Never says what is wrong: the readers of avro-readers.ts do.
 *
 * Some bytes behind `end` are looked at, four at a time, but decide nothing.
 */

/** Where a number is read to when it does not go into a column as it is. */
const scratch = new Int32Array(2);

/** The seven low bits of each of four bytes, next to each other. */
function packed(word: number): number {
  return (word & 0x7f) | ((word >>> 1) & 0x3f80) | ((word >>> 2) & 0x1fc000) | ((word >>> 3) & 0xfe00000);
}

/** A long, its halves to `halves[at]` and `halves[at + 1]`. */
export function long(
  bytes: Buffer,
  view: DataView,
  p: number,
  end: number,
  halves: Int32Array,
  at: number,
): number {
  if (p >= end) return unusual;
  let word = view.getInt32(p, true);
  if ((word & 0x80) === 0) {
    const sign = -(word & 1);
    halves[at] = ((word & 0x7f) >>> 1) ^ sign;
    halves[at + 1] = sign;
    return p + 1;
  }
  let low: number;
  let high: number;
  // The first byte whose highest bit is not set is the number's last.
  let last = ~word & 0x80808080;
  if (last !== 0) {
    low = packed(word & (last ^ (last - 1)));
    high = 0;
    p += (39 - Math.clz32(last & -last)) >> 3;
  } else {
    low = packed(word);
    word = view.getInt32(p + 4, true);
    last = ~word & 0x80808080;
    if (last !== 0) {
      word = packed(word & (last ^ (last - 1)));
      high = word >>> 4;
      p += 4 + ((39 - Math.clz32(last & -last)) >> 3);
    } else {
      word = packed(word);
      high = (word >>> 4) | ((bytes[p + 8]! & 0x7f) << 24);
      if (bytes[p + 8]! < 0x80) {
        p += 9;
      } else {
        if (bytes[p + 9]! > 1) return unusual;
        high |= bytes[p + 9]! << 31;
        p += 10;
      }
    }
    low |= word << 28;
  }
  // Zigzag: halve, and flip all bits when the lowest was set.
  const sign = -(low & 1);
  halves[at] = ((low >>> 1) | (high << 31)) ^ sign;
  halves[at + 1] = (high >>> 1) ^ sign;
  return p > end ? unusual : p;
}

/** An int, to `values[at]`. */
export function int(
  bytes: Buffer,
  view: DataView,
  p: number,
  end: number,
  values: Int32Array,
  at: number,
): number {
  if (p >= end) return unusual;
  const word = view.getInt32(p, true);
  const last = ~word & 0x80808080;
  let value: number;
  if (last !== 0) {
    value = packed(word & (last ^ (last - 1)));
    p += (39 - Math.clz32(last & -last)) >> 3;
  } else {
    if (bytes[p + 4]! > 0x0f) return unusual;
    value = packed(word) | (bytes[p + 4]! << 28);
    p += 5;
  }
  values[at] = (value >>> 1) ^ -(value & 1);
  return p > end ? unusual : p;
}

/** An int times `factor`, as a long. */
export function intAsLong(
  bytes: Buffer,
  view: DataView,
  p: number,
  end: number,
  halves: Int32Array,
  at: number,
  factor: number,
): number {
  p = int(bytes, view, p, end, scratch, 0);
  if (p !== unusual) putNumber(halves, at, scratch[0]! * factor);
  return p;
}

/** A long times `factor`. */
export function longTimes(
  bytes: Buffer,
  view: DataView,
  p: number,
  end: number,
  halves: Int32Array,
  at: number,
  factor: number,
): number {
  p = long(bytes, view, p, end, scratch, 0);
  if (p === unusual) return p;
  const value = (scratch[1]! * 4294967296 + (scratch[0]! >>> 0)) * factor;
  if (!Number.isSafeInteger(value)) return unusual;
  putNumber(halves, at, value);
  return p;
}

function putNumber(halves: Int32Array, at: number, value: number): void {
  halves[at] = value | 0;
  halves[at + 1] = Math.floor(value / 4294967296);
}

/** A string, checked to be UTF-8, as value `row`. */
export function text(
  bytes: Buffer,
  view: DataView,
  p: number,
  end: number,
  column: BytesColumn,
  row: number,
): number {
  if (p >= end) return unusual;
  let length = bytes[p++]!;
  if ((length & 0x81) === 0) {
    length >>>= 1;
  } else {
    p = int(bytes, view, p - 1, end, scratch, 0);
    length = scratch[0]!;
    if (length < 0) return unusual;
  }
  const next = p + length;
  if (next > end) return unusual;
  const start = column.offsets[row]!;
  if (start + length > column.data.length) column.reserveData(start + length);
  column.offsets[row + 1] = start + length;
  if (length > 64) {
    const value = bytes.subarray(p, next);
    if (!isUtf8(value)) return unusual;
    column.data.set(value, start);
    return next;
  }
  const isAscii = copyText(bytes, view, p, next, column, start) === 0;
  return isAscii || isUtf8(bytes.subarray(p, next)) ? next : unusual;
}

/** Bytes that are not looked at. */
export function binary(
  bytes: Buffer,
  view: DataView,
  p: number,
  end: number,
  column: BytesColumn,
  row: number,
): number {
  p = int(bytes, view, p, end, scratch, 0);
  const length = scratch[0]!;
  return p === unusual || length < 0 ? unusual : put(bytes, p, p + length, end, column, row);
}

/** The next `size` bytes. */
export function sized(
  bytes: Buffer,
  p: number,
  end: number,
  size: number,
  column: BytesColumn,
  row: number,
): number {
  return put(bytes, p, p + size, end, column, row);
}

function put(bytes: Buffer, p: number, next: number, end: number, column: BytesColumn, row: number): number {
  if (next > end) return unusual;
  const start = column.offsets[row]!;
  column.reserveData(start + next - p);
  column.offsets[row + 1] = start + next - p;
  if (next - p < 48) copyBytes(bytes, p, next, column.data, start);
  else column.data.set(bytes.subarray(p, next), start);
  return next;
}

/** The text of an enum's symbol. */
export function symbol(
  bytes: Buffer,
  view: DataView,
  p: number,
  end: number,
  column: BytesColumn,
  row: number,
  symbols: readonly Buffer[],
): number {
  p = int(bytes, view, p, end, scratch, 0);
  const value = symbols[scratch[0]!];
  if (p === unusual || value === undefined) return unusual;
  put(value, 0, value.length, value.length, column, row);
  return p;
}

/** The next bytes, as many as the column is wide. */
export function fixed(bytes: Buffer, p: number, end: number, column: FixedColumn, row: number): number {
  const { width } = column;
  if (p + width > end) return unusual;
  copyBytes(bytes, p, p + width, column.values, row * width);
  return p + width;
}

/**
 * A decimal of `size` bytes (-1: its length comes first) whose unscaled value is beyond neither `limit` nor `-limit`, which
 * is a power of ten.
 */
export function decimal(
  bytes: Buffer,
  view: DataView,
  p: number,
  end: number,
  size: number,
  column: DecimalColumn,
  row: number,
  limit: number,
): number {
  let length = size;
  if (size < 0) {
    p = int(bytes, view, p, end, scratch, 0);
    length = scratch[0]!;
  }
  const next = p + length;
  if (length <= 0 || length > 16 || next > end) return unusual;
  const { words } = column;
  const at = row * 4;
  const sign = view.getInt8(p) >> 7;
  // From the lowest word up; the highest of them is cut from the four bytes that the number begins with.
  let word = 0;
  let rest = length;
  for (; rest > 4; rest -= 4) words[at + word++] = view.getInt32(p + rest - 4);
  words[at + word++] = view.getInt32(p) >> (32 - rest * 8);
  for (; word < 4; word++) words[at + word] = sign;
  if (length > 8) {
    // Without the low half and rounded: only what is clearly within is taken.
    const value = (words[at + 3]! * 2 ** 32 + (words[at + 2]! >>> 0)) * 2 ** 64;
    return Math.abs(value) + 2 ** 64 < limit * 0.999 ? next : unusual;
  }
  // Rounding keeps the order, and powers of ten below 64 bits are exact.
  const value = words[at + 1]! * 2 ** 32 + (words[at]! >>> 0);
  return value < limit && value > -limit ? next : unusual;
}

/** Steps over a number. */
export function skipLong(bytes: Buffer, view: DataView, p: number, end: number): number {
  return long(bytes, view, p, end, scratch, 0);
}

/** Steps over a string or bytes. */
export function skipSized(bytes: Buffer, view: DataView, p: number, end: number): number {
  p = int(bytes, view, p, end, scratch, 0);
  const next = p + scratch[0]!;
  return scratch[0]! < 0 || next > end ? unusual : next;
}

/** How many items the block has at whose begin {@link block} has been. */
export const items = new Int32Array(1);

/** The beginning of a block of an array or map, 0 {@link items} for the last. */
export function block(bytes: Buffer, view: DataView, p: number, end: number): number {
  p = int(bytes, view, p, end, items, 0);
  if (p === unusual || items[0]! >= 0) return p;
  // The block's size in bytes follows a negative count.
  items[0] = -items[0]!;
  return items[0]! < 0 ? unusual : skipLong(bytes, view, p, end);
}
