/**
 * LZ4 blocks (lz4 doc/lz4_Block_format.md), for Parquet's LZ4_RAW: sequences of literals and of copies of what was
 * before, found greedily by a table of where four bytes were last seen.
 */

const copyMin = 4;
/** A block ends with at least so many literals, and no copy begins within the last of {@link copyLimit}. */
const literalsMin = 5;
const copyLimit = 12;
const distanceMax = 65_535;
const tableBits = 14;
const table = new Int32Array(1 << tableBits);

/** The most that `length` bytes may become. */
export function lz4Bound(length: number): number {
  return length + Math.ceil(length / 255) + 16;
}

/** Compresses all of `input` into `output`, of {@link lz4Bound} bytes; returns how many are used. */
export function lz4Block(input: Uint8Array, output: Uint8Array): number {
  const view = new DataView(input.buffer, input.byteOffset, input.length);
  table.fill(-1);
  let to = 0;
  let literals = 0;
  let at = 0;
  while (at <= input.length - copyLimit) {
    const word = view.getInt32(at, true);
    const slot = Math.imul(word, 0x9e3779b1) >>> (32 - tableBits);
    const before = table[slot]!;
    table[slot] = at;
    if (before < 0 || at - before > distanceMax || view.getInt32(before, true) !== word) {
      // The longer nothing is found, the larger the steps.
      at += 1 + ((at - literals) >> 6);
      continue;
    }
    let length = copyMin;
    const end = input.length - literalsMin;
    while (at + length < end && input[before + length] === input[at + length]) length++;
    to = writeLiterals(input, literals, at, output, to, Math.min(15, length - copyMin));
    output[to++] = (at - before) & 0xff;
    output[to++] = (at - before) >> 8;
    if (length - copyMin >= 15) to = writeLength(output, to, length - copyMin - 15);
    at += length;
    literals = at;
  }
  return writeLiterals(input, literals, input.length, output, to, 0);
}

/** Writes a token, and the literals `input[start, end)`; returns where the next byte goes. */
function writeLiterals(
  input: Uint8Array,
  start: number,
  end: number,
  output: Uint8Array,
  at: number,
  copyLength: number,
): number {
  const length = end - start;
  output[at] = (Math.min(15, length) << 4) | copyLength;
  const to = length >= 15 ? writeLength(output, at + 1, length - 15) : at + 1;
  output.set(input.subarray(start, end), to);
  return to + length;
}

function writeLength(output: Uint8Array, at: number, length: number): number {
  let to = at;
  let rest = length;
  for (; rest >= 255; rest -= 255) output[to++] = 255;
  output[to++] = rest;
  return to;
}
