import { expect, test } from 'vitest';
import { GrowingBytes } from '../../../src/parquet/growing-bytes.ts';
import { bitsFor, writeRun, writeRuns } from '../../../src/parquet/run-lengths.ts';

const written = (write: (out: GrowingBytes) => void): string => {
  const out = new GrowingBytes(1);
  write(out);
  return Buffer.from(out.written()).toString('hex');
};
const runs = (values: readonly number[], bits: number): string =>
  written((out) => writeRuns(out, Int32Array.from(values), 0, values.length, bits));

// Worked out by hand from Parquet's Encodings.md; the first is its own example.
test.each([
  [[0, 1, 2, 3, 4, 5, 6, 7], 3, '03 88c6fa'],
  [[1, 2, 3], 3, '03 d10000'],
  [[5, 5, 5, 5, 5, 5, 5, 5], 3, '10 05'],
  [[300, 300, 300, 300, 300, 300, 300, 300, 300], 9, '12 2c01'],
  // A run that is too short stays with its group.
  [[1, 1, 1, 1, 1, 1, 1, 0], 1, '03 7f'],
  // Eight of their own, a run of nine, then a group that is filled up.
  [[0, 1, 0, 1, 0, 1, 0, 1, ...Array(9).fill(1), 0, 1], 1, '03 aa 12 01 03 02'],
  [[-1, 0, 0, 0, 0, 0, 0, 0], 32, `03 ffffffff${'00'.repeat(28)}`],
  [[], 4, ''],
])('the numbers %j in %i bits are %s', (values, bits, bytes) => {
  expect(runs(values, bits)).toBe(bytes.replaceAll(' ', ''));
});

test('a long run has its length in as many bytes as it needs', () => {
  expect(written((out) => writeRun(out, 1, 20_000, 1))).toBe('c0b80201');
});

test.each([
  [0, 1],
  [1, 1],
  [2, 2],
  [255, 8],
  [256, 9],
  [2 ** 31 - 1, 31],
])('numbers up to %i need %i bits', (max, bits) => {
  expect(bitsFor(max)).toBe(bits);
});
