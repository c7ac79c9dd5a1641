import type { BooleanColumn, BytesColumn, DecimalColumn } from '../arrow/columns.ts';
import { unusual } from './generate.ts';
import { powersOfTen } from './json-numbers.ts';
import { continuesNumber, firstByte, minus, plainEnd, quote, specialIn } from './json-scanner.ts';

/**
 * What generated readers call: each reads the JSON value at `p`, which lies below `end`, into the arrays of a column and
 * returns what is behind it, or {@link unusual} for whatever it does not read. Never says what is wrong.
 */

const scratch = new Int32Array(2);

/** An integer of 32 bits. */
export function int(
  bytes: Buffer,
  view: DataView,
  p: number,
  end: number,
  values: Int32Array,
  at: number,
): number {
  p = integer(bytes, view, p, end, scratch, 0, 1);
  if (p === unusual || scratch[1] !== scratch[0]! >> 31) return unusual;
  values[at] = scratch[0]!;
  return p;
}

/** An integer times `factor`, if doubles hold it exactly, its halves to `halves[at]` and `halves[at + 1]`. */
export function integer(
  bytes: Buffer,
  view: DataView,
  p: number,
  end: number,
  halves: Int32Array,
  at: number,
  factor: number,
): number {
  const isNegative = bytes[p] === minus;
  if (isNegative) p++;
  const digits = p;
  const limit = Math.min(digits + 16, end);
  let value = 0;
  for (let four: number; p + 4 <= limit && (four = fourDigits(view.getInt32(p, true))) >= 0; p += 4)
    value = value * 10_000 + four;
  for (let digit: number; p < limit && (digit = bytes[p]! - 48) >>> 0 < 10; p++) value = value * 10 + digit;
  if (p === digits || (bytes[digits] === 48 && p > digits + 1)) return unusual;
  value *= factor;
  if (value > Number.MAX_SAFE_INTEGER || (p < end && continuesNumber(bytes[p]!))) return unusual;
  if (isNegative) value = -value;
  halves[at] = value | 0;
  halves[at + 1] = Math.floor(value / 4294967296);
  return p;
}

/** The number that four characters make, the first in the lowest byte; -1 when one of them is no digit. */
function fourDigits(word: number): number {
  const digits = word ^ 0x30303030;
  // Six more than nine no longer fit four bits.
  if (((digits | (digits + 0x06060606)) & 0xf0f0f0f0) !== 0) return -1;
  const pairs = digits * 10 + (digits >>> 8);
  return (pairs & 0xff) * 100 + ((pairs >>> 16) & 0xff);
}

/** The digits of the last number with a fraction as one integer, with its sign, and how many stand behind the point. */
let mantissa = 0.5;
let fractionDigits = 0;

/** A number without an exponent, of at most 15 digits. */
function fraction(bytes: Buffer, p: number, end: number): number {
  const isNegative = bytes[p] === minus;
  if (isNegative) p++;
  const digits = p;
  const limit = Math.min(digits + 16, end);
  let value = 0;
  for (let digit: number; p < limit && (digit = bytes[p]! - 48) >>> 0 < 10; p++) value = value * 10 + digit;
  if (p === digits || (bytes[digits] === 48 && p > digits + 1)) return unusual;
  fractionDigits = 0;
  if (p < limit && bytes[p] === 46) {
    const point = p++;
    for (let digit: number; p < limit && (digit = bytes[p]! - 48) >>> 0 < 10; p++) value = value * 10 + digit;
    fractionDigits = p - point - 1;
    if (fractionDigits === 0) return unusual;
  }
  if (value > 999_999_999_999_999 || (p < end && continuesNumber(bytes[p]!))) return unusual;
  mantissa = isNegative ? -value : value;
  return p;
}

/** A number for a float or double. */
export function float(
  bytes: Buffer,
  p: number,
  end: number,
  values: Float32Array | Float64Array,
  row: number,
): number {
  p = fraction(bytes, p, end);
  // Both operands are exact, so that the quotient is the double nearest to the decimal.
  if (p !== unusual) values[row] = mantissa / powersOfTen[fractionDigits]!;
  return p;
}

/** A decimal, in quotes or not, whose unscaled value is beyond neither `limit` nor `-limit`. */
export function decimal(
  bytes: Buffer,
  p: number,
  end: number,
  column: DecimalColumn,
  row: number,
  scale: number,
  limit: number,
): number {
  const isQuoted = bytes[p] === quote;
  p = fraction(bytes, isQuoted ? p + 1 : p, end);
  const shift = scale - fractionDigits;
  if (p === unusual || shift < 0 || shift > 15) return unusual;
  const value = mantissa * powersOfTen[shift]!;
  if (value >= limit || value <= -limit) return unusual;
  if (isQuoted && (p >= end || bytes[p++] !== quote)) return unusual;
  const { words } = column;
  const at = row * 4;
  const high = Math.floor(value / 4294967296);
  words[at] = value | 0;
  words[at + 1] = high;
  words[at + 2] = words[at + 3] = high >> 31;
  return p;
}

/** A boolean. */
export function boolean(
  bytes: Buffer,
  view: DataView,
  p: number,
  end: number,
  column: BooleanColumn,
  row: number,
): number {
  const word = view.getInt32(p, true);
  if (word === wordTrue) {
    column.values[row >> 3]! |= 1 << (row & 7);
    p += 4;
  } else if (word === wordFals && bytes[p + 4] === 101) {
    p += 5;
  } else {
    return unusual;
  }
  return p > end ? unusual : p;
}

const wordTrue = Buffer.from('true').readInt32LE();
const wordFals = Buffer.from('fals').readInt32LE();

/** Strings up to this length are looked at while they are copied. */
const shortText = 64;

/** A string of plain ASCII characters, as value `row`. */
export function text(
  bytes: Buffer,
  view: DataView,
  p: number,
  end: number,
  column: BytesColumn,
  row: number,
): number {
  if (bytes[p] !== quote) return unusual;
  const start = p + 1;
  const at = column.offsets[row]!;
  if (at + shortText > column.data.length) column.reserveData(at + shortText);
  const limit = Math.min(end, start + shortText);
  const target = column.view;
  for (let i = start; i + 4 <= limit; i += 4) {
    const word = view.getInt32(i, true);
    // What is copied behind the quote is overwritten by the next value.
    target.setInt32(at + i - start, word, true);
    const special = specialIn(word);
    if (special === 0) continue;
    i += firstByte(special);
    if (bytes[i] !== quote) return unusual;
    column.offsets[row + 1] = at + i - start;
    return i + 1;
  }
  return longText(bytes, view, start, end, column, row);
}

function longText(
  bytes: Buffer,
  view: DataView,
  start: number,
  end: number,
  column: BytesColumn,
  row: number,
): number {
  const close = plainEnd(bytes, view, start, end);
  if (close < 0) return unusual;
  const at = column.offsets[row]!;
  column.reserveData(at + close - start);
  column.data.set(bytes.subarray(start, close), at);
  column.offsets[row + 1] = at + close - start;
  return close + 1;
}
