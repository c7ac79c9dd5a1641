/**
 * XXH64 with seed 0 (Cyan4973/xxHash doc/xxhash_spec.md), on halves of 32 bits: numbers of 64 are slow here. The answer
 * is in `hash.high` and `hash.low`.
 */
export const hash = { high: 0, low: 0 };

/** A 64-bit constant as halves. */
type Prime = readonly [high: number, low: number];
const prime1: Prime = [0x9e3779b1, 0x85ebca87];
const prime2: Prime = [0xc2b2ae3d, 0x27d4eb4f];
const prime3: Prime = [0x165667b1, 0x9e3779f9];
const prime4: Prime = [0x85ebca77, 0xc2b2ae63];
const prime5: Prime = [0x27d4eb2f, 0x165667c5];

/** The 64-bit number at work. */
let high = 0;
let low = 0;

function set(toHigh: number, toLow: number): void {
  high = toHigh;
  low = toLow;
}

function add(otherHigh: number, otherLow: number): void {
  const sum = (low >>> 0) + (otherLow >>> 0);
  high = (high + otherHigh + (sum > 0xffffffff ? 1 : 0)) | 0;
  low = sum | 0;
}

function multiply([otherHigh, otherLow]: Prime): void {
  const [a0, a1] = [low & 0xffff, low >>> 16];
  const [b0, b1] = [otherLow & 0xffff, otherLow >>> 16];
  const inner = a0 * b1 + ((a0 * b0) >>> 16);
  const outer = a1 * b0 + (inner % 65_536);
  const carry = a1 * b1 + Math.floor(inner / 65_536) + Math.floor(outer / 65_536);
  high = (Math.imul(high, otherLow) + Math.imul(low, otherHigh) + (carry | 0)) | 0;
  low = Math.imul(low, otherLow);
}

function rotate(bits: number): void {
  const [h, l] = bits < 32 ? [high, low] : [low, high];
  const by = bits & 31;
  high = (h << by) | (l >>> (32 - by));
  low = (l << by) | (h >>> (32 - by));
}

/** Exclusive or with itself shifted right. */
function fold(bits: number): void {
  if (bits >= 32) {
    low ^= high >>> (bits - 32);
    return;
  }
  low ^= (low >>> bits) | (high << (32 - bits));
  high ^= high >>> bits;
}

/** One lane of eight bytes: what the specification calls a round, from an accumulator of 0. */
function lane(laneHigh: number, laneLow: number): void {
  set(laneHigh, laneLow);
  multiply(prime2);
  rotate(31);
  multiply(prime1);
}

function takeEight(wordHigh: number, wordLow: number): void {
  const [h, l] = [high, low];
  lane(wordHigh, wordLow);
  set(h ^ high, l ^ low);
  rotate(27);
  multiply(prime1);
  add(...prime4);
}

function takeFour(word: number): void {
  const [h, l] = [high, low];
  set(0, word);
  multiply(prime1);
  set(h ^ high, l ^ low);
  rotate(23);
  multiply(prime2);
  add(...prime3);
}

function takeOne(byte: number): void {
  const [h, l] = [high, low];
  set(0, byte);
  multiply(prime5);
  set(h ^ high, l ^ low);
  rotate(11);
  multiply(prime1);
}

function finish(): void {
  fold(33);
  multiply(prime2);
  fold(29);
  multiply(prime3);
  fold(32);
  hash.high = high;
  hash.low = low;
}

export function hashWord(word: number): void {
  set(...prime5);
  add(0, 4);
  takeFour(word);
  finish();
}

export function hashPair(wordLow: number, wordHigh: number): void {
  set(...prime5);
  add(0, 8);
  takeEight(wordHigh, wordLow);
  finish();
}

/** Four accumulators, high and low halves in turn. */
const accumulators = new Int32Array(8);
/** prime1 + prime2, prime2, 0, -prime1. */
const firstAccumulators = [0x60ea27ee, 0xadc0b5d6, ...prime2, 0, 0, 0x61c8864e, 0x7a143579];

export function hashBytes(view: DataView, start: number, end: number): void {
  const length = end - start;
  let at = start;
  if (length >= 32) {
    at = takeStripes(view, start, end);
    mergeAccumulators();
  } else {
    set(...prime5);
  }
  add(0, length);
  for (; at + 8 <= end; at += 8) takeEight(view.getInt32(at + 4, true), view.getInt32(at, true));
  for (; at + 4 <= end; at += 4) takeFour(view.getInt32(at, true));
  for (; at < end; at++) takeOne(view.getUint8(at));
  finish();
}

/** Takes in all whole 32 bytes; returns what comes next. */
function takeStripes(view: DataView, start: number, end: number): number {
  accumulators.set(firstAccumulators);
  let at = start;
  for (; at + 32 <= end; at += 32) {
    for (let i = 0; i < 4; i++) {
      set(view.getInt32(at + i * 8 + 4, true), view.getInt32(at + i * 8, true));
      multiply(prime2);
      add(accumulators[i * 2]!, accumulators[i * 2 + 1]!);
      rotate(31);
      multiply(prime1);
      accumulators[i * 2] = high;
      accumulators[i * 2 + 1] = low;
    }
  }
  return at;
}

function mergeAccumulators(): void {
  let [sumHigh, sumLow] = [0, 0];
  for (const [i, bits] of [1, 7, 12, 18].entries()) {
    set(accumulators[i * 2]!, accumulators[i * 2 + 1]!);
    rotate(bits);
    add(sumHigh, sumLow);
    [sumHigh, sumLow] = [high, low];
  }
  for (let i = 0; i < 4; i++) {
    lane(accumulators[i * 2]!, accumulators[i * 2 + 1]!);
    set(high ^ sumHigh, low ^ sumLow);
    multiply(prime1);
    add(...prime4);
    [sumHigh, sumLow] = [high, low];
  }
}
