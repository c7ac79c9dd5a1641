import { expect, test } from 'vitest';
import { areNear, writeDeltas32, writeDeltas64 } from '../../../src/parquet/delta.ts';
import { GrowingBytes } from '../../../src/parquet/growing-bytes.ts';

const written = (write: (out: GrowingBytes) => void): string => {
  const out = new GrowingBytes(1);
  write(out);
  return Buffer.from(out.written()).toString('hex');
};
const ints = (values: readonly number[]): string =>
  written((out) => writeDeltas32(out, Int32Array.from(values), values.length));
const halvesOf = (values: readonly bigint[]): Int32Array => new Int32Array(BigInt64Array.from(values).buffer);
const longs = (values: readonly bigint[]): string =>
  written((out) => writeDeltas64(out, halvesOf(values), values.length));

/** Blocks of 128 in four miniblocks; Encodings.md has its examples with blocks of 8. */
const header = '8001 04';

// Worked out by hand from Parquet's Encodings.md.
test.each([
  [[], `${header} 00 00`],
  [[-1], `${header} 01 01`],
  // The differences are all 1: nothing is left of them.
  [[1, 2, 3, 4, 5], `${header} 05 02  02 00000000`],
  // -2 three times, then 1: of -2, 0 0 0 3 3 3 3 is left, in two bits.
  [[7, 5, 3, 1, 2, 3, 4, 5], `${header} 08 0e  03 02000000 c03f 000000000000`],
  // Differences wrap around: 2^32 - 1 is -1.
  [[-(2 ** 31), 2 ** 31 - 1], `${header} 02 ffffffff0f  01 00000000`],
  // 2^31 - 1, and -2^31 as the least: all 32 bits of a word.
  [[0, 2 ** 31 - 1, -1], `${header} 03 00  ffffffff0f 20000000 ffffffff ${'00'.repeat(124)}`],
])('the ints %j are %s', (values, bytes) => {
  expect(ints(values)).toBe(bytes.replaceAll(' ', ''));
});

test.each([
  ['1 2 3', `${header} 03 02  02 00000000`],
  // 2^33 and 0 less 0: 34 bits, the first 00000000 02, low bits first.
  ['0 8589934592 8589934592', `${header} 03 00  00 22000000 0000000002${'00'.repeat(131)}`],
])('the longs %s are %s', (values, bytes) => {
  expect(longs(values.split(' ').map(BigInt))).toBe(bytes.replaceAll(' ', ''));
});

test('only longs whose differences are exact in doubles are near', () => {
  const near = (...values: bigint[]): boolean => areNear(halvesOf(values), values.length);
  expect(near(2n ** 51n - 1n, -(2n ** 51n))).toBe(true);
  expect(near(0n, 2n ** 51n)).toBe(false);
  expect(near(-(2n ** 51n) - 1n)).toBe(false);
  expect(near(2n ** 63n - 1n)).toBe(false);
});
