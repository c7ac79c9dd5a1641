import { describe, expect, test } from 'vitest';
import { seededRandom } from '../../../src/base/random.ts';
import { fetchBytesMin } from '../../../src/kafka/source.ts';
import type { Appended } from '../../../src/lane/lane.ts';
import { Budget } from '../../../src/sink/budget.ts';

const MiB = 1024 * 1024;

/** A lane's answer: rows of so many bytes, and what it holds now. */
function appended(rowBytes: number, heldBytes: number): Appended {
  const nothing = { next: 0, records: 0, rows: 0, tombstones: 0, undecodable: 0, timestampMaxMs: -1 };
  return { tables: { 'shop.orders': { ...nothing, bytes: rowBytes } }, heldBytes };
}

/** A set of so many bytes goes all the way through a lane that keeps nothing. */
function through(budget: Budget, bytes: number, answer: Appended): void {
  budget.received(bytes);
  budget.handed(bytes);
  budget.appended(0, bytes, answer);
}

test('what is held is what was received, queued, held by lanes, staged and reserved', () => {
  const budget = new Budget(100 * MiB, 2);
  budget.received(10);
  budget.received(20);
  expect(budget.heldBytes).toBe(30);
  budget.handed(20);
  expect(budget.heldBytes).toBe(30);
  budget.dropped(10);
  expect(budget.heldBytes).toBe(20);
  budget.appended(1, 20, appended(40, 500));
  expect(budget.heldBytes).toBe(500);
  budget.laneHolds(0, 7);
  expect(budget.heldBytes).toBe(507);
  budget.allowed(1_000, 2_000);
  expect(budget.heldBytes).toBe(3_507);
  budget.laneHolds(1, 0);
  budget.laneHolds(0, 0);
  budget.allowed(0, 0);
  expect(budget.heldBytes).toBe(0);
  expect(budget.peakBytes).toBe(3_507);
});

test('from half of the limit on it is time to land something', () => {
  const budget = new Budget(100, 1);
  budget.laneHolds(0, 50);
  expect(budget.isTight).toBe(false);
  budget.laneHolds(0, 51);
  expect(budget.isTight).toBe(true);
});

describe('how much may be read', () => {
  test('is nothing when the limit is reached, and never less than nothing', () => {
    const budget = new Budget(100 * MiB, 1);
    budget.laneHolds(0, 100 * MiB);
    expect(budget.allowed(0, 0)).toBe(0);
    budget.laneHolds(0, 500 * MiB);
    expect(budget.allowed(0, 0)).toBe(0);
  });

  test('is something as soon as there is room again', () => {
    const budget = new Budget(100 * MiB, 1);
    budget.laneHolds(0, 100 * MiB);
    expect(budget.allowed(0, 0)).toBe(0);
    budget.laneHolds(0, 0);
    expect(budget.allowed(0, 0)).toBeGreaterThan(10 * MiB);
  });

  test('leaves room for what is read to be decompressed, as the last sets had it', () => {
    const budget = new Budget(800 * MiB, 1);
    const plain = new Budget(800 * MiB, 1);
    // Sets of 1 MiB that hold 9 MiB of rows each.
    through(budget, MiB, appended(9 * MiB, 0));
    expect(budget.allowed(0, 0)).toBe(70 * MiB); // 7/8 of 800 for each byte and its nine
    expect(plain.allowed(0, 0)).toBe(140 * MiB); // four are assumed before the first answer
  });

  test('follows a rise of compression at once and a fall slowly', () => {
    const budget = new Budget(800 * MiB, 1);
    through(budget, MiB, appended(9 * MiB, 0));
    const high = budget.allowed(0, 0);
    through(budget, MiB, appended(MiB, 0));
    const after = budget.allowed(0, 0);
    expect(after).toBeGreaterThan(high);
    expect(after).toBeLessThan(high * 1.1);
    for (let i = 0; i < 200; i++) through(budget, MiB, appended(MiB, 0));
    expect(budget.allowed(0, 0)).toBe(350 * MiB); // one byte of rows for one byte read: not less is assumed
  });

  test('counts every table that a record goes into', () => {
    const budget = new Budget(800 * MiB, 1);
    const { tables } = appended(9 * MiB, 0);
    const both = { tables: { a: tables['shop.orders']!, b: tables['shop.orders']! }, heldBytes: 0 };
    through(budget, MiB, both);
    expect(budget.allowed(0, 0)).toBeCloseTo((700 / 19) * MiB, 0);
  });

  test('is one fetch with nothing held, however much records grow when they are decompressed', () => {
    const budget = new Budget(512 * MiB, 1);
    through(budget, 100_000, appended(100_000 * 6_000, 600_000_000));
    expect(budget.allowed(0, 0)).toBe(0);
    expect(budget.isTight).toBe(true); // what is held must land, or nothing is ever read again
    budget.laneHolds(0, 0);
    expect(budget.allowed(0, 0)).toBe(fetchBytesMin);
    // A little that is held, and too little allowed for a fetch: that must land too.
    budget.laneHolds(0, 1);
    expect(budget.allowed(0, 0)).toBeLessThan(fetchBytesMin);
    expect(budget.isTight).toBe(true);
  });

  test('keeps what is under way: allowing is no promise that is taken back', () => {
    const budget = new Budget(800 * MiB, 1);
    expect(budget.allowed(20 * MiB, 0)).toBeGreaterThanOrEqual(20 * MiB);
  });
});

test('I6: held bytes stay within the limit, whatever the order of answers, flushes and commits', () => {
  for (let seed = 1; seed <= 50; seed++) {
    const random = seededRandom(seed);
    const limit = 64 * MiB;
    const lanes = 1 + random.below(3);
    const budget = new Budget(limit, lanes);
    const expansion = 1 + random.float() * 3; // within what is assumed before the first answer
    const held = new Array<number>(lanes).fill(0);
    const queue: { lane: number; bytes: number }[] = [];
    let [reserved, allowed, staged] = [0, budget.allowed(0, 0), 0];
    for (let step = 0; step < 400; step++) {
      switch (random.below(5)) {
        case 0: // a request goes out for what is free
          if (allowed > reserved) reserved += random.float() * (allowed - reserved);
          break;
        case 1: {
          const bytes = Math.min(reserved, Math.ceil(random.float() * 4 * MiB));
          reserved -= bytes;
          budget.received(bytes);
          budget.handed(bytes);
          queue.push({ lane: random.below(lanes), bytes });
          break;
        }
        case 2: {
          const next = queue.shift();
          if (!next || next.bytes === 0) break;
          held[next.lane]! += next.bytes * expansion;
          budget.appended(next.lane, next.bytes, appended(next.bytes * expansion, held[next.lane]!));
          break;
        }
        case 3: {
          const lane = random.below(lanes);
          staged += held[lane]! * 0.5;
          held[lane] = 0;
          budget.laneHolds(lane, 0);
          break;
        }
        default:
          if (random.float() < 0.3) staged = 0;
      }
      allowed = budget.allowed(reserved, staged);
      expect(budget.heldBytes, `seed ${seed}, step ${step}`).toBeLessThanOrEqual(limit);
    }
    expect(budget.peakBytes, `seed ${seed} gets somewhere`).toBeGreaterThan(limit / 4);
  }
});
