import { describe, expect, test } from 'vitest';
import { formatAge, formatBytes, formatCount, formatRate, formatTable } from '../../../src/cli/format.ts';

test.each([
  [0, '0'],
  [999, '999'],
  [1_000, '1,000'],
  [1_204_331.4, '1,204,331'],
  [9_007_199_254_740_991, '9,007,199,254,740,991'],
])('the count %d is shown whole, with separators: %s', (n, shown) => {
  expect(formatCount(n)).toBe(shown);
});

test.each([
  [0, '0'],
  [12.4, '12'],
  [999, '999'],
  [999.7, '1.00k'],
  [1_000, '1.00k'],
  [12_345, '12.3k'],
  [123_456, '123k'],
  [999_499, '999k'],
  [999_500, '1.00M'],
  [999_999, '1.00M'],
  [4_500_000, '4.50M'],
  [123_456_789, '123M'],
  [4_567_000_000, '4.57G'],
])('the rate %d is shown with three digits: %s', (n, shown) => {
  expect(formatRate(n)).toBe(shown);
});

test.each([
  [0, '0 B'],
  [1023, '1023 B'],
  [1024, '1.00 KiB'],
  [10 * 1024, '10.0 KiB'],
  [1000 * 1024, '1000 KiB'],
  [1023.9 * 1024, '1.00 MiB'],
  [45 * 1024 ** 2, '45.0 MiB'],
  [1.5 * 1024 ** 3, '1.50 GiB'],
  [2 * 1024 ** 4, '2.00 TiB'],
  [5000 * 1024 ** 4, '5000 TiB'],
])('%d bytes are shown in the unit that people read: %s', (n, shown) => {
  expect(formatBytes(n)).toBe(shown);
});

test.each([
  [0, '0.0 s'],
  [3_240, '3.2 s'],
  [9_940, '9.9 s'],
  [9_960, '10.0 s'],
  [10_000, '10 s'],
  [119_000, '119 s'],
  [120_000, '2 min'],
  [90 * 60_000, '90 min'],
  [7_200_000, '2 h'],
  [49 * 3_600_000, '49 h'],
])('an age of %d ms is shown as %s', (ms, shown) => {
  expect(formatAge(ms)).toBe(shown);
});

describe('a table of text', () => {
  test('has text to the left, numbers to the right, and no blanks at the ends of lines', () => {
    const rows = [
      ['orders-0', '1,204', 'yes'],
      ['a', '7', ''],
    ];
    expect(formatTable(['partition', 'rows', 'required'], rows)).toBe(
      ['partition   rows  required', 'orders-0   1,204  yes', 'a              7'].join('\n'),
    );
  });

  test('keeps a column with one word in it to the left', () => {
    expect(formatTable(['lag'], [['12'], ['unknown']])).toBe('lag\n12\nunknown');
  });

  test('takes what is not known for a number that is missing', () => {
    expect(
      formatTable(
        ['name', 'lag'],
        [
          ['a', '-'],
          ['b', '1,234'],
        ],
      ),
    ).toBe('name    lag\na         -\nb     1,234');
  });

  test('is as wide as its widest cell, the head too', () => {
    expect(formatTable(['a', 'b'], [['xxx', 'y']])).toBe('a    b\nxxx  y');
    expect(formatTable(['aaa', 'b'], [['x', 'y']])).toBe('aaa  b\nx    y');
  });

  test('without rows is its head', () => {
    expect(formatTable(['a', 'bb'], [])).toBe('a  bb');
  });
});
