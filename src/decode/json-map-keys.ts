import type { Column } from '../arrow/columns.ts';
import { DecodeError } from './decoder.ts';
import { isNumberText } from './json-numbers.ts';
import type { Read, ReaderContext } from './json-reader.ts';
import { quote } from './json-scanner.ts';

/** Longer keys are no numbers that a column could hold. */
const longestBare = 100;

/** Types with values that are read only without quotes. */
const bareKinds = new Set(['boolean', 'float', 'double', 'date', 'time', 'timestamp', 'timestamptz']);

/**
 * Reads an object's key as a value of type `kind`, with the reader of such values. A number or boolean, which a key can
 * only hold in quotes, is read as if they were not there.
 */
export function keyReader({ s }: ReaderContext, kind: string, read: Read): Read {
  if (!bareKinds.has(kind)) return read;
  return () => {
    const end = bareEnd(s.bytes, s.position + 1, s.end);
    if (end < 0) return read();
    s.position++;
    read();
    s.position = end + 1;
  };
}

/** The position of the closing quote when the key is the text of a number or boolean, else -1. */
function bareEnd(bytes: Buffer, from: number, end: number): number {
  let to = from;
  while (to < end && to - from < longestBare && bytes[to] !== quote) to++;
  if (to === end || bytes[to] !== quote) return -1;
  const text = bytes.toString('latin1', from, to);
  return text === 'true' || text === 'false' || isNumberText(text) ? to : -1;
}

/** Up to this many keys are compared pairwise, which allocates nothing. */
const few = 16;

/**
 * Checks that the keys from `from` on, those of the map just read, differ. Which of two equal keys counts is for the
 * producer to say, not for us.
 * @throws {DecodeError} when two are equal.
 */
export function rejectEqualKeys(keys: Column, from: number, path: string): void {
  const to = keys.length;
  if (to - from > few) {
    const seen = new Set<string>();
    for (let row = from; row < to; row++) seen.add(keyText(keys, row));
    if (seen.size < to - from) throw new DecodeError(path, 'a key of the map appears twice');
    return;
  }
  for (let row = from + 1; row < to; row++)
    for (let other = from; other < row; other++)
      if (sameKey(keys, other, row))
        throw new DecodeError(path, `the key ${shownKey(keys, row)} appears twice`);
}

function shownKey(keys: Column, row: number): string {
  const text =
    keys.kind === 'bytes' ? JSON.stringify(Buffer.from(keys.get(row)).toString()) : keyText(keys, row);
  return text.length > 40 ? `${text.slice(0, 40)}...` : text;
}

function sameKey(column: Column, a: number, b: number): boolean {
  switch (column.kind) {
    case 'bytes':
      return sameBytes(column.data, column.offsets, a, b);
    case 'int32':
      return column.values[a] === column.values[b];
    case 'int64':
      return (
        column.halves[a * 2] === column.halves[b * 2] && column.halves[a * 2 + 1] === column.halves[b * 2 + 1]
      );
    default:
      return keyText(column, a) === keyText(column, b);
  }
}

function sameBytes(data: Uint8Array, offsets: Int32Array, a: number, b: number): boolean {
  const length = offsets[a + 1]! - offsets[a]!;
  if (length !== offsets[b + 1]! - offsets[b]!) return false;
  for (let i = 0; i < length; i++) if (data[offsets[a]! + i] !== data[offsets[b]! + i]) return false;
  return true;
}

/** A text that equal values share and different values do not. */
function keyText(column: Column, row: number): string {
  if (column.isNull(row)) return 'null';
  switch (column.kind) {
    case 'bytes':
      return JSON.stringify(Buffer.from(column.get(row)).toString('latin1'));
    case 'fixed':
      return Buffer.from(column.get(row)).toString('hex');
    case 'boolean':
    case 'decimal':
      return String(column.get(row));
    case 'struct':
      return `{${column.children.map((child) => keyText(child, row)).join()}}`;
    case 'list':
      return `[${rowsOf(column.offsets, row).map((i) => keyText(column.element, i))}]`;
    case 'map':
      return `{${rowsOf(column.offsets, row).map((i) => `${keyText(column.key, i)}:${keyText(column.value, i)}`)}}`;
    default:
      return String(column.values[row]);
  }
}

function rowsOf(offsets: Int32Array, row: number): number[] {
  return Array.from({ length: offsets[row + 1]! - offsets[row]! }, (_, i) => offsets[row]! + i);
}
