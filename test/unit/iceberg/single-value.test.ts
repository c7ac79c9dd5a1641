import { expect, test } from 'vitest';
import { integerBound } from '../../../src/iceberg/manifest.ts';
import {
  decimalFromBytes,
  decimalToBytes,
  decimalToFixed,
  fromSingleValue,
  toSingleValue,
  truncateBinaryLower,
  truncateBinaryUpper,
  truncateStringLower,
  truncateStringUpper,
} from '../../../src/iceberg/single-value.ts';
import type { PartitionValue } from '../../../src/iceberg/transforms.ts';
import type { PrimitiveType } from '../../../src/iceberg/types.ts';

const hex = (bytes: Uint8Array | undefined): string | undefined =>
  bytes && Buffer.from(bytes).toString('hex');

// Worked out by hand from the specification, appendix D "Binary single-value serialization".
test.each([
  [{ kind: 'boolean' }, false, '00'],
  [{ kind: 'boolean' }, true, '01'],
  [{ kind: 'int' }, 34, '22000000'],
  [{ kind: 'int' }, -(2 ** 31), '00000080'],
  [{ kind: 'int' }, 5n, '05000000'],
  [{ kind: 'date' }, 17486, '4e440000'],
  [{ kind: 'long' }, 34n, '2200000000000000'],
  [{ kind: 'long' }, 34, '2200000000000000'],
  [{ kind: 'long' }, -1n, 'ffffffffffffffff'],
  [{ kind: 'time' }, 81068000000n, '008307e012000000'],
  [{ kind: 'timestamp' }, 1510871468000000n, '00c3262d215e0500'],
  [{ kind: 'timestamptz' }, -1n, 'ffffffffffffffff'],
  [{ kind: 'float' }, 1, '0000803f'],
  [{ kind: 'float' }, -0, '00000080'],
  [{ kind: 'double' }, 1, '000000000000f03f'],
  [{ kind: 'string' }, 'größe', '6772c3b6c39f65'],
  [{ kind: 'string' }, '', ''],
  [
    { kind: 'uuid' },
    Buffer.from('f79c3e09677c4bbda4793f349cb785e7', 'hex'),
    'f79c3e09677c4bbda4793f349cb785e7',
  ],
  [{ kind: 'fixed', length: 2 }, Uint8Array.of(0, 255), '00ff'],
  [{ kind: 'binary' }, Uint8Array.of(), ''],
  [{ kind: 'decimal', precision: 9, scale: 2 }, 1420n, '058c'],
] as [PrimitiveType, Exclude<PartitionValue, null>, string][])('%o of %s is %s', (type, value, bytes) => {
  expect(hex(toSingleValue(type, value))).toBe(bytes);
  expect(hex(toSingleValue(type, fromSingleValue(type, Buffer.from(bytes, 'hex'))))).toBe(bytes);
});

test('a bound of before its type was promoted stands for the same value', () => {
  expect(fromSingleValue({ kind: 'long' }, Buffer.from('ffffffff', 'hex'))).toBe(-1n);
  expect(fromSingleValue({ kind: 'double' }, Buffer.from('0000c0bf', 'hex'))).toBe(-1.5);
});

test.each([
  [0n, '00'],
  [1n, '01'],
  [-1n, 'ff'],
  [127n, '7f'],
  [128n, '0080'],
  [-128n, '80'],
  [-129n, 'ff7f'],
  [255n, '00ff'],
  [32767n, '7fff'],
  [32768n, '008000'],
  [-32768n, '8000'],
  [10n ** 38n - 1n, '4b3b4ca85a86c47a098a223fffffffff'],
  [-(10n ** 38n) + 1n, 'b4c4b357a5793b85f675ddc000000001'],
])('the decimal %s takes the fewest bytes that keep its sign', (value, bytes) => {
  expect(hex(decimalToBytes(value))).toBe(bytes);
  expect(decimalFromBytes(Buffer.from(bytes, 'hex'))).toBe(value);
});

test('a decimal is widened with its sign', () => {
  expect(hex(decimalToFixed(-1n, 4))).toBe('ffffffff');
  expect(hex(decimalToFixed(1n, 4))).toBe('00000001');
  expect(decimalFromBytes(new Uint8Array(0))).toBe(0n);
});

const max = '\u{10ffff}';

test.each([
  ['abc', 3, 'abc', 'abc'],
  ['abcd', 3, 'abc', 'abd'],
  ['', 1, '', ''],
  ['aé日🧊x', 4, 'aé日🧊', 'aé日\u{1f9cb}'],
  ['🧊🧊🧊', 2, '🧊🧊', '🧊\u{1f9cb}'],
  ['a\ud7ffx', 2, 'a\ud7ff', 'a\ue000'], // over the surrogates
  ['a\uffffx', 2, 'a\uffff', 'a\u{10000}'],
  [`ab${max}x`, 3, `ab${max}`, 'ac'],
  [`a${max}${max}x`, 3, `a${max}${max}`, 'b'],
  [`${max}${max}x`, 2, `${max}${max}`, undefined],
  [`${max}${max}`, 2, `${max}${max}`, `${max}${max}`],
  ['a\u007fx', 2, 'a\u007f', 'a\u0080'],
  ['a\0x', 2, 'a\0', 'a\u0001'],
])('the bounds of %j in %d code points are %j and %j', (text, length, lower, upper) => {
  expect(Buffer.from(truncateStringLower(Buffer.from(text), length)).toString()).toBe(lower);
  const cut = truncateStringUpper(Buffer.from(text), length);
  expect(cut && Buffer.from(cut).toString()).toBe(upper);
});

test.each([
  ['0102', 2, '0102', '0102'],
  ['010203', 2, '0102', '0103'],
  ['01ff03', 2, '01ff', '02'],
  ['01ffff', 2, '01ff', '02'],
  ['ffff00', 2, 'ffff', undefined],
  ['ffff', 2, 'ffff', 'ffff'],
  ['', 2, '', ''],
  ['fe00', 1, 'fe', 'ff'],
])('the bounds of the bytes %s in %d bytes are %s and %s', (bytes, length, lower, upper) => {
  expect(hex(truncateBinaryLower(Buffer.from(bytes, 'hex'), length))).toBe(lower);
  expect(hex(truncateBinaryUpper(Buffer.from(bytes, 'hex'), length))).toBe(upper);
});

test('a whole value is its own bound', () => {
  const text = Buffer.from('a'.repeat(100));
  expect(truncateStringLower(text, Number.POSITIVE_INFINITY)).toEqual(text);
  expect(truncateStringUpper(text, Number.POSITIVE_INFINITY)).toEqual(text);
});

test('an integer bound is read whether it was an int or a long when it was written', () => {
  expect(integerBound(Buffer.from('fdffffff', 'hex'))).toBe(-3n);
  expect(integerBound(Buffer.from('fdffffffffffffff', 'hex'))).toBe(-3n);
  expect(integerBound(Buffer.from('ffffffffffffff7f', 'hex'))).toBe(2n ** 63n - 1n);
});
