import { assert } from '../base/assert.ts';
import type { Schema } from '../iceberg/schema.ts';
import type { PrimitiveType, Type } from '../iceberg/types.ts';

/**
 * Growing columns in Arrow's memory layout (Arrow columnar format 1.5): values in typed arrays, nulls as a bitmap with
 * the least significant bit first, strings and lists by offsets. Decoders append straight into them; the Parquet encoder
 * reads their buffers as they are. No object per record exists on the way.
 *
 * Non-obvious: a column keeps a bitmap when it or a struct above it may be null, for a null struct still occupies a slot
 * in each of its children.
 */
export type Column =
  | BooleanColumn
  | Int32Column
  | Int64Column
  | Float32Column
  | Float64Column
  | DecimalColumn
  | FixedColumn
  | BytesColumn
  | StructColumn
  | ListColumn
  | MapColumn;

const firstCapacity = 64;

/** What all columns share: length, nulls, and the bitmap that holds them. */
abstract class BaseColumn {
  length = 0;
  nullCount = 0;
  /** Bit set = value present. Absent when nothing here can be null. */
  validity: Uint8Array | undefined;
  /** How many values the arrays have room for. */
  capacity: number = firstCapacity;

  constructor(nullable: boolean) {
    if (nullable) this.validity = new Uint8Array(bitmapBytes(firstCapacity));
  }

  /** Grows the value arrays to hold `capacity` values. */
  protected abstract resize(capacity: number): void;
  /** Bytes in use, without spare capacity. */
  abstract byteLength(): number;
  /** Removes all values from `length` on. */
  abstract truncate(length: number): void;

  /** Makes room for one more value. */
  protected room(): void {
    if (this.length === this.capacity) this.reserve(this.capacity * 2);
  }

  /** Makes room for `count` more values, to be written straight into the arrays; `setLength` then counts them. */
  makeRoom(count: number): void {
    const needed = this.length + count;
    if (needed > this.capacity) this.reserve(Math.max(needed, this.capacity * 2));
  }

  /** Makes room for `capacity` values in all. */
  reserve(capacity: number): void {
    if (capacity <= this.capacity) return;
    this.capacity = capacity;
    if (this.validity) this.validity = grown(this.validity, bitmapBytes(capacity));
    this.resize(capacity);
  }

  isNull(row: number): boolean {
    return this.validity !== undefined && (this.validity[row >> 3]! & (1 << (row & 7))) === 0;
  }

  /** Counts the value just written as present. */
  protected present(): void {
    const row = this.length++;
    if (this.validity) this.validity[row >> 3]! |= 1 << (row & 7);
  }

  /** Counts the slot just written (or left zero) as null. */
  protected absent(): void {
    this.length++;
    this.nullCount++;
  }

  protected truncateValidity(length: number): void {
    if (this.validity && length === 0) {
      this.validity.fill(0, 0, bitmapBytes(this.length));
      this.nullCount = 0;
    } else if (this.validity) {
      for (let row = length; row < this.length; row++) {
        if (this.isNull(row)) this.nullCount--;
        this.validity[row >> 3]! &= ~(1 << (row & 7));
      }
    }
    this.length = length;
  }

  protected bitmapLength(): number {
    return this.validity ? bitmapBytes(this.length) : 0;
  }
}

/** boolean: one bit a value. */
export class BooleanColumn extends BaseColumn {
  readonly kind = 'boolean';
  values: Uint8Array = new Uint8Array(bitmapBytes(firstCapacity));

  append(value: boolean): void {
    this.room();
    if (value) this.values[this.length >> 3]! |= 1 << (this.length & 7);
    this.present();
  }

  appendNull(): void {
    this.room();
    this.absent();
  }

  get(row: number): boolean {
    return (this.values[row >> 3]! & (1 << (row & 7))) !== 0;
  }

  truncate(length: number): void {
    if (length === 0) this.values.fill(0, 0, bitmapBytes(this.length));
    else for (let row = length; row < this.length; row++) this.values[row >> 3]! &= ~(1 << (row & 7));
    this.truncateValidity(length);
  }

  protected resize(capacity: number): void {
    this.values = grown(this.values, bitmapBytes(capacity));
  }

  byteLength(): number {
    return bitmapBytes(this.length) + this.bitmapLength();
  }
}

/** int and date. */
export class Int32Column extends BaseColumn {
  readonly kind = 'int32';
  values: Int32Array = new Int32Array(firstCapacity);

