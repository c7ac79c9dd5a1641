/** The escapes in JSON strings (RFC 8259, section 7). */

const backslash = 92;
const letterU = 117;
const escapeLetters = '"\\/bfnrt';
const escapedBytes = '"\\/\b\f\n\r\t';

/** What the character behind a backslash stands for; 0 for a character that must not be there. */
const shortEscapes = new Uint8Array(256);
for (let i = 0; i < escapeLetters.length; i++)
  shortEscapes[escapeLetters.charCodeAt(i)] = escapedBytes.charCodeAt(i);

/** The value of a hexadecimal digit by its byte; 255 for other bytes. */
export const hexValues: Uint8Array = new Uint8Array(256).fill(255);
for (let i = 0; i < 16; i++) {
  hexValues[i.toString(16).charCodeAt(0)] = i;
  hexValues[i.toString(16).toUpperCase().charCodeAt(0)] = i;
}

type Fail = (problem: string) => never;

/** Writes the content of a string, `source[from, to)`, as UTF-8 to the start of `target`; returns its length. */
export function unescapeTo(
  source: Uint8Array,
  from: number,
  to: number,
  target: Uint8Array,
  fail: Fail,
): number {
  let length = 0;
  for (let at = from; at < to; ) {
    if (source[at] !== backslash) {
      target[length++] = source[at++]!;
    } else if (source[at + 1] === letterU) {
      const code = codePoint(source, at, to, fail);
      length = writeUtf8(target, length, code);
      at += code > 0xffff ? 12 : 6;
    } else {
      target[length++] = shortEscape(source[at + 1]!, fail);
      at += 2;
    }
  }
  return length;
}

/** Checks the escapes in `source[from, to)`, but not whether surrogates come in pairs: the grammar does not ask it. */
export function checkEscapes(source: Uint8Array, from: number, to: number, fail: Fail): void {
  for (let at = from; at < to; at++) {
    if (source[at] !== backslash) continue;
    if (source[at + 1] === letterU) hexDigits(source, at, to, fail);
    else shortEscape(source[at + 1]!, fail);
    at++;
  }
}

function shortEscape(letter: number, fail: Fail): number {
  const byte = shortEscapes[letter]!;
  if (byte === 0) fail('a string has an escape that JSON does not know');
  return byte;
}

/** The character of the `\u` escape at `at`, together with the escape behind it when the two are a surrogate pair. */
function codePoint(source: Uint8Array, at: number, to: number, fail: Fail): number {
  const unit = hexDigits(source, at, to, fail);
  if (unit < 0xd800 || unit > 0xdfff) return unit;
  if (unit < 0xdc00 && at + 7 < to && source[at + 6] === backslash && source[at + 7] === letterU) {
    const second = hexDigits(source, at + 6, to, fail);
    if (second >= 0xdc00 && second <= 0xdfff) return 0x10000 + ((unit - 0xd800) << 10) + (second - 0xdc00);
  }
  return fail(`a string has half of a surrogate pair (\\u${unit.toString(16)})`);
}

function hexDigits(source: Uint8Array, at: number, to: number, fail: Fail): number {
  let value = 0;
  for (let i = at + 2; i < at + 6; i++) {
    const digit = i < to ? hexValues[source[i]!]! : 255;
    if (digit > 15) fail('a string has \\u without four hexadecimal digits');
    value = value * 16 + digit;
  }
  return value;
}

function writeUtf8(target: Uint8Array, at: number, code: number): number {
  if (code < 0x80) {
    target[at] = code;
    return at + 1;
  }
  if (code < 0x800) {
    target[at] = 0xc0 | (code >> 6);
    return continuation(target, at + 1, code, 0);
  }
  if (code < 0x10000) {
    target[at] = 0xe0 | (code >> 12);
    return continuation(target, at + 1, code, 6);
  }
  target[at] = 0xf0 | (code >> 18);
  return continuation(target, at + 1, code, 12);
}

/** Writes the continuation bytes for the bits of `code` from `shift` + 5 down. */
function continuation(target: Uint8Array, at: number, code: number, shift: number): number {
  let to = at;
  for (let bits = shift; bits >= 0; bits -= 6) target[to++] = 0x80 | ((code >> bits) & 0x3f);
  return to;
}
