import { continuesNumber, type JsonScanner, minus, quote, startsNumber } from './json-scanner.ts';

/** Powers of ten that doubles hold exactly. */
export const powersOfTen: Float64Array = Float64Array.from({ length: 23 }, (_, i) => Number(`1e${i}`));

/**
 * Reads the usual numbers of a scanner's text, fast and without a double's rounding. What it does not read, it leaves
 * where it is: the number's text then goes through {@link scaledInteger}.
 */
export class NumberReader {
  /** The halves of the last integer. */
  low = 0;
  high = 0;
  /** All digits of the last decimal as an integer. Starts as a fraction: the engine then keeps it as a double. */
  mantissa = 0.5;
  /** How many of them stand behind the point. */
  fractionDigits = 0;
  private readonly s: JsonScanner;

  constructor(scanner: JsonScanner) {
    this.s = scanner;
  }

  /** Takes an integer of 64 bits into {@link low} and {@link high}, in quotes or not. */
  integer(): boolean {
    const s = this.s;
    const from = s.position;
    if (s.bytes[from] !== quote) return this.bareInteger(from);
    if (this.bareInteger(from + 1) && this.closesQuote()) return true;
    s.position = from;
    return false;
  }

  /** Like {@link integer}, for 32 bits: {@link low} is the value. */
  integer32(): boolean {
    const from = this.s.position;
    if (!this.integer()) return false;
    if (this.high === this.low >> 31) return true;
    this.s.position = from;
    return false;
  }

  private bareInteger(from: number): boolean {
    const { bytes, end } = this.s;
    const negative = from < end && bytes[from] === minus;
    const digits = negative ? from + 1 : from;
    const headEnd = Math.min(digits + 9, end);
    let at = digits;
    let head = 0;
    for (let digit: number; at < headEnd && (digit = bytes[at]! - 48) >>> 0 < 10; at++)
      head = (head * 10 + digit) | 0;
    if (at === digits || (at > digits + 1 && bytes[digits] === 48)) return false;
    this.low = head;
    this.high = 0;
    if (at === digits + 9) at = this.tail(at, head);
    if (at < 0 || (at < end && continuesNumber(bytes[at]!))) return false;
    if (negative ? !this.negate() : this.high < 0) return false;
    this.s.position = at;
    return true;
  }

  /**
   * Reads the up to ten digits behind the nine of `head`: the value is `head * 10^n + tail`. That product takes 64 bits,
   * so the upper bits of `head` and the lower 15 are multiplied apart, where doubles are exact.
   */
  private tail(from: number, head: number): number {
    const { bytes, end } = this.s;
    const tailEnd = Math.min(from + 10, end);
    let at = from;
    let tail = 0;
    for (let digit: number; at < tailEnd && (digit = bytes[at]! - 48) >>> 0 < 10; at++)
      tail = tail * 10 + digit;
    const power = powersOfTen[at - from]!;
    const upper = (head >> 15) * power;
    const upperHigh = Math.floor(upper / 0x20000);
    const lower = (upper - upperHigh * 0x20000) * 0x8000 + (head & 0x7fff) * power + tail;
    const high = upperHigh + Math.floor(lower / 0x100000000);
    if (high > 0x80000000) return -1;
    this.low = lower | 0;
    // 2^63 turns negative here: only its negation may stay.
    this.high = high | 0;
    return at;
  }

  /** Changes the sign of the integer just read. False when it was above 2^63. */
  private negate(): boolean {
    if (this.high < 0 && this.low !== 0) return false;
    this.high = this.low === 0 ? -this.high | 0 : ~this.high;
    this.low = -this.low | 0;
    return true;
  }

  /** Takes a number of at most 15 digits without exponent into {@link mantissa} and {@link fractionDigits}. */
  decimal(): boolean {
    return this.bareDecimal(this.s.position);
  }

