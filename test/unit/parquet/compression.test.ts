import { gunzipSync, zstdDecompressSync } from 'node:zlib';
import { snappyDecompress } from '@platformatic/wasm-utils';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { seededRandom } from '../../../src/base/random.ts';
import { compressorOf, PageCompressor } from '../../../src/parquet/compression.ts';
import { lz4Block } from './parquet-file.ts';

const inflate = {
  zstd: (bytes: Uint8Array) => zstdDecompressSync(bytes),
  gzip: (bytes: Uint8Array) => gunzipSync(bytes),
  snappy: (bytes: Uint8Array) => snappyDecompress(Buffer.from(bytes)),
  lz4: (bytes: Uint8Array, length: number) => lz4Block(bytes, length),
  uncompressed: (bytes: Uint8Array) => bytes,
};
const codecs = Object.keys(inflate) as (keyof typeof inflate)[];

/** Bytes with repetitions near and far, and without. */
const pages = fc.oneof(
  fc.uint8Array({ maxLength: 300 }),
  fc
    .array(fc.tuple(fc.uint8Array({ minLength: 1, maxLength: 40 }), fc.integer({ min: 1, max: 60 })), {
      maxLength: 20,
    })
    .map(
      (parts) => new Uint8Array(Buffer.concat(parts.flatMap(([bytes, times]) => Array(times).fill(bytes)))),
    ),
);

test.each(codecs)('pages of any kind come back from %s', (codec) => {
  const compressor = compressorOf(codec, undefined);
  fc.assert(
    fc.property(pages, (page) => {
      const back = (bytes: Uint8Array): Buffer => Buffer.from(inflate[codec](bytes, page.length));
      expect(back(compressor.compress(page)).equals(page)).toBe(true);
      if (compressor.store) expect(back(compressor.store(page)).equals(page)).toBe(true);
    }),
    { numRuns: 200 },
  );
});

const noise = seededRandom(1).bytes(300_000);
const same = new Uint8Array(300_000).fill(7);

test.each(codecs)('long pages come back from %s', (codec) => {
  const compressor = compressorOf(codec, undefined);
  for (const page of [noise, same, noise.subarray(0, 128 * 1024), noise.subarray(0, 128 * 1024 + 1)]) {
    const back = (bytes: Uint8Array): Buffer => Buffer.from(inflate[codec](bytes, page.length));
    expect(back(compressor.compress(page)).equals(page)).toBe(true);
    if (compressor.store) expect(back(compressor.store(page)).equals(page)).toBe(true);
  }
});

test.each(['zstd', 'gzip'] as const)('the level of %s is used', (codec) => {
  const random = seededRandom(2);
  const page = Buffer.from(Array.from({ length: 5_000 }, () => `word${random.below(300)} `).join(''));
  const [low, high] = [1, 9].map((level) => compressorOf(codec, level).compress(page).length);
  expect(high).toBeLessThan(low!);
});

test('pages that do not shrink are tried less and less often, and again when one does', () => {
  let tried = 0;
  const pagesOf = new PageCompressor({
    codec: 6,
    compress: (bytes) => {
      tried++;
      return bytes[0] === 7 ? bytes.subarray(0, 1) : bytes;
    },
    store: (bytes) => bytes,
  });
  const triesOf = (page: Uint8Array, count: number): number => {
    const before = tried;
    for (let i = 0; i < count; i++) pagesOf.page(page);
    return tried - before;
  };
  // The 1st, 2nd, 4th, 8th, 16th and 32nd; then every 17th.
  expect(triesOf(noise, 1 + 1 + 2 + 4 + 8 + 16)).toBe(6);
  expect(triesOf(noise, 170)).toBe(10);
  expect(triesOf(same, 17)).toBe(1);
  expect(triesOf(same, 10)).toBe(10);
});

test('a page that does not shrink is stored as its codec has it, and says so where the page can', () => {
  for (const codec of ['zstd', 'gzip'] as const) {
    const pagesOf = new PageCompressor(compressorOf(codec, undefined));
    const stored = pagesOf.page(noise);
    expect(stored.length).toBeGreaterThanOrEqual(noise.length);
    expect(Buffer.from(inflate[codec](stored)).equals(noise)).toBe(true);
    expect(new PageCompressor(compressorOf(codec, undefined)).tryPage(noise)).toBeUndefined();
  }
});
