import { isUtf8 } from 'node:buffer';
import { DecodeError } from './decoder.ts';
import { checkEscapes, unescapeTo } from './json-escapes.ts';

/** The bytes that mean something in JSON. */
export const quote = 34;
export const openBrace = 123;
export const closeBrace = 125;
export const openBracket = 91;
export const closeBracket = 93;
export const minus = 45;
/** `null` is the only value that starts with it. */
export const letterN = 110;
const comma = 44;
const colon = 58;
const backslash = 92;

const nothing = Buffer.alloc(0);
/** Longest excerpt of a record that a message shows. */
const sampleLength = 40;

/**
 * Walks once over the JSON text of one record. Results that are not a single small integer are left in fields, so that
 * nothing is allocated. Methods that read a value expect the position at its first byte, where {@link first} leaves it.
 *
 * Never looks at a byte outside `[position, end)`: what lies there belongs to other records.
 */
export class JsonScanner {
  bytes: Buffer = nothing;
  view: DataView = new DataView(nothing.buffer);
  position = 0;
  end = 0;
  /** The content of the last string, unescaped, is `text[textStart, textEnd)`. */
  text: Buffer = nothing;
  textStart = 0;
  textEnd = 0;
  private start = 0;
  private scratch: Buffer = Buffer.alloc(256);

  reset(bytes: Buffer, view: DataView, start: number, end: number): void {
    this.bytes = bytes;
    this.view = view;
    this.start = start;
    this.position = start;
    this.end = end;
  }

  /** Lets `read` read other JSON text, then goes on where it was. */
  within(text: Buffer, read: () => void): void {
    const { bytes, view, start, position, end } = this;
    this.reset(text, new DataView(text.buffer, text.byteOffset, text.length), 0, text.length);
    read();
    this.reset(bytes, view, start, end);
    this.position = position;
  }

  /** Moves to the next byte that is not white space, and returns it. */
  first(path: string): number {
    if (this.position < this.end) {
      const byte = this.bytes[this.position]!;
      if (byte > 32) return byte;
    }
    this.skipSpace();
    if (this.position === this.end) this.fail(path, 'the record ends too early');
    return this.bytes[this.position]!;
  }

  private skipSpace(): void {
    while (this.position < this.end) {
      const byte = this.bytes[this.position]!;
      if (byte !== 32 && byte !== 10 && byte !== 13 && byte !== 9) return;
      this.position++;
    }
  }

  /** True when only white space is left, which is passed over. */
  atEnd(): boolean {
    this.skipSpace();
    return this.position === this.end;
  }

  /** Checks that only white space is left. */
  finish(): void {
    if (!this.atEnd()) this.unexpected('', 'the end of the record');
  }

  /** Takes the opening bracket at the position. False when the closing one follows at once: it is taken, too. */
  enter(close: number, path: string): boolean {
    this.position++;
    if (this.first(path) !== close) return true;
    this.position++;
    return false;
  }

  /** After a member or an element: true for a comma, false for the closing bracket; takes either. */
  more(close: number, path: string): boolean {
    const byte = this.first(path);
    if (byte !== comma && byte !== close) this.unexpected(path, `"," or "${String.fromCharCode(close)}"`);
    this.position++;
    return byte === comma;
  }

  colon(path: string): void {
    if (this.first(path) !== colon) this.unexpected(path, '":"');
    this.position++;
  }

  /** Takes `word`: `true`, `false` or `null`. */
  literal(word: string, path: string): void {
    const from = this.position;
    const to = from + word.length;
    if (to > this.end) this.unexpected(path, word);
    for (let i = 0; i < word.length; i++)
      if (this.bytes[from + i] !== word.charCodeAt(i)) this.unexpected(path, word);
    this.position = to;
  }

  /** True when the bytes at the position are `expected`. */
  startsWith(expected: Uint8Array): boolean {
    const to = this.position + expected.length;
    return to <= this.end && this.bytes.compare(expected, 0, expected.length, this.position, to) === 0;
  }

  /** Reads the string at the position into {@link text}. */
  string(path: string): void {
    const from = this.position + 1;
    const to = plainEnd(this.bytes, this.view, from, this.end);
    if (to >= 0) {
      this.text = this.bytes;
      this.textStart = from;
      this.textEnd = to;
      this.position = to + 1;
    } else {
      this.unusualString(path);
    }
  }

  private unusualString(path: string): void {
    const from = this.position + 1;
    const escaped = this.rawString(path);
    const to = this.position - 1;
    if (!escaped) {
      this.text = this.bytes;
      this.textStart = from;
      this.textEnd = to;
      return;
    }
    // What an escape stands for is never longer than the escape.
    if (this.scratch.length < to - from) this.scratch = Buffer.alloc((to - from) * 2);
    this.text = this.scratch;
    this.textStart = 0;
    this.textEnd = unescapeTo(this.bytes, from, to, this.scratch, (problem) =>
      this.fail(path, problem, from - 1),
    );
  }

  /** Passes over the string at the position. Lone surrogates are let through: nobody reads them. */
  skipString(path: string): void {
    const from = this.position + 1;
    const to = plainEnd(this.bytes, this.view, from, this.end);
    if (to >= 0) this.position = to + 1;
    else if (this.rawString(path))
      checkEscapes(this.bytes, from, this.position - 1, (problem) => this.fail(path, problem, from - 1));
  }

