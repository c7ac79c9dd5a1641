/**
 * Base64 (RFC 4648), the standard or the URL-safe alphabet, padding optional. Node's own decoder passes over whatever
 * it does not know, so that damaged values would land as other values.
 */

const standardOnly = 64;
const urlSafeOnly = 128;

/** By byte: the six bits, with a mark when only one of the alphabets has the character; 255 is in neither. */
const sextets = new Uint8Array(256).fill(255);
const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789';
for (let i = 0; i < alphabet.length; i++) sextets[alphabet.charCodeAt(i)] = i;
sextets['+'.charCodeAt(0)] = 62 | standardOnly;
sextets['/'.charCodeAt(0)] = 63 | standardOnly;
sextets['-'.charCodeAt(0)] = 62 | urlSafeOnly;
sextets['_'.charCodeAt(0)] = 63 | urlSafeOnly;

/** Decodes base64 text into {@link Base64Reader.bytes}. */
export class Base64Reader {
  bytes: Uint8Array = new Uint8Array(64);
  length = 0;

  /** Decodes `text[start, end)`. Returns what is wrong with it, or nothing. */
  read(text: Uint8Array, start: number, end: number): string | undefined {
    const stop = withoutPadding(text, start, end);
    const rest = (stop - start) & 3;
    if (stop !== end && ((end - start) & 3) !== 0) return 'base64 has the wrong padding';
    if (rest === 1) return 'base64 is cut off';
    const needed = ((stop - start) * 3) >> 2;
    if (this.bytes.length < needed) this.bytes = new Uint8Array(needed * 2);
    const out = this.bytes;
    let length = 0;
    let marks = 0;
    let bits = 0;
    for (let at = start; at < stop; at++) {
      const sextet = sextets[text[at]!]!;
      if (sextet === 255) return 'not base64';
      marks |= sextet;
      bits = ((bits << 6) | (sextet & 63)) & 0xffffff;
      // After n characters of a group of four, n - 1 bytes are whole.
      const group = (at - start) & 3;
      if (group !== 0) out[length++] = bits >> (6 - 2 * group);
    }
    if ((marks & (standardOnly | urlSafeOnly)) === (standardOnly | urlSafeOnly))
      return 'base64 of two alphabets';
    if ((rest === 2 && (bits & 15) !== 0) || (rest === 3 && (bits & 3) !== 0))
      return 'base64 has bits behind its last byte';
    this.length = length;
    return undefined;
  }
}

/** Where the characters end and at most two `=` begin. */
function withoutPadding(text: Uint8Array, start: number, end: number): number {
  let stop = end;
  while (stop > start && end - stop < 2 && text[stop - 1] === 61) stop--;
  return stop;
}
