import { assert } from '../base/assert.ts';
import type { BloomFilter } from './bloom-filter.ts';
import { ByteStrings } from './byte-strings.ts';
import { writeDeltas32 } from './delta.ts';
import { BytesDictionary, type Dictionary, type Range } from './dictionary.ts';
import type { Extremes } from './encoder.ts';
import type { GrowingBytes } from './growing-bytes.ts';
import type { LeafBatch } from './levels.ts';
import { encodings, type PageValues } from './page-values.ts';

/** BYTE_ARRAY: string and binary. */
export class BytesValues implements PageValues {
  readonly nans = 0;
  protected readonly strings: ByteStrings = new ByteStrings();

  get count(): number {
    return this.strings.count;
  }

  get plainBytes(): number {
    return this.strings.bytes + 4 * this.count;
  }

  get heldBytes(): number {
    return this.strings.heldBytes;
  }

  plainBytesOf(batch: LeafBatch, from: number, to: number): number {
    const [start, end] = bytesRange(batch, from, to);
    return end - start + 4 * (to - from);
  }

  append(batch: LeafBatch, from: number, to: number): void {
    if (from === to) return;
    const { column, slots } = batch;
    assert(column.kind === 'bytes', 'BYTE_ARRAY values come from columns of bytes');
    const [start, end] = bytesRange(batch, from, to);
    const { strings } = this;
    strings.reserve(to - from, end - start);
    const shift = strings.bytes - start;
    // Nulls take no bytes: what is between the first and the last value is all theirs.
    strings.data.set(column.data.subarray(start, end), strings.bytes);
    const { offsets } = strings;
    let next = strings.count;
    if (slots) for (let i = from; i < to; i++) offsets[++next] = column.offsets[slots[i]! + 1]! + shift;
    else for (let i = from; i < to; i++) offsets[++next] = column.offsets[i + 1]! + shift;
    strings.count = next;
  }

  plain(out: GrowingBytes): void {
    this.strings.plain(out, false);
  }

  delta(out: GrowingBytes): number | undefined {
    const { offsets, count, data, bytes } = this.strings;
    const lengths = new Int32Array(count);
    for (let i = 0; i < count; i++) lengths[i] = offsets[i + 1]! - offsets[i]!;
    writeDeltas32(out, lengths, count);
    out.append(data.subarray(0, bytes));
    return encodings.deltaLengthByteArray;
  }

  makeDictionary(): Dictionary | undefined {
    return new BytesDictionary(false);
  }

  index(dictionary: Dictionary, range: Range, codes: Int32Array): boolean {
    return (dictionary as BytesDictionary).index(this.strings, range, codes);
  }

  extremes(codes?: Int32Array, dictionary?: Dictionary): Extremes | undefined {
    if (this.count === 0) return undefined;
    // Few of many: each is compared once.
    if (codes && dictionary && dictionary.size < this.count)
      return this.extremesAmong(
        (dictionary as BytesDictionary).strings,
        distinct(codes, this.count, dictionary.size),
      );
    return this.extremesAmong(this.strings, undefined);
  }

  /** Of all strings, or of those with these numbers. */
  protected extremesAmong(strings: ByteStrings, among: Int32Array | undefined): Extremes {
    const count = among?.length ?? strings.count;
    let min = among ? among[0]! : 0;
    let max = min;
    for (let k = 1; k < count; k++) {
      const i = among ? among[k]! : k;
      if (this.compare(strings, i, min) < 0) min = i;
      else if (this.compare(strings, i, max) > 0) max = i;
    }
    return { min: strings.get(min).slice(), max: strings.get(max).slice() };
  }

  protected compare(strings: ByteStrings, i: number, j: number): number {
    return strings.compare(i, j);
  }

  insertInto(filter: BloomFilter): void {
    const { view, offsets, count } = this.strings;
    for (let i = 0; i < count; i++) filter.insertBytes(view, offsets[i]!, offsets[i + 1]!);
  }

  clear(): void {
    this.strings.truncate(0);
  }
}

/** FIXED_LEN_BYTE_ARRAY: uuid, fixed, and decimals of more than 18 digits. */
export class FixedValues extends BytesValues {
  readonly #width: number;
  readonly #kind: string;

  constructor(width: number, kind: string) {
    super();
    this.#width = width;
    this.#kind = kind;
  }

  override get plainBytes(): number {
    return this.strings.bytes;
  }

  override plainBytesOf(_batch: LeafBatch, from: number, to: number): number {
    return (to - from) * this.#width;
  }

  override append({ column, slots }: LeafBatch, from: number, to: number): void {
    const width = this.#width;
    const { strings } = this;
    strings.reserve(to - from, (to - from) * width);
    const { data, offsets } = strings;
    let at = strings.bytes;
    for (let i = from; i < to; i++) {
      const slot = slots ? slots[i]! : i;
      if (column.kind === 'decimal') {
        // Least significant byte first there, last here; above 16 bytes there are none.
        for (let k = 0; k < width; k++)
          data[at + width - 1 - k] = column.words[slot * 4 + (k >> 2)]! >> ((k & 3) * 8);
      } else {
        assert(column.kind === 'fixed', 'FIXED values come from columns of such');
        for (let k = 0; k < width; k++) data[at + k] = column.values[slot * width + k]!;
      }
      at += width;
      offsets[++strings.count] = at;
    }
  }

  override plain(out: GrowingBytes): void {
    this.strings.plain(out, true);
  }

  override delta(): undefined {}

  /** Hardly any uuid comes twice, and Iceberg's readers of before 2025 know none in a dictionary. */
  override makeDictionary(): Dictionary | undefined {
    return this.#kind === 'uuid' ? undefined : new BytesDictionary(true);
  }

  /**
   * Java's library compares uuids as pairs of signed numbers, everybody else byte by byte (apache/iceberg#14216): by
   * statistics it would pass over row groups that have the row asked for.
   */
  override extremes(codes?: Int32Array, dictionary?: Dictionary): Extremes | undefined {
    return this.#kind === 'uuid' ? undefined : super.extremes(codes, dictionary);
  }

  protected override compare(strings: ByteStrings, i: number, j: number): number {
    if (this.#kind !== 'decimal') return strings.compare(i, j);
    // Two's complement: without its sign, the first byte decides.
    const [a, b] = [strings.data[strings.offsets[i]!]!, strings.data[strings.offsets[j]!]!];
    return (a ^ b) & 0x80 ? b - a : strings.compare(i, j);
  }
}

/** The bytes of values `[from, to)`. */
function bytesRange({ column, slots }: LeafBatch, from: number, to: number): [start: number, end: number] {
  if (from === to || column.kind !== 'bytes') return [0, 0];
  const first = slots ? slots[from]! : from;
  const last = slots ? slots[to - 1]! : to - 1;
  return [column.offsets[first]!, column.offsets[last + 1]!];
}

/** Each of the codes once. */
function distinct(codes: Int32Array, count: number, size: number): Int32Array {
  const seen = new Uint8Array(size);
  const out = new Int32Array(Math.min(size, count));
  let next = 0;
  for (let i = 0; i < count; i++) {
    const code = codes[i]!;
    if (seen[code] === 1) continue;
    seen[code] = 1;
    out[next++] = code;
  }
  return out.subarray(0, next);
}
