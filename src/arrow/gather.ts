import { assert } from '../base/assert.ts';
import type { BooleanColumn, BytesColumn, Column, Columns, FixedColumn } from './columns.ts';
import { setLength } from './set-length.ts';

/** Copies the given rows of `source` behind those of `target`, which has the same schema. */
export function gatherRows(target: Columns, source: Columns, rows: Int32Array): void {
  for (const [i, column] of target.columns.entries()) gather(column, source.columns[i]!, rows);
}

/** Copies the given rows of `source` behind those of `target`; both are columns of the same type. */
export function gather(target: Column, source: Column, rows: Int32Array): void {
  assert(target.kind === source.kind, `columns of one type (${target.kind}, ${source.kind})`);
  target.makeRoom(rows.length);
  const gathered = gatherValues(target, source, rows);
  if (target.validity) gatherBits(target.validity, target.length, source.validity, rows);
  setLength(target, target.length + rows.length, new Set(gathered));
}

/** Writes the values behind those of `target`; returns the columns within it that have been counted already. */
function gatherValues(target: Column, source: Column, rows: Int32Array): readonly Column[] {
  const { length } = target;
  switch (target.kind) {
    case 'int32':
    case 'float32':
    case 'float64':
      gatherWords(target.values, length, (source as typeof target).values, rows, 1);
      return [];
    case 'int64':
      gatherWords(target.halves, length, (source as typeof target).halves, rows, 2);
      return [];
    case 'decimal':
      gatherWords(target.words, length, (source as typeof target).words, rows, 4);
      return [];
    case 'boolean':
      gatherBits(target.values, length, (source as BooleanColumn).values, rows);
      return [];
    case 'fixed':
      gatherFixed(target, source as FixedColumn, rows);
      return [];
    case 'bytes':
      gatherBytes(target, source as BytesColumn, rows);
      return [];
    case 'struct':
      // Members of a null struct are null themselves, so the children can be copied on their own.
      for (const [i, child] of target.children.entries())
        gather(child, (source as typeof target).children[i]!, rows);
      return target.children;
    case 'list': {
      const elements = gatherOffsets(target, source as typeof target, rows);
      gather(target.element, (source as typeof target).element, elements);
      return [target.element];
    }
    case 'map': {
      const entries = gatherOffsets(target, source as typeof target, rows);
      gather(target.key, (source as typeof target).key, entries);
      gather(target.value, (source as typeof target).value, entries);
      return [target.key, target.value];
    }
  }
}

type Words = Int32Array | Float32Array | Float64Array;

/** Values of `width` words each, from the `length`th on. */
function gatherWords(target: Words, length: number, source: Words, rows: Int32Array, width: 1 | 2 | 4): void {
  let to = length * width;
  for (let i = 0; i < rows.length; i++) {
    const from = rows[i]! * width;
    for (let word = 0; word < width; word++) target[to++] = source[from + word]!;
  }
}

/** Bits, from the `length`th on; all of them set if there is no `source`. */
function gatherBits(
  target: Uint8Array,
  length: number,
  source: Uint8Array | undefined,
  rows: Int32Array,
): void {
  for (let i = 0, to = length; i < rows.length; i++, to++) {
    const row = rows[i]!;
    if (source === undefined || (source[row >> 3]! & (1 << (row & 7))) !== 0)
      target[to >> 3]! |= 1 << (to & 7);
  }
}

function gatherFixed(target: FixedColumn, source: FixedColumn, rows: Int32Array): void {
  const { width, values } = target;
  let to = target.length * width;
  for (let i = 0; i < rows.length; i++) {
    const from = rows[i]! * width;
    for (let byte = 0; byte < width; byte++) values[to++] = source.values[from + byte]!;
  }
}

function gatherBytes(target: BytesColumn, source: BytesColumn, rows: Int32Array): void {
  const { length, offsets } = target;
  let to = offsets[length]!;
  for (let i = 0; i < rows.length; i++)
    offsets[length + i + 1] = to += source.offsets[rows[i]! + 1]! - source.offsets[rows[i]!]!;
  target.reserveData(to);
  const { data } = target;
  to = offsets[length]!;
  for (let i = 0; i < rows.length; i++) {
    const from = source.offsets[rows[i]!]!;
    const end = source.offsets[rows[i]! + 1]!;
    // A loop beats set(subarray()) for short values, which most are.
    if (end - from < 48) for (let byte = from; byte < end; ) data[to++] = source.data[byte++]!;
    else {
      data.set(source.data.subarray(from, end), to);
      to += end - from;
    }
  }
}

/** Offsets of the lists or maps in `rows`; returns the elements that are in them. */
function gatherOffsets(
  target: { length: number; offsets: Int32Array },
  source: { offsets: Int32Array },
  rows: Int32Array,
): Int32Array {
  const { length, offsets } = target;
  const first = offsets[length]!;
  let to = first;
  for (let i = 0; i < rows.length; i++)
    offsets[length + i + 1] = to += source.offsets[rows[i]! + 1]! - source.offsets[rows[i]!]!;
  const elements = new Int32Array(to - first);
  for (let i = 0, at = 0; i < rows.length; i++)
    for (let element = source.offsets[rows[i]!]!; element < source.offsets[rows[i]! + 1]!; )
      elements[at++] = element++;
  return elements;
}