  append(value: number): void {
    this.room();
    this.values[this.length] = value;
    this.present();
  }

  appendNull(): void {
    this.room();
    this.values[this.length] = 0;
    this.absent();
  }

  truncate(length: number): void {
    this.truncateValidity(length);
  }

  protected resize(capacity: number): void {
    const values = new Int32Array(capacity);
    values.set(this.values);
    this.values = values;
  }

  byteLength(): number {
    return this.length * 4 + this.bitmapLength();
  }
}

/** long, time and both timestamps: written as two 32-bit halves, which is faster than bigints. */
export class Int64Column extends BaseColumn {
  readonly kind = 'int64';
  values: BigInt64Array = new BigInt64Array(firstCapacity);
  /** The same memory: low half first (Arrow and every platform Node runs on are little-endian). */
  halves: Int32Array = new Int32Array(this.values.buffer);

  append(low: number, high: number): void {
    this.room();
    const at = this.length * 2;
    this.halves[at] = low;
    this.halves[at + 1] = high;
    this.present();
  }

  appendBigInt(value: bigint): void {
    this.room();
    this.values[this.length] = value;
    this.present();
  }

  /** `value` must be an integer within +-2^53. */
  appendNumber(value: number): void {
    this.append(value | 0, Math.floor(value / 4294967296));
  }

  appendNull(): void {
    this.room();
    this.values[this.length] = 0n;
    this.absent();
  }

  truncate(length: number): void {
    this.truncateValidity(length);
  }

  protected resize(capacity: number): void {
    const values = new BigInt64Array(capacity);
    values.set(this.values);
    this.values = values;
    this.halves = new Int32Array(values.buffer);
  }

  byteLength(): number {
    return this.length * 8 + this.bitmapLength();
  }
}

/** float. */
export class Float32Column extends BaseColumn {
  readonly kind = 'float32';
  values: Float32Array = new Float32Array(firstCapacity);

  append(value: number): void {
    this.room();
    this.values[this.length] = value;
    this.present();
  }

  appendNull(): void {
    this.room();
    this.values[this.length] = 0;
    this.absent();
  }

  truncate(length: number): void {
    this.truncateValidity(length);
  }

  protected resize(capacity: number): void {
    const values = new Float32Array(capacity);
    values.set(this.values);
    this.values = values;
  }

  byteLength(): number {
    return this.length * 4 + this.bitmapLength();
  }
}

/** double. */
export class Float64Column extends BaseColumn {
  readonly kind = 'float64';
  values: Float64Array = new Float64Array(firstCapacity);

  append(value: number): void {
    this.room();
    this.values[this.length] = value;
    this.present();
  }

  appendNull(): void {
    this.room();
    this.values[this.length] = 0;
    this.absent();
  }

  truncate(length: number): void {
    this.truncateValidity(length);
  }

  protected resize(capacity: number): void {
    const values = new Float64Array(capacity);
    values.set(this.values);
    this.values = values;
  }

  byteLength(): number {
    return this.length * 8 + this.bitmapLength();
  }
}

/** decimal: the unscaled value as 128-bit two's complement, little-endian (Arrow `Decimal128`). */
export class DecimalColumn extends BaseColumn {
  readonly kind = 'decimal';
  /** Two words a value: low, then high (signed). */
  values: BigInt64Array = new BigInt64Array(firstCapacity * 2);
  /** The same memory as 32-bit words, lowest first. */
  words: Int32Array = new Int32Array(this.values.buffer);

  /** Appends a value that fits 64 bits, as its halves. */
  append(low: number, high: number): void {
    this.room();
    const at = this.length * 4;
    const sign = high >> 31;
    this.words[at] = low;
    this.words[at + 1] = high;
    this.words[at + 2] = sign;
    this.words[at + 3] = sign;
    this.present();
  }

  appendBigInt(value: bigint): void {
    this.room();
    this.values[this.length * 2] = BigInt.asIntN(64, value);
    this.values[this.length * 2 + 1] = value >> 64n;
    this.present();
  }

  appendNull(): void {
    this.room();
    this.values.fill(0n, this.length * 2, this.length * 2 + 2);
    this.absent();
  }

  get(row: number): bigint {
    return (this.values[row * 2 + 1]! << 64n) | BigInt.asUintN(64, this.values[row * 2]!);
  }

  truncate(length: number): void {
    this.truncateValidity(length);
  }