  /** Like {@link decimal}, for a number that may be in quotes. */
  quotedDecimal(): boolean {
    const s = this.s;
    const from = s.position;
    if (s.bytes[from] !== quote) return this.bareDecimal(from);
    if (this.bareDecimal(from + 1) && this.closesQuote()) return true;
    s.position = from;
    return false;
  }

  private bareDecimal(from: number): boolean {
    const { bytes, end } = this.s;
    const negative = from < end && bytes[from] === minus;
    const digits = negative ? from + 1 : from;
    // 15 digits and a point.
    const limit = Math.min(digits + 16, end);
    let at = digits;
    let value = 0;
    let fraction = 0;
    for (let digit: number; at < limit && (digit = bytes[at]! - 48) >>> 0 < 10; at++)
      value = value * 10 + digit;
    if (at === digits || (at > digits + 1 && bytes[digits] === 48)) return false;
    if (at < limit && bytes[at] === 46) {
      const point = at++;
      for (let digit: number; at < limit && (digit = bytes[at]! - 48) >>> 0 < 10; at++)
        value = value * 10 + digit;
      fraction = at - point - 1;
      if (fraction === 0) return false;
    }
    if (value > 999_999_999_999_999 || (at < end && continuesNumber(bytes[at]!))) return false;
    this.mantissa = negative ? -value : value;
    this.fractionDigits = fraction;
    this.s.position = at;
    return true;
  }

  private closesQuote(): boolean {
    const s = this.s;
    if (s.position >= s.end || s.bytes[s.position] !== quote) return false;
    s.position++;
    return true;
  }
}

/** More digits than any column holds; numbers beyond are not computed, however large their exponent. */
const digitLimit = 60;

/**
 * The exact value of a JSON number's text times `10^scale`; `fraction` when that is no integer, `range` when it is far
 * beyond what any column holds.
 */
export function scaledInteger(text: string, scale: number): bigint | 'fraction' | 'range' {
  const parts = /^(-?)(\d+)(?:\.(\d+))?(?:[eE]([+-]?\d+))?$/.exec(text)!;
  const fraction = parts[3] ?? '';
  const digits = parts[2]! + fraction;
  let from = 0;
  while (from < digits.length && digits[from] === '0') from++;
  if (from === digits.length) return 0n;
  // Trailing zeros only shift the point. A loop, for a regular expression would take quadratic time.
  let to = digits.length;
  while (digits[to - 1] === '0') to--;
  const power = Number(parts[4] ?? 0) - fraction.length + scale + (digits.length - to);
  if (power < 0) return 'fraction';
  if (to - from + power > digitLimit) return 'range';
  const value = BigInt(digits.slice(from, to)) * 10n ** BigInt(power);
  return parts[1] === '-' ? -value : value;
}

/**
 * Takes any integer of `bits` bits at the position, exact: `1.0`, `1e3` and a plain integer in quotes are fine.
 * @throws {DecodeError} for anything else.
 */
export function integerIn(s: JsonScanner, path: string, expected: string, bits: 32 | 64): bigint {
  const at = s.position;
  const value = scaledInteger(integerText(s, path, expected), 0);
  if (value === 'fraction') s.mismatch(path, expected, at, 'not a whole number');
  if (value === 'range' || BigInt.asIntN(bits, value) !== value)
    s.mismatch(path, expected, at, `out of the range of ${bits} bits`);
  return value;
}

function integerText(s: JsonScanner, path: string, expected: string): string {
  const at = s.position;
  if (s.bytes[at] !== quote) {
    if (!startsNumber(s.bytes[at]!)) s.mismatch(path, expected, at);
    return s.number(path);
  }
  s.string(path);
  const text = s.content();
  if (!/^-?(0|[1-9]\d*)$/.test(text)) s.mismatch(path, expected, at, 'not a plain integer');
  return text;
}

/** True for the text of a JSON number. */
export function isNumberText(text: string): boolean {
  return /^-?(0|[1-9]\d*)(\.\d+)?([eE][+-]?\d+)?$/.test(text);
}
