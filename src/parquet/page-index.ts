import { truncateBinaryLower, truncateBinaryUpper, truncateStringUpper } from '../iceberg/single-value.ts';
import type { PrimitiveType } from '../iceberg/types.ts';
import type { Extremes, ValueFacts } from './encoder.ts';
import { type FileLeaf, physical } from './file-schema.ts';
import { field, structOf, type ThriftStruct, thriftTypes, writeThrift } from './thrift.ts';

/** Statistics, and the index of pages by their values and by their rows (parquet.thrift; Parquet PageIndex.md). */

/** Of a page, with bounds in place of the extremes: cut, so that long values are not kept. */
export interface PageFacts extends ValueFacts {
  firstRow: number;
  /** With its header. */
  sizeBytes: number;
}

/** Longer byte strings are cut. */
const boundBytes = 64;

export interface Bounds extends Extremes {
  isMinExact: boolean;
  isMaxExact: boolean;
}

/** Parquet's `Statistics` of a column chunk. */
export function statistics(leaf: FileLeaf, { nulls, nans, extremes }: ValueFacts): ThriftStruct {
  const bounds = extremes && boundsOf(leaf.type, extremes);
  return structOf(
    field.i64(3, nulls),
    bounds && field.binary(5, bounds.max),
    bounds && field.binary(6, bounds.min),
    bounds && field.bool(7, bounds.isMaxExact),
    bounds && field.bool(8, bounds.isMinExact),
    isFloat(leaf) ? field.i64(9, nans) : undefined,
  );
}

export function noFacts(): ValueFacts {
  return { entries: 0, nulls: 0, nans: 0, extremes: undefined };
}

/** Adds what is known of another part. */
export function addFacts(
  leaf: FileLeaf,
  sum: ValueFacts,
  { entries, nulls, nans, extremes }: ValueFacts,
): void {
  sum.entries += entries;
  sum.nulls += nulls;
  sum.nans += nans;
  if (!extremes) return;
  if (!sum.extremes) {
    sum.extremes = { ...extremes };
    return;
  }
  if (compare(leaf, extremes.min, sum.extremes.min) < 0) sum.extremes.min = extremes.min;
  if (compare(leaf, extremes.max, sum.extremes.max) > 0) sum.extremes.max = extremes.max;
}

const orders = { unordered: 0, ascending: 1, descending: 2 } as const;

/** `ColumnIndex`; undefined when it would have to leave a page's values out. */
export function columnIndex(leaf: FileLeaf, pages: readonly PageFacts[]): Uint8Array | undefined {
  const nothing = new Uint8Array(0);
  const isNull = pages.map(({ entries, nulls }) => entries === nulls);
  if (pages.some(({ extremes }, i) => !extremes && !isNull[i])) return undefined;
  const list = (id: number, values: readonly Uint8Array[]) => field.list(id, thriftTypes.binary, [...values]);
  const count = (id: number, of: (page: PageFacts) => number) =>
    field.list(id, thriftTypes.i64, pages.map(of));
  return writeThrift(
    structOf(
      field.list(1, thriftTypes.true, isNull),
      list(
        2,
        pages.map(({ extremes }) => extremes?.min ?? nothing),
      ),
      list(
        3,
        pages.map(({ extremes }) => extremes?.max ?? nothing),
      ),
      field.i32(4, orderOf(leaf, pages)),
      count(5, ({ nulls }) => nulls),
      isFloat(leaf) ? count(8, ({ nans }) => nans) : undefined,
    ),
  );
}

/** `OffsetIndex`; the first page begins at byte `start` of the file. */
export function offsetIndex(pages: readonly PageFacts[], start: number): Uint8Array {
  let at = start;
  const locations = pages.map(({ sizeBytes, firstRow }): ThriftStruct => {
    const offset = at;
    at += sizeBytes;
    return [field.i64(1, offset), field.i32(2, sizeBytes), field.i64(3, firstRow)];
  });
  return writeThrift([field.list(1, thriftTypes.struct, locations)]);
}

