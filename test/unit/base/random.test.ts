import { expect, test } from 'vitest';
import { fraction, seededRandom, systemRandom, timedUuid, uuid } from '../../../src/base/random.ts';

const form = /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;

test('a uuid has the form of version 4 and is not given twice', () => {
  const random = seededRandom(1);
  const ids = Array.from({ length: 500 }, () => uuid(random));
  for (const id of ids) expect(id).toMatch(form);
  expect(new Set(ids).size).toBe(500);
  expect(uuid(systemRandom)).toMatch(form);
});

test('a uuid keeps the 122 random bits where they are', () => {
  const bytes = (value: number) => ({ bytes: (length: number) => new Uint8Array(length).fill(value) });
  expect(uuid(bytes(0xff))).toBe('ffffffff-ffff-4fff-bfff-ffffffffffff');
  expect(uuid(bytes(0x00))).toBe('00000000-0000-4000-8000-000000000000');
});

test('a timed uuid begins with the time and keeps the 74 random bits where they are', () => {
  const bytes = (value: number) => ({ bytes: (length: number) => new Uint8Array(length).fill(value) });
  // The time is that of RFC 9562, appendix A.6.
  expect(timedUuid(0x017f22e279b0, bytes(0xff))).toBe('017f22e2-79b0-7fff-bfff-ffffffffffff');
  expect(timedUuid(0x017f22e279b0, bytes(0x00))).toBe('017f22e2-79b0-7000-8000-000000000000');
});

test('a seed gives the same stream again, another seed another one', () => {
  const stream = (seed: number): string => Buffer.from(seededRandom(seed).bytes(64)).toString('hex');
  expect(stream(5)).toBe(stream(5));
  expect(stream(5)).not.toBe(stream(6));
});

test('fractions lie in [0, 1) and are spread over it', () => {
  const random = seededRandom(2);
  const tenths = new Array<number>(10).fill(0);
  for (let i = 0; i < 10_000; i++) {
    const value = fraction(random);
    expect(value >= 0 && value < 1).toBe(true);
    tenths[Math.floor(value * 10)]!++;
  }
  for (const count of tenths) expect(Math.abs(count - 1_000)).toBeLessThan(200);
  expect(fraction({ bytes: () => Uint8Array.of(255, 255, 255, 255) })).toBeLessThan(1);
});

test('numbers below a bound stay below it', () => {
  const random = seededRandom(3);
  const seen = new Set(Array.from({ length: 500 }, () => random.below(7)));
  expect([...seen].sort()).toEqual([0, 1, 2, 3, 4, 5, 6]);
  for (let i = 0; i < 500; i++) expect(random.float()).toBeLessThan(1);
});
