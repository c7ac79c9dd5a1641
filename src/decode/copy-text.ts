import type { BytesColumn } from '../arrow/columns.ts';

/**
 * Copies `bytes[start, end)` to `at` in a column that has room for it. Returns 0 if all of it is ASCII. Short strings, which
 * most are, are faster copied word by word than by a call of the engine.
 */
export function copyText(
  bytes: Buffer,
  view: DataView,
  start: number,
  end: number,
  column: BytesColumn,
  at: number,
): number {
  return end - start < 4
    ? copyBytes(bytes, start, end, column.data, at)
    : copyWords(view, start, end, column.view, at);
}

/** The same, byte by byte. */
export function copyBytes(
  source: Uint8Array,
  start: number,
  end: number,
  target: Uint8Array,
  at: number,
): number {
  let bits = 0;
  for (let i = start; i < end; i++) {
    const byte = source[i]!;
    bits |= byte;
    target[at++] = byte;
  }
  return bits & 0x80;
}

/** At least four bytes: the last word overlaps the one before, so that nothing beyond is touched. */
function copyWords(source: DataView, start: number, end: number, target: DataView, at: number): number {
  let bits = 0;
  const last = end - 4;
  const shift = at - start;
  for (let i = start; i < last; i += 4) {
    const word = source.getInt32(i, true);
    bits |= word;
    target.setInt32(i + shift, word, true);
  }
  const word = source.getInt32(last, true);
  target.setInt32(last + shift, word, true);
  return (bits | word) & 0x80808080;
}
