/**
 * Murmur3, 32 bits, x86 variant, seed 0: what `bucket` and object-store paths are made of (spec appendix B). Results are
 * signed, as in Java.
 */

const c1 = 0xcc9e2d51 | 0;
const c2 = 0x1b873593;

function mixBlock(hash: number, block: number): number {
  let k = Math.imul(block, c1);
  k = Math.imul((k << 15) | (k >>> 17), c2);
  const h = hash ^ k;
  return (Math.imul((h << 13) | (h >>> 19), 5) + 0xe6546b64) | 0;
}

function finish(hash: number, length: number): number {
  let h = hash ^ length;
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return h ^ (h >>> 16);
}

/** The hash of a 64-bit integer in its little-endian bytes, given as its halves. */
export function murmur3Long(low: number, high: number): number {
  return finish(mixBlock(mixBlock(0, low), high), 8);
}

/** The hash of `bytes[start, end)`. */
export function murmur3(bytes: Uint8Array, start = 0, end: number = bytes.length): number {
  let hash = 0;
  let at = start;
  for (; at + 4 <= end; at += 4)
    hash = mixBlock(
      hash,
      bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24),
    );
  let tail = 0;
  for (let i = end - 1; i >= at; i--) tail = (tail << 8) | bytes[i]!;
  tail = Math.imul(tail, c1);
  hash ^= Math.imul((tail << 15) | (tail >>> 17), c2);
  return finish(hash, end - start);
}
