import type { GrowingBytes } from './growing-bytes.ts';

const firstStrings = 64;
/** Bytes behind the last string that may be read and written: they are copied and compared four at a time. */
const slack = 8;
/** Longer ones are copied by the platform. */
const wordsMax = 64;

/** Byte strings in one memory, by their offsets. */
export class ByteStrings {
  data: Uint8Array = new Uint8Array(firstStrings * 8 + slack);
  /** The same memory. */
  view: DataView = new DataView(this.data.buffer);
  /** String i is `data[offsets[i], offsets[i + 1])`. */
  offsets: Int32Array = new Int32Array(firstStrings + 1);
  count = 0;

  get bytes(): number {
    return this.offsets[this.count]!;
  }

  get heldBytes(): number {
    return this.data.length + this.offsets.byteLength;
  }

  /** Makes room for so many more strings of so many bytes together. */
  reserve(strings: number, bytes: number): void {
    if (this.count + strings >= this.offsets.length) {
      const offsets = new Int32Array(Math.max(this.count + strings, this.offsets.length * 2) + 1);
      offsets.set(this.offsets);
      this.offsets = offsets;
    }
    const needed = this.bytes + bytes + slack;
    if (needed <= this.data.length) return;
    const data = new Uint8Array(Math.max(needed, this.data.length * 2));
    data.set(this.data.subarray(0, this.bytes));
    this.data = data;
    this.view = new DataView(data.buffer);
  }

  get(i: number): Uint8Array {
    return this.data.subarray(this.offsets[i]!, this.offsets[i + 1]!);
  }

  /** Appends string `i` of `source`. */
  append(source: ByteStrings, i: number): void {
    const start = source.offsets[i]!;
    const length = source.offsets[i + 1]! - start;
    this.reserve(1, length);
    const to = this.bytes;
    copyString(source, start, length, this.view, this.data, to);
    this.offsets[++this.count] = to + length;
  }

  truncate(count: number): void {
    this.count = count;
  }

  /** PLAIN: each behind its length, or (`fixed`) one behind the other. */
  plain(out: GrowingBytes, fixed: boolean): void {
    if (fixed) return out.append(this.data.subarray(0, this.bytes));
    out.need(this.bytes + this.count * 4 + slack);
    let to = out.length;
    for (let i = 0; i < this.count; i++) {
      const start = this.offsets[i]!;
      const length = this.offsets[i + 1]! - start;
      out.view.setInt32(to, length, true);
      copyString(this, start, length, out.view, out.bytes, to + 4);
      to += 4 + length;
    }
    out.length = to;
  }

  /** Whether string `i` is string `j` of `other`. */
  equals(i: number, other: ByteStrings, j: number): boolean {
    let at = this.offsets[i]!;
    let to = other.offsets[j]!;
    const length = this.offsets[i + 1]! - at;
    if (other.offsets[j + 1]! - to !== length) return false;
    const { view } = this;
    const otherView = other.view;
    let left = length;
    for (; left >= 4; left -= 4, at += 4, to += 4)
      if (view.getInt32(at, true) !== otherView.getInt32(to, true)) return false;
    return left === 0 || ((view.getInt32(at, true) ^ otherView.getInt32(to, true)) & restMask(left)) === 0;
  }

  /** A hash of string `i`. */
  hash(i: number): number {
    let at = this.offsets[i]!;
    let left = this.offsets[i + 1]! - at;
    const { view } = this;
    let hash = left;
    for (; left >= 4; left -= 4, at += 4)
      hash = Math.imul(hash ^ view.getInt32(at, true), 0x9e3779b1) ^ (hash >>> 13);
    if (left > 0) hash = Math.imul(hash ^ (view.getInt32(at, true) & restMask(left)), 0x9e3779b1);
    return mix(hash ^ (hash >>> 16));
  }

  /** Orders by unsigned bytes, then by length. */
  compare(i: number, j: number): number {
    let at = this.offsets[i]!;
    let other = this.offsets[j]!;
    const end = this.offsets[i + 1]!;
    const otherEnd = this.offsets[j + 1]!;
    for (; at < end && other < otherEnd; at++, other++) {
      const difference = this.data[at]! - this.data[other]!;
      if (difference !== 0) return difference;
    }
    return end - at - (otherEnd - other);
  }
}

/** Copies a string; up to three bytes behind it are written over. */
function copyString(
  source: ByteStrings,
  start: number,
  length: number,
  view: DataView,
  bytes: Uint8Array,
  to: number,
): void {
  if (length > wordsMax) {
    bytes.set(source.data.subarray(start, start + length), to);
    return;
  }
  const from = source.view;
  for (let k = 0; k < length; k += 4) view.setInt32(to + k, from.getInt32(start + k, true), true);
}

/** The bits of a last word of so many bytes, 1 to 3. */
function restMask(left: number): number {
  return (1 << (left * 8)) - 1;
}

export function mix(word: number): number {
  const hash = Math.imul(word, 0x9e3779b1);
  return hash ^ (hash >>> 13);
}
