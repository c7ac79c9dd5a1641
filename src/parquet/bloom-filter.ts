import { field, writeThrift } from './thrift.ts';
import { hash, hashBytes, hashPair, hashWord } from './xxhash.ts';

/** Words of a block. */
const blockWords = 8;
const blockBytes = blockWords * 4;
const salt = [0x47b6137b, 0x44974d91, 0x8824ad5b, 0xa2b7289d, 0x705495c7, 0x2df1424b, 0x9efc4947, 0x5c6bfb31];

/**
 * A split block Bloom filter over the values of a column chunk (Parquet BloomFilter.md). How many values will come is
 * not known before: it begins as large as it may be, and is folded in the end while it stays good enough.
 */
export class BloomFilter {
  #words: Int32Array;
  #inserted = false;

  /** `bytesMax` is rounded down to a power of two. */
  constructor(bytesMax: number) {
    const bytes = 2 ** Math.floor(Math.log2(Math.max(blockBytes, Math.min(bytesMax, 2 ** 27))));
    this.#words = new Int32Array(bytes / 4);
  }

  get heldBytes(): number {
    return this.#words.byteLength;
  }

  insertWord(word: number): void {
    hashWord(word);
    this.#insert();
  }

  insertPair(low: number, high: number): void {
    hashPair(low, high);
    this.#insert();
  }

  /** `view[start, end)`. */
  insertBytes(view: DataView, start: number, end: number): void {
    hashBytes(view, start, end);
    this.#insert();
  }

  #insert(): void {
    this.#inserted = true;
    const blocks = this.#words.length / blockWords;
    const at = Math.floor(((hash.high >>> 0) * blocks) / 4294967296) * blockWords;
    for (let i = 0; i < blockWords; i++) this.#words[at + i]! |= 1 << (Math.imul(hash.low, salt[i]!) >>> 27);
  }

  /**
   * The filter with its header, as small as it can be with at most `falsePositives` (0 to 1) of the answers wrong; empties
   * it for the next chunk. Undefined when nothing was inserted.
   */
  take(falsePositives: number): Uint8Array | undefined {
    if (!this.#inserted) return undefined;
    let words = this.#words;
    while (words.length > blockWords) {
      const smaller = folded(words);
      if (falsePositiveRate(smaller) > falsePositives) break;
      words = smaller;
    }
    const header = writeThrift([
      field.i32(1, words.byteLength),
      field.struct(2, [field.struct(1)]), // split blocks
      field.struct(3, [field.struct(1)]), // xxHash
      field.struct(4, [field.struct(1)]), // uncompressed
    ]);
    const bytes = Buffer.concat([header, new Uint8Array(words.buffer, 0, words.byteLength)]);
    this.#words.fill(0);
    this.#inserted = false;
    return bytes;
  }
}

/** The filter of the same values with half the blocks: the highest bits of a hash say which, so neighbours merge. */
function folded(words: Int32Array): Int32Array {
  const half = new Int32Array(words.length / 2);
  for (let i = 0; i < half.length; i++) {
    const block = i >> 3;
    const at = block * 2 * blockWords + (i & 7);
    half[i] = words[at]! | words[at + blockWords]!;
  }
  return half;
}

/** How likely a value that was never inserted is found: the mean over the blocks of all eight bits being set. */
function falsePositiveRate(words: Int32Array): number {
  let sum = 0;
  for (let at = 0; at < words.length; at += blockWords) {
    let product = 1;
    for (let i = 0; i < blockWords; i++) product *= bitsSet(words[at + i]!) / 32;
    sum += product;
  }
  return sum / (words.length / blockWords);
}

function bitsSet(word: number): number {
  const pairs = word - ((word >>> 1) & 0x55555555);
  const fours = (pairs & 0x33333333) + ((pairs >>> 2) & 0x33333333);
  return Math.imul((fours + (fours >>> 4)) & 0x0f0f0f0f, 0x01010101) >>> 24;
}
