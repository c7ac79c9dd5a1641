import { expect, test } from 'vitest';
import { decimalText, isoDate, isoTime, isoTimestamp } from '../../../src/iceberg/value-text.ts';

test.each([
  [0, '1970-01-01'],
  [19782, '2024-02-29'],
  [-1, '1969-12-31'],
  [-719162, '0001-01-01'],
  [-719163, '0000-12-31'],
  [-719529, '-0001-12-31'],
  [2932896, '9999-12-31'],
  [2932897, '+10000-01-01'],
])('day %d is %s', (days, text) => {
  expect(isoDate(days)).toBe(text);
});

test.each([
  [0n, '00:00:00'],
  [1n, '00:00:00.000001'],
  [81068000001n, '22:31:08.000001'],
  [81068500000n, '22:31:08.500000'],
  [86399999999n, '23:59:59.999999'],
])('microsecond %d of a day is %s', (micros, text) => {
  expect(isoTime(micros)).toBe(text);
});

test.each([
  [0n, '1970-01-01T00:00:00'],
  [-1n, '1969-12-31T23:59:59.999999'],
  [-86400000000n, '1969-12-31T00:00:00'],
  [1510871468000001n, '2017-11-16T22:31:08.000001'],
  [-62135596800000000n, '0001-01-01T00:00:00'],
  [253402300799999999n, '9999-12-31T23:59:59.999999'],
])('microsecond %d is %s', (micros, text) => {
  expect(isoTimestamp(micros)).toBe(text);
});

test.each([
  [0n, 0, '0'],
  [0n, 2, '0.00'],
  [5n, 2, '0.05'],
  [-5n, 2, '-0.05'],
  [-1230n, 2, '-12.30'],
  [12345678901234567890n, 3, '12345678901234567.890'],
  [-7n, 0, '-7'],
])('unscaled %d with scale %d is %s', (unscaled, scale, text) => {
  expect(decimalText(unscaled, scale)).toBe(text);
});