  protected resize(capacity: number): void {
    const values = new BigInt64Array(capacity * 2);
    values.set(this.values);
    this.values = values;
    this.words = new Int32Array(values.buffer);
  }

  byteLength(): number {
    return this.length * 16 + this.bitmapLength();
  }
}

/** uuid and fixed: `width` bytes a value. */
export class FixedColumn extends BaseColumn {
  readonly kind = 'fixed';
  readonly width: number;
  values: Uint8Array;

  constructor(width: number, nullable: boolean) {
    super(nullable);
    this.width = width;
    this.values = new Uint8Array(width * firstCapacity);
  }

  /** Appends `source[start, start + width)`. */
  append(source: Uint8Array, start: number): void {
    this.room();
    const at = this.length * this.width;
    for (let i = 0; i < this.width; i++) this.values[at + i] = source[start + i]!;
    this.present();
  }

  appendNull(): void {
    this.room();
    this.values.fill(0, this.length * this.width, (this.length + 1) * this.width);
    this.absent();
  }

  get(row: number): Uint8Array {
    return this.values.subarray(row * this.width, (row + 1) * this.width);
  }

  truncate(length: number): void {
    this.truncateValidity(length);
  }

  protected resize(capacity: number): void {
    this.values = grown(this.values, capacity * this.width);
  }

  byteLength(): number {
    return this.length * this.width + this.bitmapLength();
  }
}

/** string (UTF-8) and binary. */
export class BytesColumn extends BaseColumn {
  readonly kind = 'bytes';
  /** Value `i` is `data[offsets[i], offsets[i + 1])`. */
  offsets: Int32Array = new Int32Array(firstCapacity + 1);
  data: Uint8Array = new Uint8Array(firstCapacity * 8);
  /** The same memory, to be written word by word. */
  view: DataView = new DataView(this.data.buffer);

  /** Appends `source[start, end)`. Bytes of a string must be UTF-8: the caller has checked. */
  append(source: Uint8Array, start: number, end: number): void {
    this.room();
    const from = this.offsets[this.length]!;
    const next = from + end - start;
    if (next > this.data.length) this.reserveData(next);
    const data = this.data;
    // A loop beats set(subarray()) for short values, which most are.
    if (end - start < 48) for (let i = start, to = from; i < end; ) data[to++] = source[i++]!;
    else data.set(source.subarray(start, end), from);
    this.offsets[this.length + 1] = next;
    this.present();
  }

  appendNull(): void {
    this.room();
    this.offsets[this.length + 1] = this.offsets[this.length]!;
    this.absent();
  }

  get(row: number): Uint8Array {
    return this.data.subarray(this.offsets[row]!, this.offsets[row + 1]!);
  }

  truncate(length: number): void {
    this.truncateValidity(length);
  }

  /** Makes room for `needed` bytes in all. */
  reserveData(needed: number): void {
    if (needed <= this.data.length) return;
    assert(needed <= 0x7fffffff, 'a string column holds at most 2 GiB: batches must be cut before');
    this.data = grown(this.data, Math.min(0x7fffffff, Math.max(needed, this.data.length * 2)));
    this.view = new DataView(this.data.buffer);
  }

  protected resize(capacity: number): void {
    const offsets = new Int32Array(capacity + 1);
    offsets.set(this.offsets);
    this.offsets = offsets;
  }

  byteLength(): number {
    return (this.length + 1) * 4 + this.offsets[this.length]! + this.bitmapLength();
  }
}

/** struct: append to each child, then {@link StructColumn.append}. */
export class StructColumn extends BaseColumn {
  readonly kind = 'struct';
  readonly children: readonly Column[];

  constructor(children: readonly Column[], nullable: boolean) {
    super(nullable);
    this.children = children;
  }

  /** Counts a struct whose members have all been appended. */
  append(): void {
    this.room();
    this.present();
  }

  appendNull(): void {
    this.room();
    for (const child of this.children) child.appendNull();
    this.absent();
  }

  truncate(length: number): void {
    for (const child of this.children) child.truncate(length);
    this.truncateValidity(length);
  }

  /** The members have room for as many values as the struct: whoever writes into their arrays asks only the struct. */
  protected resize(capacity: number): void {
    for (const child of this.children) child.reserve(capacity);
  }

  byteLength(): number {
    return this.children.reduce((sum, child) => sum + child.byteLength(), this.bitmapLength());
  }
}

