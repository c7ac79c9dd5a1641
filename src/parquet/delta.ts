import type { GrowingBytes } from './growing-bytes.ts';

/**
 * DELTA_BINARY_PACKED (Parquet Encodings.md): differences to the value before, less the smallest of their block of 128,
 * packed in four miniblocks of 32, each as wide as its greatest.
 */

const blockValues = 128;
const miniblocks = 4;
const miniblockValues = blockValues / miniblocks;
/** Values within this range either way have differences that doubles hold exactly. */
const exactHigh = 2 ** 19; // high half of 2^51

/** Differences of the block under way, each less their minimum once that is known. */
const deltas = new Float64Array(blockValues);

/** Appends 32-bit values. Differences wrap around, as the specification has it. */
export function writeDeltas32(out: GrowingBytes, values: Int32Array, count: number): void {
  writeHeader(out, count, count > 0 ? values[0]! : 0);
  for (let from = 1; from < count; from += blockValues) {
    const length = Math.min(blockValues, count - from);
    let min = 0x7fffffff;
    for (let i = 0; i < length; i++) {
      const delta = (values[from + i]! - values[from + i - 1]!) | 0;
      deltas[i] = delta;
      if (delta < min) min = delta;
    }
    writeBlock(out, length, min);
  }
}

/** Whether {@link writeDeltas64} can write these values, given as low and high halves: those of +-2^51. */
export function areNear(halves: Int32Array, count: number): boolean {
  for (let i = 1; i < count * 2; i += 2) {
    const high = halves[i]!;
    if (high >= exactHigh || high < -exactHigh) return false;
  }
  return true;
}

/** Appends 64-bit values, given as low and high halves, that {@link areNear}. */
export function writeDeltas64(out: GrowingBytes, halves: Int32Array, count: number): void {
  let before = count > 0 ? valueAt(halves, 0) : 0;
  writeHeader(out, count, before);
  for (let from = 1; from < count; from += blockValues) {
    const length = Math.min(blockValues, count - from);
    let min = Number.POSITIVE_INFINITY;
    for (let i = 0; i < length; i++) {
      const value = valueAt(halves, from + i);
      const delta = value - before;
      before = value;
      deltas[i] = delta;
      if (delta < min) min = delta;
    }
    writeBlock(out, length, min);
  }
}

function valueAt(halves: Int32Array, i: number): number {
  return halves[i * 2 + 1]! * 4294967296 + (halves[i * 2]! >>> 0);
}

function writeHeader(out: GrowingBytes, count: number, first: number): void {
  out.varint(blockValues);
  out.varint(miniblocks);
  out.varint(count);
  out.zigzag(first);
}

/** `deltas[0, length)`: the last block may be a short one. */
function writeBlock(out: GrowingBytes, length: number, min: number): void {
  out.zigzag(min);
  for (let i = 0; i < length; i++) deltas[i]! -= min;
  deltas.fill(0, length);
  out.need(miniblocks + blockValues * 8 + 8);
  const widthsAt = out.length;
  out.length += miniblocks;
  for (let m = 0; m < miniblocks; m++) {
    const from = m * miniblockValues;
    let max = 0;
    for (let i = from; i < from + miniblockValues; i++) if (deltas[i]! > max) max = deltas[i]!;
    const bits = max < 4294967296 ? 32 - Math.clz32(max) : 64 - Math.clz32(Math.floor(max / 4294967296));
    out.bytes[widthsAt + m] = bits;
    if (bits > 32) packWide(out, from, bits);
    else if (bits > 0) pack(out, from, bits);
  }
}

/** Appends the 32 differences from `from` on with up to 32 bits each: as many words. */
function pack(out: GrowingBytes, from: number, bits: number): void {
  const { view } = out;
  let to = out.length;
  let word = 0;
  let filled = 0;
  for (let i = from; i < from + miniblockValues; i++) {
    // Differences of 32 bits are beyond the signed range: doubles become words by their lowest 32 bits.
    const value = deltas[i]! | 0;
    word |= value << filled;
    filled += bits;
    if (filled < 32) continue;
    view.setInt32(to, word, true);
    to += 4;
    filled -= 32;
    word = filled > 0 ? value >>> (bits - filled) : 0;
  }
  out.length = to;
}

/** As {@link pack} with 33 to 53 bits: the low half of each, then what is above it. */
function packWide(out: GrowingBytes, from: number, bits: number): void {
  const { view } = out;
  const highBits = bits - 32;
  let to = out.length;
  let word = 0;
  let filled = 0;
  for (let i = from; i < from + miniblockValues; i++) {
    const value = deltas[i]!;
    const low = value | 0;
    const high = Math.floor(value / 4294967296);
    view.setInt32(to, word | (low << filled), true);
    to += 4;
    word = filled === 0 ? 0 : low >>> (32 - filled);
    word |= high << filled;
    filled += highBits;
    if (filled < 32) continue;
    view.setInt32(to, word, true);
    to += 4;
    filled -= 32;
    word = filled > 0 ? high >>> (highBits - filled) : 0;
  }
  out.length = to;
}
