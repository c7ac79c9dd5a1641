import { ByteStrings, mix } from './byte-strings.ts';
import type { GrowingBytes } from './growing-bytes.ts';

/** The distinct values of a column chunk, numbered in the order in which they came. */
export interface Dictionary {
  readonly size: number;
  /** What they take in the dictionary page. */
  readonly plainBytes: number;
  readonly heldBytes: number;
  /** Forgets the values from `size` on. It takes no more afterwards. */
  truncate(size: number): void;
  plain(out: GrowingBytes): void;
}

/** Which values of a page are to be put into a dictionary, as long as that stays within these limits. */
export interface Range {
  from: number;
  to: number;
  sizeMax: number;
  bytesMax: number;
}

const firstSlots = 512;

/** Open addressing: a slot holds the number of a value and one, or nothing. */
class Slots {
  slots: Int32Array = new Int32Array(firstSlots);
  /** Of each value, by its number. */
  hashes: Int32Array = new Int32Array(firstSlots >> 2);
  mask: number = firstSlots - 1;

  get heldBytes(): number {
    return this.slots.byteLength + this.hashes.byteLength;
  }

  /** Notes value `code` in a free slot; three quarters of them stay free. */
  take(slot: number, code: number, hash: number): void {
    this.slots[slot] = code + 1;
    this.hashes[code] = hash;
    if (code + 1 < this.hashes.length) return;
    const hashes = new Int32Array(this.hashes.length * 2);
    hashes.set(this.hashes);
    this.hashes = hashes;
    this.slots = new Int32Array(this.slots.length * 2);
    this.mask = this.slots.length - 1;
    for (let i = 0; i <= code; i++) {
      let free = this.hashes[i]! & this.mask;
      while (this.slots[free] !== 0) free = (free + 1) & this.mask;
      this.slots[free] = i + 1;
    }
  }
}

/** 32-bit values by their bits. */
export class WordDictionary implements Dictionary {
  readonly #slots = new Slots();
  #words: Int32Array = new Int32Array(firstSlots);
  size = 0;

  get plainBytes(): number {
    return this.size * 4;
  }

  get heldBytes(): number {
    return this.#slots.heldBytes + this.#words.byteLength;
  }

  index(words: Int32Array, range: Range, codes: Int32Array): boolean {
    const table = this.#slots;
    const limit = Math.min(range.sizeMax, Math.floor(range.bytesMax / 4));
    for (let i = range.from; i < range.to; i++) {
      const word = words[i]!;
      const hash = mix(word);
      let slot = hash & table.mask;
      let code = table.slots[slot]! - 1;
      while (code >= 0 && this.#words[code] !== word) {
        slot = (slot + 1) & table.mask;
        code = table.slots[slot]! - 1;
      }
      if (code < 0) {
        if (this.size >= limit) return false;
        code = this.size++;
        if (code === this.#words.length) this.#words = grown(this.#words);
        this.#words[code] = word;
        table.take(slot, code, hash);
      }
      codes[i] = code;
    }
    return true;
  }

  truncate(size: number): void {
    this.size = size;
  }

  plain(out: GrowingBytes): void {
    out.append(new Uint8Array(this.#words.buffer, 0, this.size * 4));
  }
}

/** 64-bit values by their bits, given as low and high halves in turn. */
export class PairDictionary implements Dictionary {
  readonly #slots = new Slots();
  #halves: Int32Array = new Int32Array(firstSlots * 2);
  size = 0;

  get plainBytes(): number {
    return this.size * 8;
  }

  get heldBytes(): number {
    return this.#slots.heldBytes + this.#halves.byteLength;
  }

  index(halves: Int32Array, range: Range, codes: Int32Array): boolean {
    const table = this.#slots;
    const limit = Math.min(range.sizeMax, Math.floor(range.bytesMax / 8));
    for (let i = range.from; i < range.to; i++) {
      const low = halves[i * 2]!;
      const high = halves[i * 2 + 1]!;
      const hash = mix(low ^ mix(high));
      let slot = hash & table.mask;
      let code = table.slots[slot]! - 1;
      while (code >= 0 && (this.#halves[code * 2] !== low || this.#halves[code * 2 + 1] !== high)) {
        slot = (slot + 1) & table.mask;
        code = table.slots[slot]! - 1;
      }
      if (code < 0) {
        if (this.size >= limit) return false;
        code = this.size++;
        if (code * 2 === this.#halves.length) this.#halves = grown(this.#halves);
        this.#halves[code * 2] = low;
        this.#halves[code * 2 + 1] = high;
        table.take(slot, code, hash);
      }
      codes[i] = code;
    }
    return true;
  }

  truncate(size: number): void {
    this.size = size;
  }

  plain(out: GrowingBytes): void {
    out.append(new Uint8Array(this.#halves.buffer, 0, this.size * 8));
  }
}

/** Byte strings, of one length (`fixed`) or of any. */
export class BytesDictionary implements Dictionary {
  readonly #slots = new Slots();
  readonly #fixed: boolean;
  readonly strings = new ByteStrings();

  constructor(fixed: boolean) {
    this.#fixed = fixed;
  }

  get size(): number {
    return this.strings.count;
  }

  get plainBytes(): number {
    return this.strings.bytes + (this.#fixed ? 0 : 4 * this.size);
  }

  get heldBytes(): number {
    return this.#slots.heldBytes + this.strings.heldBytes;
  }

  index(strings: ByteStrings, range: Range, codes: Int32Array): boolean {
    const table = this.#slots;
    const known = this.strings;
    for (let i = range.from; i < range.to; i++) {
      const hash = strings.hash(i);
      let slot = hash & table.mask;
      let code = table.slots[slot]! - 1;
      while (code >= 0 && !known.equals(code, strings, i)) {
        slot = (slot + 1) & table.mask;
        code = table.slots[slot]! - 1;
      }
      if (code < 0) {
        code = known.count;
        known.append(strings, i);
        if (known.count > range.sizeMax || this.plainBytes > range.bytesMax) return false;
        table.take(slot, code, hash);
      }
      codes[i] = code;
    }
    return true;
  }

  truncate(size: number): void {
    this.strings.truncate(size);
  }

  plain(out: GrowingBytes): void {
    this.strings.plain(out, this.#fixed);
  }
}

function grown(words: Int32Array): Int32Array {
  const out = new Int32Array(words.length * 2);
  out.set(words);
  return out;
}
