import { assert } from '../base/assert.ts';
import type { Column } from './columns.ts';

/**
 * Counts the rows that were written straight into a column's arrays, for which room was made before: those from its length
 * up to `length`. What was written of the row behind them, which failed half way, is taken back. The elements of lists and
 * maps have been counted while they were written, for each must know its place; their nulls have not. Columns in `appended`
 * count for themselves.
 */
export function setLength(column: Column, length: number, appended: ReadonlySet<Column>): void {
  settle(column, column.length, length, length + 1, appended);
}

/** Counts values that were written straight into the arrays up to `length`, none of them null. */
export function setLengthPresent(column: Column, length: number): void {
  if (column.validity) setBits(column.validity, column.length, length);
  setLength(column, length, none);
}

const none: ReadonlySet<Column> = new Set();

/** Values below `counted` are complete, those below `length` have been written, so may be those below `written`. */
function settle(
  column: Column,
  counted: number,
  length: number,
  written: number,
  appended: ReadonlySet<Column>,
): void {
  if (appended.has(column)) {
    if (column.length > length) column.truncate(length);
    return;
  }
  assert(length <= column.capacity, `room for ${length} values, there is room for ${column.capacity}`);
  switch (column.kind) {
    case 'struct':
      for (const child of column.children) settle(child, counted, length, written, appended);
      break;
    case 'list':
      settleElements(column.element, column.offsets, counted, length, column.element.length + 1, appended);
      break;
    case 'map': {
      const entries = column.key.length + 1;
      settleElements(column.key, column.offsets, counted, length, entries, appended);
      settleElements(column.value, column.offsets, counted, length, entries, appended);
      break;
    }
    case 'boolean':
      clearBits(column.values, length, written);
  }
  if (column.validity) {
    column.nullCount += length - counted - countBits(column.validity, counted, length);
    clearBits(column.validity, length, written);
  }
  column.length = length;
}

function settleElements(
  column: Column,
  offsets: Int32Array,
  counted: number,
  length: number,
  written: number,
  appended: ReadonlySet<Column>,
): void {
  settle(column, offsets[counted]!, offsets[length]!, written, appended);
}

/** Clears the bits of `bitmap` from `from` up to `to`. */
function clearBits(bitmap: Uint8Array, from: number, to: number): void {
  for (let bit = from; bit < to; bit++) bitmap[bit >> 3]! &= ~(1 << (bit & 7));
}

/** Sets the bits of `bitmap` from `from` up to `to`. */
function setBits(bitmap: Uint8Array, from: number, to: number): void {
  let bit = from;
  for (; bit < to && (bit & 7) !== 0; bit++) bitmap[bit >> 3]! |= 1 << (bit & 7);
  const whole = Math.max(bit, to & ~7);
  bitmap.fill(0xff, bit >> 3, whole >> 3);
  for (bit = whole; bit < to; bit++) bitmap[bit >> 3]! |= 1 << (bit & 7);
}

/** How many bits of `bitmap` are set from `from` up to `to`. */
function countBits(bitmap: Uint8Array, from: number, to: number): number {
  let count = 0;
  let bit = from;
  for (; bit < to && (bit & 7) !== 0; bit++) count += (bitmap[bit >> 3]! >> (bit & 7)) & 1;
  for (; bit + 8 <= to; bit += 8) count += bitsSet[bitmap[bit >> 3]!]!;
  for (; bit < to; bit++) count += (bitmap[bit >> 3]! >> (bit & 7)) & 1;
  return count;
}

const bitsSet = Uint8Array.from({ length: 256 }, (_, byte) => {
  let count = 0;
  for (let rest = byte; rest > 0; rest >>= 1) count += rest & 1;
  return count;
});