/** Whether both bounds only rise, or only fall, from page to page. */
function orderOf(leaf: FileLeaf, pages: readonly PageFacts[]): number {
  let rises = true;
  let falls = true;
  let before: Extremes | undefined;
  for (const { extremes } of pages) {
    if (!extremes) continue;
    if (before) {
      const steps = [compare(leaf, extremes.min, before.min), compare(leaf, extremes.max, before.max)];
      rises &&= steps.every((step) => step >= 0);
      falls &&= steps.every((step) => step <= 0);
    }
    before = extremes;
  }
  if (rises) return orders.ascending;
  return falls ? orders.descending : orders.unordered;
}

/** Only byte strings of any length are cut: what is left of others would be no value of their type. */
export function boundsOf(type: PrimitiveType, { min, max }: Extremes): Bounds {
  if (type.kind === 'float' || type.kind === 'double') return floatBounds(min, max);
  if (type.kind !== 'string' && type.kind !== 'binary')
    return { min, max, isMinExact: true, isMaxExact: true };
  const isText = type.kind === 'string';
  const lower = isText ? cutText(min) : truncateBinaryLower(min, boundBytes);
  // Where nothing is above the cut bytes, all of them are needed.
  const upper = (isText ? textAbove(max) : truncateBinaryUpper(max, boundBytes)) ?? max;
  return { min: lower, max: upper, isMinExact: lower.length === min.length, isMaxExact: upper === max };
}

/** A zero stands for both zeros: the least is the negative one, the greatest the positive one. */
function floatBounds(min: Uint8Array, max: Uint8Array): Bounds {
  const negativeZero = new Uint8Array(min.length);
  negativeZero[min.length - 1] = 0x80;
  return {
    min: isZero(min) ? negativeZero : min,
    max: isZero(max) ? new Uint8Array(max.length) : max,
    isMinExact: true,
    isMaxExact: true,
  };
}

/** Of either sign. */
function isZero(float: Uint8Array): boolean {
  return float.every((byte, i) => byte === 0 || (byte === 0x80 && i === float.length - 1));
}

/** As many whole characters as there is room for. */
function cutText(text: Uint8Array): Uint8Array {
  if (text.length <= boundBytes) return text;
  let end = boundBytes;
  while (end > 0 && (text[end]! & 0xc0) === 0x80) end--;
  return text.subarray(0, end);
}

/** Text of as many characters as {@link cutText} leaves that is above all of `text`; undefined when there is none. */
function textAbove(text: Uint8Array): Uint8Array | undefined {
  const cut = cutText(text);
  if (cut === text) return text;
  let characters = 0;
  for (const byte of cut) if ((byte & 0xc0) !== 0x80) characters++;
  return truncateStringUpper(text, characters);
}

function isFloat(leaf: FileLeaf): boolean {
  return leaf.physical === physical.float || leaf.physical === physical.double;
}

/** The order of the column (parquet.thrift `ColumnOrder`), on values as statistics have them. */
function compare({ physical: shape, type }: FileLeaf, a: Uint8Array, b: Uint8Array): number {
  switch (shape) {
    case physical.int32:
      return view(a).getInt32(0, true) - view(b).getInt32(0, true);
    case physical.int64:
      return sign(view(a).getBigInt64(0, true), view(b).getBigInt64(0, true));
    case physical.float:
      return floatSign(view(a).getFloat32(0, true), view(b).getFloat32(0, true));
    case physical.double:
      return floatSign(view(a).getFloat64(0, true), view(b).getFloat64(0, true));
    default:
      // Of decimals the first byte has the sign.
      if (type.kind === 'decimal' && (a[0]! ^ b[0]!) & 0x80) return b[0]! - a[0]!;
      return Buffer.compare(a, b);
  }
}

function sign<T extends number | bigint>(a: T, b: T): number {
  if (a < b) return -1;
  return a > b ? 1 : 0;
}

function floatSign(a: number, b: number): number {
  return a === 0 && b === 0 ? Number(Object.is(b, -0)) - Number(Object.is(a, -0)) : sign(a, b);
}

function view(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
}
