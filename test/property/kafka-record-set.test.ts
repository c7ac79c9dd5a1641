import fc from 'fast-check';
import { expect, test } from 'vitest';
import { FatalError } from '../../src/base/errors.ts';
import { RecordSetReader, summarize } from '../../src/kafka/record-set.ts';
import { type BatchHeader, type BatchRecord, writeBatch } from '../../src/kafka/write-batch.ts';
import { expected, readAll, type Seen, seen } from '../unit/kafka/record-sets.ts';

const bytes = fc.oneof(
  { weight: 6, arbitrary: fc.uint8Array({ maxLength: 100 }) },
  { weight: 1, arbitrary: fc.integer({ min: 100, max: 2_000 }).map((n) => new Uint8Array(n).fill(n)) },
);
const record = fc.record({
  gap: fc.oneof({ weight: 4, arbitrary: fc.constant(1) }, fc.integer({ min: 1, max: 100_000 })),
  timestampDelta: fc.oneof(
    fc.integer({ min: -70, max: 70 }),
    fc.integer({ min: -9000, max: 9000 }),
    fc.maxSafeInteger().map((n) => Math.trunc(n / 4096)),
  ),
  key: fc.option(bytes),
  value: fc.option(bytes),
  headers: fc.oneof(
    { weight: 3, arbitrary: fc.constant([]) },
    fc.array(fc.tuple(fc.string({ unit: 'grapheme', maxLength: 20 }), fc.option(bytes)), { maxLength: 4 }),
  ),
});
const batch = fc.record({
  hole: fc.integer({ min: 0, max: 1000 }),
  tail: fc.integer({ min: 0, max: 50 }),
  codec: fc.constantFrom('none', 'none', 'gzip', 'snappy', 'lz4', 'zstd'),
  logAppendTime: fc.boolean(),
  records: fc.array(record, { maxLength: 12 }),
});

interface Batch {
  header: BatchHeader;
  records: BatchRecord[];
  next: number;
}

/** Batches behind each other, from `start` on. */
const batches: fc.Arbitrary<Batch[]> = fc
  .tuple(fc.constantFrom(0, 5, 2 ** 31, 2 ** 45), fc.array(batch, { minLength: 1, maxLength: 5 }))
  .map(([start, made]) => {
    let next = start;
    return made.map(({ hole, tail, codec, logAppendTime, records }) => {
      const baseOffset = next + hole;
      let delta = -1;
      const placed = records.map(({ gap, ...rest }) => ({ ...rest, offsetDelta: (delta += gap) }));
      const lastOffsetDelta = Math.max(0, delta) + tail;
      next = baseOffset + lastOffsetDelta + 1;
      const header = {
        baseOffset,
        lastOffsetDelta,
        codec,
        logAppendTime,
        baseTimestamp: 1_790_000_000_000,
      } as BatchHeader;
      return { header, records: placed, next };
    });
  });

const encoded = ({ header, records }: Batch): Buffer => writeBatch(header, records);
const seenOf = (made: readonly Batch[]): Seen[] =>
  made.flatMap(({ header, records }) => expected(header, records));

test('what was written is read, from any offset on', () => {
  fc.assert(
    fc.property(batches, fc.double({ min: 0, max: 1, noNaN: true }), (made, part) => {
      const set = Buffer.concat(made.map(encoded));
      const start = made[0]!.header.baseOffset;
      const { next } = made.at(-1)!;
      for (const from of [start, start + Math.floor(part * (next - start))]) {
        const records = seenOf(made).filter(({ offset }) => offset >= from);
        expect(readAll(set, from)).toEqual({ records, next });
        expect(summarize(set, from)).toMatchObject({ next, records: seenOf(made).length });
      }
    }),
    { numRuns: 1000 },
  );
});

test('a set that is cut anywhere ends with its last whole batch', () => {
  fc.assert(
    fc.property(batches, fc.double({ min: 0, max: 1, noNaN: true }), (made, part) => {
      const whole = made.map(encoded);
      const set = Buffer.concat(whole);
      const length = Math.floor(part * set.length);
      let end = 0;
      const complete = made.filter((_, i) => (end += whole[i]!.length) <= length);
      const from = made[0]!.header.baseOffset;
      const next = complete.at(-1)?.next ?? from;
      expect(readAll(set.subarray(0, length), from)).toEqual({ records: seenOf(complete), next });
    }),
    { numRuns: 300 },
  );
});

/** Bits to flip: a place in the set as a fraction, and the bit of that byte. */
const flips = fc.array(fc.tuple(fc.double({ min: 0, max: 0.9999, noNaN: true }), fc.nat(7)), {
  minLength: 1,
  maxLength: 3,
});

test('of a damaged set only right records are seen, or an error', () => {
  fc.assert(
    fc.property(batches, flips, (made, flipped) => {
      const starts = startsOf(made);
      const set = Buffer.concat(made.map(encoded));
      const from = made[0]!.header.baseOffset;
      for (const [where, bit] of flipped) {
        const at = Math.floor(where * set.length);
        // The offset of a batch is the broker's, who does not put it under the checksum: it stays as it is.
        const isInOffset = starts.some((start) => start <= at && at < start + 8);
        set[isInOffset ? starts[0]! + 30 : at]! ^= 1 << bit;
      }
      const read = attempt(set, from);
      const right = seenOf(made);
      expect(read.records).toEqual(right.slice(0, read.records.length));
      // Without an error nothing is missing but what a cut off end hides.
      if (!read.failed) expect(read.records).toEqual(right.filter(({ offset }) => offset < read.next));
    }),
    { numRuns: 2000 },
  );

  function startsOf(made: readonly Batch[]): number[] {
    let end = 0;
    return made.map((one) => {
      const start = end;
      end += encoded(one).length;
      return start;
    });
  }
});

test('of random bytes nothing is seen', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 300 }), fc.boolean(), (noise, hasMagic) => {
      const set = Buffer.from(noise);
      if (hasMagic && set.length > 17) {
        set[16] = 2;
        set.writeInt32BE(Math.max(49, set.length - 12 - (set[3]! & 7)), 8);
      }
      expect(attempt(set, 0).records).toEqual([]);
    }),
    { numRuns: 2000 },
  );
});

interface Attempt {
  records: Seen[];
  next: number;
  failed: boolean;
}

/** Reads for as long as it goes. Around the set lies what must not be read. */
function attempt(set: Buffer, from: number): Attempt {
  const around = Buffer.alloc(set.length + 2000, 0xff);
  set.copy(around, 1000);
  const inside = around.subarray(1000, 1000 + set.length);
  const reader = new RecordSetReader(inside, from, null);
  const records: Seen[] = [];
  try {
    summarize(inside, from);
    while (reader.read()) records.push(...seen(reader));
    return { records, next: reader.next, failed: false };
  } catch (error) {
    expect(error).toBeInstanceOf(FatalError);
    return { records, next: reader.next, failed: true };
  }
}
