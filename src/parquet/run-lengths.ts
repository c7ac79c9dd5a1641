import type { GrowingBytes } from './growing-bytes.ts';

/**
 * Runs of equal numbers by their length, the others packed bit by bit in groups of eight (Parquet Encodings.md "RLE"):
 * levels and dictionary codes. The length in bytes that some places want in front is the caller's.
 */

/** Shorter runs cost more as runs than packed. */
const runMin = 8;

/** Appends `values[start, end)`, each of `bits` bits (1 to 32). */
export function writeRuns(
  out: GrowingBytes,
  values: Int32Array | Uint8Array,
  start: number,
  end: number,
  bits: number,
): void {
  /** From here to `at` nothing is written yet; always whole groups. */
  let packed = start;
  let at = start;
  while (at < end) {
    const value = values[at]!;
    let runEnd = at + 1;
    while (runEnd < end && values[runEnd] === value) runEnd++;
    if (runEnd - at < runMin) {
      at += 8;
      continue;
    }
    if (at > packed) packBits(out, values, packed, at, bits);
    writeRun(out, value, runEnd - at, bits);
    packed = at = runEnd;
  }
  if (end > packed) packBits(out, values, packed, end, bits);
}

/** Appends one run. */
export function writeRun(out: GrowingBytes, value: number, length: number, bits: number): void {
  out.varint(length * 2);
  for (let shift = 0; shift < bits; shift += 8) out.byte((value >>> shift) & 0xff);
}

/** Appends a run of packed values; the last group is filled up with zeros. */
function packBits(
  out: GrowingBytes,
  values: Int32Array | Uint8Array,
  start: number,
  end: number,
  bits: number,
): void {
  const groups = (end - start + 7) >> 3;
  out.varint(groups * 2 + 1);
  out.need(groups * bits + 4);
  const next = out.length + groups * bits;
  if (bits === 1) packSingleBits(out.bytes, out.length, values, start, end);
  else packWords(out, values, start, end, bits, next);
  out.length = next;
}

/** Whether there is a value: what most levels say. */
function packSingleBits(
  bytes: Uint8Array,
  at: number,
  values: Int32Array | Uint8Array,
  start: number,
  end: number,
): void {
  let to = at;
  let i = start;
  for (; i + 8 <= end; i += 8)
    bytes[to++] =
      values[i]! |
      (values[i + 1]! << 1) |
      (values[i + 2]! << 2) |
      (values[i + 3]! << 3) |
      (values[i + 4]! << 4) |
      (values[i + 5]! << 5) |
      (values[i + 6]! << 6) |
      (values[i + 7]! << 7);
  let rest = 0;
  for (let bit = 0; i < end; i++, bit++) rest |= values[i]! << bit;
  if ((end - start) & 7) bytes[to] = rest;
}

function packWords(
  out: GrowingBytes,
  values: Int32Array | Uint8Array,
  start: number,
  end: number,
  bits: number,
  next: number,
): void {
  const { bytes, view } = out;
  let to = out.length;
  let word = 0;
  let filled = 0;
  for (let i = start; i < end; i++) {
    const value = values[i]!;
    word |= value << filled;
    filled += bits;
    if (filled < 32) continue;
    view.setInt32(to, word, true);
    to += 4;
    filled -= 32;
    word = filled > 0 ? value >>> (bits - filled) : 0;
  }
  for (; to < next; word >>>= 8) bytes[to++] = word;
}

/** Bits that hold every number from 0 to `max`; at least one, for not every reader knows of none. */
export function bitsFor(max: number): number {
  return Math.max(1, 32 - Math.clz32(max));
}
