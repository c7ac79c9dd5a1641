import { type JsonScanner, quote } from './json-scanner.ts';

/** How many keys that no column has are remembered, and how long they may be. */
const mostUnknown = 64;
const longestUnknown = 128;

/** Beyond any record: a key of this length is never predicted. */
const unpredictable = 0x7fffffff;

/** A key of an object, as it is expected to stand in the text. */
class JsonKey {
  /** Index of what it names; -1 for a key that nobody asked for. */
  readonly member: number;
  /** The key that followed this one last time. */
  next: JsonKey = this;
  /** The key's own UTF-8 bytes. */
  readonly name: Uint8Array;
  /** `"name":` as 32-bit words; the last one overlaps the one before instead of being padded. */
  readonly words: Int32Array;
  readonly lastWord: number;
  readonly length: number;

  constructor(member: number, name: Uint8Array, quoted: Uint8Array) {
    this.member = member;
    this.name = name;
    const view = new DataView(quoted.buffer, quoted.byteOffset, quoted.length);
    const whole = quoted.length < 4 ? 0 : (quoted.length - 1) >> 2;
    this.words = Int32Array.from({ length: whole }, (_, i) => view.getInt32(i * 4, true));
    this.lastWord = quoted.length < 4 ? 0 : view.getInt32(quoted.length - 4, true);
    this.length = quoted.length < 4 ? unpredictable : quoted.length;
  }
}

/**
 * Finds which member a key names. Producers write the same keys in the same order again and again, so each key remembers
 * its successor and a comparison of bytes usually suffices; a hash table over the bytes finds the others. Keys that name
 * nothing take part in this, too, up to a bound.
 */
export class KeyTable {
  /** Stands before an object's first key. */
  readonly before: JsonKey = new JsonKey(-1, Buffer.alloc(0), Buffer.alloc(0));
  private readonly s: JsonScanner;
  private readonly slots: (JsonKey | undefined)[];
  private readonly mask: number;
  private readonly onUnknown: ((name: string) => void) | undefined;
  /** Stands for all keys that are not remembered. */
  private readonly other: JsonKey = new JsonKey(-1, Buffer.alloc(0), Buffer.alloc(0));
  private unknown = 0;

  /** `names[i]` is the key of member `i`; undefined when no key may name it. */
  constructor(s: JsonScanner, names: readonly (string | undefined)[], onUnknown?: (name: string) => void) {
    this.s = s;
    this.onUnknown = onUnknown;
    // At most half full, however many unknown keys come.
    const size = 2 ** Math.ceil(Math.log2((names.length + mostUnknown) * 2));
    this.mask = size - 1;
    this.slots = new Array<JsonKey | undefined>(size).fill(undefined);
    let last = this.before;
    for (const [i, name] of names.entries()) {
      if (name === undefined) continue;
      const key = new JsonKey(i, Buffer.from(name), Buffer.from(`${JSON.stringify(name)}:`));
      this.slots[this.slotOf(key.name, 0, key.name.length)] = key;
      last.next = key;
      last = key;
    }
  }

  /** Takes the key at the position with its colon. */
  take(previous: JsonKey, path: string): JsonKey {
    this.s.first(path);
    const guess = previous.next;
    if (this.matches(guess)) {
      this.s.position += guess.length;
      return guess;
    }
    const key = this.find(path);
    previous.next = key;
    return key;
  }

  private matches(key: JsonKey): boolean {
    const { view, position, end } = this.s;
    const { words, length } = key;
    if (length > end - position) return false;
    for (let i = 0; i < words.length; i++)
      if (view.getInt32(position + i * 4, true) !== words[i]) return false;
    return view.getInt32(position + length - 4, true) === key.lastWord;
  }

  private find(path: string): JsonKey {
    const s = this.s;
    if (s.bytes[s.position] !== quote) s.unexpected(path, 'a key');
    const from = s.position;
    s.string(path);
    const to = s.position;
    s.colon(path);
    const slot = this.slotOf(s.text, s.textStart, s.textEnd);
    return this.slots[slot] ?? this.learn(slot, s.bytes.subarray(from, to));
  }

  /** Remembers the key just read, which is not in the table, so that it is passed over fast next time. */
  private learn(slot: number, quoted: Buffer): JsonKey {
    if (this.unknown === mostUnknown || quoted.length > longestUnknown) return this.other;
    this.unknown++;
    const name = Buffer.from(this.s.text.subarray(this.s.textStart, this.s.textEnd));
    const key = new JsonKey(-1, name, Buffer.concat([quoted, Buffer.from(':')]));
    this.slots[slot] = key;
    this.onUnknown?.(name.toString());
    return key;
  }

  /** The slot of a name, or the free one where it belongs. */
  private slotOf(bytes: Uint8Array, start: number, end: number): number {
    let hash = 0;
    for (let i = start; i < end; i++) hash = Math.imul(hash ^ bytes[i]!, 0x01000193);
    let slot = (hash ^ (hash >>> 15)) & this.mask;
    for (let key = this.slots[slot]; key !== undefined; key = this.slots[slot]) {
      if (sameBytes(key.name, bytes, start, end)) return slot;
      slot = (slot + 1) & this.mask;
    }
    return slot;
  }
}

function sameBytes(name: Uint8Array, bytes: Uint8Array, start: number, end: number): boolean {
  if (name.length !== end - start) return false;
  for (let i = 0; i < name.length; i++) if (name[i] !== bytes[start + i]) return false;
  return true;
}
