import { isUtf8 } from 'node:buffer';

/**
 * Whether `bytes[start, end)` is UTF-8. A broken string in a Parquet file breaks readers years later, so every string
 * is checked; most are ASCII and need no more than this loop.
 */
export function isText(bytes: Uint8Array, start: number, end: number): boolean {
  for (let i = start; i < end; i++) if (bytes[i]! > 0x7f) return isUtf8(bytes.subarray(i, end));
  return true;
}
