import { assert } from '../base/assert.ts';
import type { BloomFilter } from './bloom-filter.ts';
import { areNear, writeDeltas32, writeDeltas64 } from './delta.ts';
import { type Dictionary, PairDictionary, type Range, WordDictionary } from './dictionary.ts';
import type { Extremes } from './encoder.ts';
import type { GrowingBytes } from './growing-bytes.ts';
import type { LeafBatch } from './levels.ts';
import { bytesOf, encodings, firstValues, type PageValues, withRoom } from './page-values.ts';

/** INT32: int, date, and decimals of up to 9 digits. */
export class IntValues implements PageValues {
  nans = 0;
  count = 0;
  words = new Int32Array(firstValues);

  get plainBytes(): number {
    return this.count * 4;
  }

  get heldBytes(): number {
    return this.words.byteLength;
  }

  plainBytesOf(_batch: LeafBatch, from: number, to: number): number {
    return (to - from) * 4;
  }

  append({ column, slots }: LeafBatch, from: number, to: number): void {
    this.words = withRoom(this.words, this.count, to - from);
    const { words } = this;
    let at = this.count;
    this.count += to - from;
    if (column.kind === 'decimal') {
      for (let i = from; i < to; i++) words[at++] = column.words[(slots ? slots[i]! : i) * 4]!;
      return;
    }
    assert(column.kind === 'int32', 'INT32 values come from 32-bit columns');
    const { values } = column;
    if (slots) for (let i = from; i < to; i++) words[at++] = values[slots[i]!]!;
    else words.set(values.subarray(from, to), at);
  }

  plain(out: GrowingBytes): void {
    out.append(new Uint8Array(this.words.buffer, 0, this.plainBytes));
  }

  delta(out: GrowingBytes): number | undefined {
    writeDeltas32(out, this.words, this.count);
    return encodings.deltaBinaryPacked;
  }

  makeDictionary(): Dictionary {
    return new WordDictionary();
  }

  index(dictionary: Dictionary, range: Range, codes: Int32Array): boolean {
    return (dictionary as WordDictionary).index(this.words, range, codes);
  }

  extremes(): Extremes | undefined {
    if (this.count === 0) return undefined;
    const { words, count } = this;
    let min = words[0]!;
    let max = min;
    for (let i = 1; i < count; i++) {
      const word = words[i]!;
      if (word < min) min = word;
      if (word > max) max = word;
    }
    return { min: bytesOf(Int32Array.of(min)), max: bytesOf(Int32Array.of(max)) };
  }

  insertInto(filter: BloomFilter): void {
    for (let i = 0; i < this.count; i++) filter.insertWord(this.words[i]!);
  }

  clear(): void {
    this.count = 0;
  }
}

/** INT64: long, time, timestamps, and decimals of up to 18 digits. */
export class LongValues implements PageValues {
  nans = 0;
  count = 0;
  halves = new Int32Array(firstValues * 2);

  get plainBytes(): number {
    return this.count * 8;
  }

  get heldBytes(): number {
    return this.halves.byteLength;
  }

  plainBytesOf(_batch: LeafBatch, from: number, to: number): number {
    return (to - from) * 8;
  }

  append({ column, slots }: LeafBatch, from: number, to: number): void {
    if (column.kind === 'decimal') {
      this.halves = withRoom(this.halves, this.count * 2, (to - from) * 2);
      let at = this.count * 2;
      this.count += to - from;
      for (let i = from; i < to; i++) {
        const slot = (slots ? slots[i]! : i) * 4;
        this.halves[at++] = column.words[slot]!;
        this.halves[at++] = column.words[slot + 1]!;
      }
      return;
    }
    assert(column.kind === 'int64', 'INT64 values come from 64-bit columns');
    this.appendHalves(column.halves, slots, from, to);
  }

  protected appendHalves(source: Int32Array, slots: Int32Array | undefined, from: number, to: number): void {
    this.halves = withRoom(this.halves, this.count * 2, (to - from) * 2);
    const { halves } = this;
    let at = this.count * 2;
    this.count += to - from;
    if (!slots) {
      halves.set(source.subarray(from * 2, to * 2), at);
      return;
    }
    for (let i = from; i < to; i++) {
      const slot = slots[i]! * 2;
      halves[at++] = source[slot]!;
      halves[at++] = source[slot + 1]!;
    }
  }

