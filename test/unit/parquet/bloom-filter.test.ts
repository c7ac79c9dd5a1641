import { expect, test } from 'vitest';
import { seededRandom } from '../../../src/base/random.ts';
import { BloomFilter } from '../../../src/parquet/bloom-filter.ts';
import { readThrift } from '../../../src/parquet/thrift.ts';
import { hash, hashBytes, hashPair, hashWord } from '../../../src/parquet/xxhash.ts';

const hex = (): string =>
  [hash.high, hash.low].map((half) => (half >>> 0).toString(16).padStart(8, '0')).join('');
const viewOf = (bytes: Uint8Array): DataView => new DataView(bytes.buffer, bytes.byteOffset, bytes.length);

// The first six are in circulation as vectors of XXH64 with seed 0.
test.each([
  ['', 'ef46db3751d8e999'],
  ['a', 'd24ec4f1a98c6e5b'],
  ['abc', '44bc2cf5ad770999'],
  ['xxhash', '32dd38952c4bc720'],
  ['Call me Ishmael. Some years ago--never mind how long precisely-', '02a2e85470d6fd96'],
])('the hash of "%s" is %s', (text, expected) => {
  const bytes = Buffer.from(text);
  hashBytes(viewOf(bytes), 0, bytes.length);
  expect(hex()).toBe(expected);
});

test('numbers are hashed as the bytes that they are', () => {
  const random = seededRandom(3);
  for (let i = 0; i < 100; i++) {
    const bytes = random.bytes(8);
    const view = viewOf(bytes);
    hashBytes(view, 0, 4);
    const word = hex();
    hashWord(view.getInt32(0, true));
    expect(hex()).toBe(word);
    hashBytes(view, 0, 8);
    const pair = hex();
    hashPair(view.getInt32(0, true), view.getInt32(4, true));
    expect(hex()).toBe(pair);
  }
});

/** The check of BloomFilter.md, in 64-bit numbers. */
function mayHold(filter: Uint8Array, word: number): boolean {
  const header = readThrift(filter);
  const size = Number(header[0]!.value);
  const bits = filter.subarray(filter.length - size);
  hashWord(word);
  const block = Number((BigInt(hash.high >>> 0) * BigInt(size / 32)) >> 32n);
  const salt = [
    0x47b6137b, 0x44974d91, 0x8824ad5b, 0xa2b7289d, 0x705495c7, 0x2df1424b, 0x9efc4947, 0x5c6bfb31,
  ];
  return salt.every((each, i) => {
    const bit = Math.imul(hash.low, each) >>> 27;
    return ((viewOf(bits).getUint32(block * 32 + i * 4, true) >>> bit) & 1) === 1;
  });
}

test.each([
  [100, 0.01, 128],
  [5_000, 0.01, 8_192],
  [5_000, 0.1, 4_096],
  [100_000, 0.01, 65_536], // as large as it may be
])(
  'a filter of %i values has no more than it needs for wrong answers in %d of all',
  (count, wanted, bytes) => {
    const filter = new BloomFilter(65_536);
    for (let i = 0; i < count; i++) filter.insertWord(i);
    const taken = filter.take(wanted)!;
    expect(Number(readThrift(taken)[0]!.value)).toBe(bytes);
    for (let i = 0; i < count; i++) if (!mayHold(taken, i)) throw new Error(`${i} is not found`);
    let wrong = 0;
    for (let i = 0; i < 10_000; i++) if (mayHold(taken, -1 - i)) wrong++;
    if (count < 100_000) expect(wrong / 10_000).toBeLessThan(wanted * 1.5);
  },
);

test('a filter begins anew with each chunk, and there is none of nothing', () => {
  const filter = new BloomFilter(1_024);
  expect(filter.take(0.01)).toBeUndefined();
  filter.insertWord(1);
  expect(filter.take(0.01)).toBeDefined();
  expect(filter.take(0.01)).toBeUndefined();
  filter.insertWord(2);
  expect(mayHold(filter.take(0.01)!, 1)).toBe(false);
});
