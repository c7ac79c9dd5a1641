import { expect, test } from 'vitest';
import { median, percentile, type Weighted, waitingSeconds } from '../../../bench/side/statistics.ts';

test('the median is the one in the middle, or the mean of two', () => {
  expect(median([9, 1, 5])).toBe(5);
  expect(median([10, 1, 2, 4])).toBe(3);
});

test('a percentile is the least value that so much of the weight does not exceed', () => {
  const hundred = Array.from({ length: 100 }, (_, i): Weighted => [100 - i, 1]);
  expect(percentile(hundred, 0.5)).toBe(50);
  expect(percentile(hundred, 0.99)).toBe(99);
  expect(percentile(hundred, 1)).toBe(100);
  expect(
    percentile(
      [
        [700, 1],
        [20, 98],
        [30, 1],
      ],
      0.99,
    ),
  ).toBe(30);
});

test('windows in which almost nothing was used were spent waiting', () => {
  const samples = [
    [0, 5.0],
    [100, 5.09], // 0.9 of a core
    [200, 5.1], // 0.1
    [300, 5.1], // nothing
    [500, 5.3], // 1 core, for twice as long
    [600, 5.31],
  ].map(([atMs, cpuSeconds]) => ({ atMs: atMs!, cpuSeconds: cpuSeconds! }));
  expect(waitingSeconds(samples)).toBeCloseTo(0.3, 10);
  expect(waitingSeconds(samples.slice(0, 1))).toBe(0);
});
