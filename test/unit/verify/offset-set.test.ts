import fc from 'fast-check';
import { expect, test } from 'vitest';
import { OffsetSet, split } from '../../../src/verify/offset-set.ts';

/** Chunks are of 65,536 offsets: ranges across their edges, and whole ones. */
const offsets = fc.oneof(
  fc.integer({ min: 0, max: 200 }),
  fc.integer({ min: 65_400, max: 65_700 }),
  fc.constant(131_072),
);
const ranges = fc
  .tuple(offsets, fc.oneof(fc.integer({ min: 1, max: 40 }), fc.constantFrom(65_536, 66_000)))
  .map(([from, length]) => ({ from, next: from + length }));

test('it is the set of all that was added, and tells what was there already', () => {
  fc.assert(
    fc.property(fc.array(fc.oneof(offsets, ranges), { maxLength: 8 }), ranges, (added, asked) => {
      const set = new OffsetSet();
      const model = new Set<number>();
      for (const each of added) {
        if (typeof each === 'number') {
          expect(set.add(each)).toBe(!model.has(each));
          model.add(each);
          continue;
        }
        const there: number[] = [];
        for (let offset = each.from; offset < each.next; offset++) {
          if (model.has(offset)) there.push(offset);
          model.add(offset);
        }
        const taken = set
          .addRange(each)
          .flatMap(({ from, next }) => Array.from({ length: next - from }, (_, i) => from + i));
        expect(taken).toEqual(there);
      }
      expect(set.size).toBe(model.size);
      const holes = [...set.holes(asked)];
      let at = asked.from;
      for (const { from, next } of holes) {
        for (; at < from; at++) if (!model.has(at)) throw new Error(`${at} is no hole`);
        for (; at < next; at++) if (model.has(at)) throw new Error(`${at} is a hole`);
      }
      for (; at < asked.next; at++) if (!model.has(at)) throw new Error(`${at} is no hole`);
      const sorted = [...model].sort((a, b) => a - b);
      expect(set.bounds()).toEqual(model.size === 0 ? undefined : { min: sorted[0], max: sorted.at(-1) });
    }),
    { numRuns: 30 },
  );
});

test('a range is split by others, whatever their order', () => {
  const others = [
    { from: 20, next: 30 },
    { from: 0, next: 5 },
    { from: 4, next: 8 },
    { from: 28, next: 29 },
    { from: 90, next: 95 },
  ];
  expect(split({ from: 3, next: 40 }, others)).toEqual({
    inside: [
      { from: 3, next: 8 },
      { from: 20, next: 30 },
    ],
    outside: [
      { from: 8, next: 20 },
      { from: 30, next: 40 },
    ],
  });
  expect(split({ from: 50, next: 60 }, others)).toEqual({ inside: [], outside: [{ from: 50, next: 60 }] });
});