/** list: append the elements to `element`, then {@link ListColumn.append}. */
export class ListColumn extends BaseColumn {
  readonly kind = 'list';
  readonly element: Column;
  /** List `i` is elements `[offsets[i], offsets[i + 1])`. */
  offsets: Int32Array = new Int32Array(firstCapacity + 1);

  constructor(element: Column, nullable: boolean) {
    super(nullable);
    this.element = element;
  }

  /** Closes a list with all elements appended since the last one. */
  append(): void {
    this.room();
    this.offsets[this.length + 1] = this.element.length;
    this.present();
  }

  appendNull(): void {
    this.room();
    this.offsets[this.length + 1] = this.element.length;
    this.absent();
  }

  truncate(length: number): void {
    this.element.truncate(this.offsets[length]!);
    this.truncateValidity(length);
  }

  protected resize(capacity: number): void {
    const offsets = new Int32Array(capacity + 1);
    offsets.set(this.offsets);
    this.offsets = offsets;
  }

  byteLength(): number {
    return (this.length + 1) * 4 + this.element.byteLength() + this.bitmapLength();
  }
}

/** map: append keys and values pairwise, then {@link MapColumn.append}. */
export class MapColumn extends BaseColumn {
  readonly kind = 'map';
  readonly key: Column;
  readonly value: Column;
  offsets: Int32Array = new Int32Array(firstCapacity + 1);

  constructor(key: Column, value: Column, nullable: boolean) {
    super(nullable);
    this.key = key;
    this.value = value;
  }

  /** Closes a map with all entries appended since the last one. */
  append(): void {
    this.room();
    this.offsets[this.length + 1] = this.key.length;
    this.present();
  }

  appendNull(): void {
    this.room();
    this.offsets[this.length + 1] = this.key.length;
    this.absent();
  }

  truncate(length: number): void {
    this.key.truncate(this.offsets[length]!);
    this.value.truncate(this.offsets[length]!);
    this.truncateValidity(length);
  }

  protected resize(capacity: number): void {
    const offsets = new Int32Array(capacity + 1);
    offsets.set(this.offsets);
    this.offsets = offsets;
  }

  byteLength(): number {
    return (this.length + 1) * 4 + this.key.byteLength() + this.value.byteLength() + this.bitmapLength();
  }
}

/** An empty column for values of `type`. `nullable`: it or a struct around it may be null. */
export function makeColumn(type: Type, nullable: boolean): Column {
  switch (type.kind) {
    case 'struct':
      return new StructColumn(
        type.fields.map((field) => makeColumn(field.type, nullable || !field.required)),
        nullable,
      );
    case 'list':
      return new ListColumn(makeColumn(type.element, !type.elementRequired), nullable);
    case 'map':
      return new MapColumn(
        makeColumn(type.key, false),
        makeColumn(type.value, !type.valueRequired),
        nullable,
      );
    default:
      return makeLeaf(type, nullable);
  }
}

function makeLeaf(type: PrimitiveType, nullable: boolean): Column {
  switch (type.kind) {
    case 'boolean':
      return new BooleanColumn(nullable);
    case 'int':
    case 'date':
      return new Int32Column(nullable);
    case 'long':
    case 'time':
    case 'timestamp':
    case 'timestamptz':
      return new Int64Column(nullable);
    case 'float':
      return new Float32Column(nullable);
    case 'double':
      return new Float64Column(nullable);
    case 'decimal':
      return new DecimalColumn(nullable);
    case 'uuid':
      return new FixedColumn(16, nullable);
    case 'fixed':
      return new FixedColumn(type.length, nullable);
    case 'string':
    case 'binary':
      return new BytesColumn(nullable);
  }
}

/** The columns of one table schema, all of the same length. */
export class Columns {
  readonly schema: Schema;
  readonly columns: readonly Column[];

  constructor(schema: Schema) {
    this.schema = schema;
    this.columns = schema.fields.map((field) => makeColumn(field.type, !field.required));
  }

  /** Number of whole rows. */
  get rows(): number {
    return this.columns[0]?.length ?? 0;
  }

  byteLength(): number {
    return this.columns.reduce((sum, column) => sum + column.byteLength(), 0);
  }

  /** Keeps the first `rows` rows, whatever state a failed row left the columns in. */
  truncate(rows: number): void {
    for (const column of this.columns) column.truncate(rows);
  }
}

function bitmapBytes(bits: number): number {
  return (bits + 7) >> 3;
}

function grown(bytes: Uint8Array, length: number): Uint8Array {
  const out = new Uint8Array(length);
  out.set(bytes);
  return out;
}
