import { Reader } from '@platformatic/kafka';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { type FetchResponse, parseFetchResponse } from '../../src/kafka/fetch-response.ts';
import { batch } from '../unit/kafka/record-sets.ts';

const topicId = Buffer.from('0123abcd456789ef0123456789abcdef', 'hex');
const int16 = (value: number): Buffer => Buffer.of(value >> 8, value & 0xff);
const int32 = (value: number): Buffer => Buffer.from([value >>> 24, value >>> 16, value >>> 8, value]);
const int64 = (value: number): Buffer =>
  Buffer.concat([int32(Math.floor(value / 2 ** 32)), int32(value >>> 0)]);

/** An unsigned varint. */
function varint(value: number): Buffer {
  const bytes: number[] = [];
  for (let rest = value; ; rest = Math.floor(rest / 128)) {
    if (rest < 128) return Buffer.of(...bytes, rest);
    bytes.push((rest % 128) | 128);
  }
}

interface Given {
  partition: number;
  aborted: number;
  batches: number;
  diverges: boolean;
}

const given = fc.record({
  partition: fc.nat(100),
  aborted: fc.nat(3),
  batches: fc.nat(3),
  diverges: fc.boolean(),
});

function encoded({ partition, aborted, batches, diverges }: Given): Buffer {
  const records = Buffer.concat(Array.from({ length: batches }, (_, i) => batch(i * 10, 10)));
  return Buffer.concat([
    ...[int32(partition), int16(0), int64(100), int64(90), int64(0), varint(aborted + 1)],
    ...Array.from({ length: aborted }, () => Buffer.concat([int64(7), int64(5), varint(0)])),
    ...[int32(-1), varint(records.length + 1), records],
    diverges ? Buffer.concat([varint(1), varint(0), varint(13), int32(3), int64(40), varint(0)]) : varint(0),
  ]);
}

function answer(partitions: readonly Given[]): Buffer {
  return Buffer.concat([
    ...[int32(0), int16(0), int32(9), varint(2), topicId, varint(partitions.length + 1)],
    ...partitions.map(encoded),
    ...[varint(0), varint(0)],
  ]);
}

/** Nothing when it is an error. */
function parsed(bytes: Buffer): FetchResponse | undefined {
  try {
    return parseFetchResponse(1, 1, 17, Reader.from(bytes));
  } catch (error) {
    expect(error).toBeInstanceOf(Error);
    return undefined;
  }
}

/** Whatever it says, it has no more than it came with. */
function isBounded(response: FetchResponse | undefined, bytes: Buffer): void {
  if (!response) return;
  expect(response.partitions.length).toBeLessThanOrEqual(bytes.length);
  for (const { records } of response.partitions) {
    expect(records.length).toBeLessThanOrEqual(bytes.length);
    expect(records.byteOffset + records.length).toBeLessThanOrEqual(records.buffer.byteLength);
  }
}

test('an answer is read as it was written', () => {
  fc.assert(
    fc.property(fc.array(given, { maxLength: 5 }), (partitions) => {
      const response = parsed(answer(partitions))!;
      expect(response.sessionId).toBe(9);
      expect(
        response.partitions.map(({ partition, aborted, records, divergingEnd }) => ({
          partition,
          aborted: aborted?.length ?? 0,
          batches: records.length / batch(0, 10).length,
          diverges: divergingEnd === 40,
        })),
      ).toEqual(partitions);
    }),
  );
});

test('a damaged one is an error or read to its end: it never keeps us, nor asks for more memory than it has', () => {
  const damage = fc.array(
    fc.tuple(fc.double({ min: 0, max: 0.9999, noNaN: true }), fc.constantFrom(0xff, 0x80, 0x7f, 0x01, 0x40)),
    { minLength: 1, maxLength: 4 },
  );
  fc.assert(
    fc.property(
      fc.array(given, { minLength: 1, maxLength: 5 }),
      damage,
      fc.double({ min: 0, max: 1, noNaN: true }),
      (partitions, damages, kept) => {
        const bytes = answer(partitions);
        for (const [where, mask] of damages) bytes[Math.floor(where * bytes.length)]! ^= mask;
        isBounded(parsed(bytes), bytes);
        const cut = Buffer.from(bytes.subarray(0, Math.floor(kept * bytes.length)));
        isBounded(parsed(cut), cut);
      },
    ),
    { numRuns: 3000 },
  );
});

test('random bytes are an error, or an answer without more than they are', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 400 }), (noise) =>
      isBounded(parsed(Buffer.from(noise)), Buffer.from(noise)),
    ),
    { numRuns: 3000 },
  );
});
