import { isUtf8 } from 'node:buffer';

/** From here on the call is worth it. */
const longText = 64;

/**
 * Whether `bytes[start, end)` is UTF-8. A broken string in a Parquet file breaks readers years later, so every string
 * is checked; most are short ASCII and need no more than this loop.
 */
export function isText(bytes: Uint8Array, start: number, end: number): boolean {
  if (end - start > longText) return isUtf8(bytes.subarray(start, end));
  let bits = 0;
  for (let i = start; i < end; i++) bits |= bytes[i]!;
  return bits < 0x80 || isUtf8(bytes.subarray(start, end));
}