  plain(out: GrowingBytes): void {
    out.append(new Uint8Array(this.halves.buffer, 0, this.plainBytes));
  }

  delta(out: GrowingBytes): number | undefined {
    if (!areNear(this.halves, this.count)) return undefined;
    writeDeltas64(out, this.halves, this.count);
    return encodings.deltaBinaryPacked;
  }

  makeDictionary(): Dictionary {
    return new PairDictionary();
  }

  index(dictionary: Dictionary, range: Range, codes: Int32Array): boolean {
    return (dictionary as PairDictionary).index(this.halves, range, codes);
  }

  extremes(): Extremes | undefined {
    if (this.count === 0) return undefined;
    const { halves, count } = this;
    let [min, max] = [0, 0];
    let [minLow, minHigh] = [halves[0]! >>> 0, halves[1]!];
    let [maxLow, maxHigh] = [minLow, minHigh];
    for (let i = 1; i < count; i++) {
      const low = halves[i * 2]! >>> 0;
      const high = halves[i * 2 + 1]!;
      if (high < minHigh || (high === minHigh && low < minLow)) {
        minLow = low;
        minHigh = high;
        min = i;
      } else if (high > maxHigh || (high === maxHigh && low > maxLow)) {
        maxLow = low;
        maxHigh = high;
        max = i;
      }
    }
    return {
      min: bytesOf(halves.slice(min * 2, min * 2 + 2)),
      max: bytesOf(halves.slice(max * 2, max * 2 + 2)),
    };
  }

  insertInto(filter: BloomFilter): void {
    for (let i = 0; i < this.count; i++) filter.insertPair(this.halves[i * 2]!, this.halves[i * 2 + 1]!);
  }

  clear(): void {
    this.count = 0;
  }
}

/** FLOAT. It is the bits that are kept: a NaN stays the one it is. */
export class FloatValues extends IntValues {
  override append({ column, slots }: LeafBatch, from: number, to: number): void {
    assert(column.kind === 'float32', 'FLOAT values come from float columns');
    this.words = withRoom(this.words, this.count, to - from);
    const { words } = this;
    const bits = new Int32Array(column.values.buffer, column.values.byteOffset, column.values.length);
    let at = this.count;
    this.count += to - from;
    if (slots) for (let i = from; i < to; i++) words[at++] = bits[slots[i]!]!;
    else words.set(bits.subarray(from, to), at);
  }

  override delta(): undefined {}

  override extremes(): Extremes | undefined {
    const found = floatExtremes(new Float32Array(this.words.buffer, 0, this.count));
    this.nans = found.nans;
    if (found.nans === this.count) return undefined;
    return { min: bytesOf(Float32Array.of(found.min)), max: bytesOf(Float32Array.of(found.max)) };
  }
}

/** DOUBLE. */
export class DoubleValues extends LongValues {
  override append({ column, slots }: LeafBatch, from: number, to: number): void {
    assert(column.kind === 'float64', 'DOUBLE values come from double columns');
    const bits = new Int32Array(column.values.buffer, column.values.byteOffset, column.values.length * 2);
    this.appendHalves(bits, slots, from, to);
  }

  override delta(): undefined {}

  override extremes(): Extremes | undefined {
    const found = floatExtremes(new Float64Array(this.halves.buffer, 0, this.count));
    this.nans = found.nans;
    if (found.nans === this.count) return undefined;
    return { min: bytesOf(Float64Array.of(found.min)), max: bytesOf(Float64Array.of(found.max)) };
  }
}

/** The least and the greatest that are no NaNs; -0 is below +0. */
function floatExtremes(values: Float32Array | Float64Array): { min: number; max: number; nans: number } {
  let min = Number.POSITIVE_INFINITY;
  let max = Number.NEGATIVE_INFINITY;
  let nans = 0;
  for (let i = 0; i < values.length; i++) {
    const value = values[i]!;
    if (value < min || (value === 0 && min === 0 && Object.is(value, -0))) min = value;
    if (value > max || (value === 0 && max === 0 && Object.is(max, -0))) max = value;
    // biome-ignore lint/suspicious/noSelfCompare: the quickest test for NaN
    if (value !== value) nans++;
  }
  return { min, max, nans };
}
