import fc from 'fast-check';
import { expect, test } from 'vitest';
import {
  decimalFromBytes,
  decimalToBytes,
  decimalToFixed,
  truncateBinaryLower,
  truncateBinaryUpper,
  truncateStringLower,
  truncateStringUpper,
} from '../../src/iceberg/single-value.ts';
import { anyText } from '../unit/arrow/rows.ts';

const lengths = fc.integer({ min: 1, max: 20 });
/** Strings about the places where counting up goes wrong: the surrogates, the planes, the last code point of all. */
const texts = fc.oneof(
  anyText(30),
  fc.string({
    unit: fc.constantFrom(
      'a',
      '\x7f',
      '\u07ff',
      '\ud7ff',
      '\ue000',
      '\uffff',
      '\u{10000}',
      '\u{10fffe}',
      '\u{10ffff}',
    ),
    maxLength: 30,
  }),
);
const byteStrings = fc.oneof(
  fc.uint8Array({ maxLength: 30 }),
  fc.array(fc.constantFrom(0, 0x7f, 0xfe, 0xff), { maxLength: 30 }).map((bytes) => Uint8Array.from(bytes)),
);

test('truncated strings bound all strings with that beginning, and are as short as asked', () => {
  fc.assert(
    fc.property(texts, texts, lengths, (text, tail, length) => {
      const bytes = Buffer.from(text);
      const points = Array.from(text);
      const lower = Buffer.from(truncateStringLower(bytes, length));
      const upper = truncateStringUpper(bytes, length);
      expect(Buffer.compare(lower, bytes)).toBeLessThanOrEqual(0);
      expect(Array.from(lower.toString()).length).toBe(Math.min(points.length, length));
      expect(Buffer.from(lower.toString())).toEqual(lower); // whole code points
      if (points.length <= length) {
        expect(upper).toEqual(bytes);
        return;
      }
      if (upper === undefined) {
        expect(points.slice(0, length).every((point) => point === '\u{10ffff}')).toBe(true);
        return;
      }
      expect(Array.from(Buffer.from(upper).toString()).length).toBeLessThanOrEqual(length);
      expect(Buffer.from(Buffer.from(upper).toString())).toEqual(Buffer.from(upper));
      const others = [text, text + tail, points.slice(0, length).join('') + tail];
      for (const other of others) expect(Buffer.compare(upper, Buffer.from(other))).toBeGreaterThan(0);
    }),
    { numRuns: 2_000 },
  );
});

test('truncated bytes bound all bytes with that beginning, and are as short as asked', () => {
  fc.assert(
    fc.property(byteStrings, byteStrings, lengths, (bytes, tail, length) => {
      const lower = truncateBinaryLower(bytes, length);
      const upper = truncateBinaryUpper(bytes, length);
      expect(Buffer.compare(lower, bytes)).toBeLessThanOrEqual(0);
      expect(lower.length).toBe(Math.min(bytes.length, length));
      if (bytes.length <= length) {
        expect(upper).toEqual(bytes);
        return;
      }
      if (upper === undefined) {
        expect(bytes.subarray(0, length).every((byte) => byte === 0xff)).toBe(true);
        return;
      }
      expect(upper.length).toBeLessThanOrEqual(length);
      const others = [bytes, Buffer.concat([bytes, tail]), Buffer.concat([bytes.subarray(0, length), tail])];
      for (const other of others) expect(Buffer.compare(upper, other)).toBeGreaterThan(0);
    }),
    { numRuns: 2_000 },
  );
});

test('decimals come back from their fewest bytes and from any number of bytes that holds them', () => {
  const decimals = fc.oneof(
    fc.bigInt({ min: -(10n ** 38n), max: 10n ** 38n }),
    fc
      .integer({ min: 0, max: 127 })
      .chain((bits) => fc.constantFrom(2n ** BigInt(bits), -(2n ** BigInt(bits)), 2n ** BigInt(bits) - 1n)),
  );
  fc.assert(
    fc.property(decimals, fc.integer({ min: 0, max: 4 }), (value, spare) => {
      const fewest = decimalToBytes(value);
      expect(decimalFromBytes(fewest)).toBe(value);
      expect(decimalFromBytes(decimalToFixed(value, fewest.length + spare))).toBe(value);
      // One byte less could not hold it.
      if (fewest.length > 1) expect(BigInt.asIntN(8 * (fewest.length - 1), value)).not.toBe(value);
    }),
    { numRuns: 1_000 },
  );
});