  /** The content of the last string. */
  content(): string {
    return this.text.toString('utf8', this.textStart, this.textEnd);
  }

  /** Passes over any string, checking its bytes but not its escapes. True when it has escapes. */
  private rawString(path: string): boolean {
    const { bytes, end } = this;
    const from = this.position + 1;
    let escaped = false;
    let ascii = true;
    let at = from;
    for (; at < end; at++) {
      const byte = bytes[at]!;
      if (byte === quote) break;
      if (byte === backslash) {
        escaped = true;
        at++;
      } else if (byte < 32) {
        this.fail(path, `control character ${hexByte(byte)} in a string`, at);
      } else if (byte > 127) {
        ascii = false;
      }
    }
    if (at >= end) this.fail(path, 'a string does not end');
    if (!ascii && !isUtf8(bytes.subarray(from, at))) this.fail(path, 'a string is not valid UTF-8');
    this.position = at + 1;
    return escaped;
  }

  /** Takes the number at the position and returns its text. */
  number(path: string): string {
    const from = this.position;
    this.skipNumber(path);
    return this.bytes.toString('latin1', from, this.position);
  }

  skipNumber(path: string): void {
    const from = this.position;
    if (this.byteAt(from) === minus) this.position++;
    if (this.byteAt(this.position) === 48) this.position++;
    else this.digits(from, path);
    if (this.byteAt(this.position) === 46) {
      this.position++;
      this.digits(from, path);
    }
    if ((this.byteAt(this.position) | 32) === 101) {
      this.position++;
      const sign = this.byteAt(this.position);
      if (sign === 43 || sign === minus) this.position++;
      this.digits(from, path);
    }
    if (continuesNumber(this.byteAt(this.position))) this.notANumber(from, path);
  }

  private digits(number: number, path: string): void {
    const from = this.position;
    while (isDigit(this.byteAt(this.position))) this.position++;
    if (this.position === from) this.notANumber(number, path);
  }

  private notANumber(from: number, path: string): never {
    this.position = from;
    this.unexpected(path, 'a value');
  }

  private byteAt(at: number): number {
    return at < this.end ? this.bytes[at]! : 0;
  }

  /** @throws {DecodeError} that names a byte of the record. */
  fail(path: string, problem: string, at: number = this.position): never {
    throw new DecodeError(path, `not JSON: ${problem} (byte ${at - this.start})`);
  }

  /** @throws {DecodeError} because something else than `expected` is at the position. */
  unexpected(path: string, expected: string): never {
    this.fail(path, `expected ${expected}, found ${this.sample(this.position)}`);
  }

  /** @throws {DecodeError} because the JSON value at `at` does not fit its column. */
  mismatch(path: string, expected: string, at: number, why = ''): never {
    throw new DecodeError(path, `expected ${expected}, found ${this.sample(at)}${why && `: ${why}`}`);
  }

  /** What stands at `at`, short enough for a message. */
  private sample(at: number): string {
    if (at >= this.end) return 'the end of the record';
    const byte = this.bytes[at]!;
    if (byte === openBrace) return 'an object';
    if (byte === openBracket) return 'an array';
    const text = this.bytes.toString('utf8', at, Math.min(this.end, at + 4 * sampleLength));
    const token = /^(?:"(?:[^"\\]|\\.)*"?|[^\s,:\]}]+|.)/s.exec(text)![0];
    const shown = token.length > sampleLength ? `${token.slice(0, sampleLength)}...` : token;
    return shown.replace(/[\x00-\x1f\x7f]/g, (c) => hexByte(c.charCodeAt(0)));
  }
}

/**
 * Marks the bytes of a word that are a quote, a backslash, a control character or beyond ASCII; 0 when none is. Only the
 * lowest mark is right for sure, for the subtractions borrow.
 */
export function specialIn(word: number): number {
  const quotes = word ^ 0x22222222;
  const slashes = word ^ 0x5c5c5c5c;
  return (
    (((quotes - 0x01010101) & ~quotes) |
      ((slashes - 0x01010101) & ~slashes) |
      ((word - 0x20202020) & ~word) |
      word) &
    0x80808080
  );
}

/** Which byte the lowest mark is at. */
export function firstByte(marks: number): number {
  return (31 - Math.clz32(marks & -marks)) >> 3;
}

/**
 * The position of the closing quote when all from `from` up to it are plain ASCII characters, else -1. Looks at four bytes
 * at a time.
 */
export function plainEnd(bytes: Buffer, view: DataView, from: number, end: number): number {
  let at = from;
  for (; at + 4 <= end; at += 4) {
    const special = specialIn(view.getInt32(at, true));
    if (special !== 0) {
      at += firstByte(special);
      return bytes[at] === quote ? at : -1;
    }
  }
  for (; at < end; at++) {
    const byte = bytes[at]!;
    if (byte === quote) return at;
    if (byte === backslash || byte < 32 || byte > 127) return -1;
  }
  return -1;
}

function hexByte(byte: number): string {
  return `\\x${byte.toString(16).padStart(2, '0')}`;
}

export function isDigit(byte: number): boolean {
  return (byte - 48) >>> 0 < 10;
}

/** True for the first byte of a JSON number. */
export function startsNumber(byte: number): boolean {
  return byte === minus || isDigit(byte);
}

/** True for a byte that cannot stand right behind a whole number. */
export function continuesNumber(byte: number): boolean {
  return byte === 46 || (byte | 32) === 101 || isDigit(byte);
}
