import { isDigit } from './json-scanner.ts';

const secondMicros = 1_000_000;
const monthDays = [31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
/** Fraction digits that count, and those that may be written. */
const microDigits = 6;
const mostFractionDigits = 9;

const plus = 43;
const minus = 45;
const point = 46;
const colon = 58;

/**
 * Reads dates and times in ISO 8601's text form. Each method returns what is wrong with the text, or nothing, and then
 * the fields hold the value.
 */
export class TimeReader {
  /** Days since the epoch. */
  days = 0;
  /** Microseconds of the day. */
  micros = 0;
  /** Minutes east of UTC; undefined when the text names no zone. */
  zone: number | undefined;
  private text: Uint8Array = new Uint8Array(0);
  private at = 0;
  private end = 0;

  date(text: Uint8Array, start: number, end: number): string | undefined {
    this.open(text, start, end);
    return this.readDate() ?? this.readEnd();
  }

  time(text: Uint8Array, start: number, end: number): string | undefined {
    this.open(text, start, end);
    return this.readTime(true) ?? this.readEnd();
  }

  timestamp(text: Uint8Array, start: number, end: number): string | undefined {
    this.open(text, start, end);
    return (
      this.readDate() ?? this.readSeparator() ?? this.readTime(false) ?? this.readZone() ?? this.readEnd()
    );
  }

  private open(text: Uint8Array, start: number, end: number): void {
    this.text = text;
    this.at = start;
    this.end = end;
  }

  /** `YYYY-MM-DD`; with a sign, the year may have up to six digits. */
  private readDate(): string | undefined {
    const sign = this.peek();
    const signed = sign === plus || sign === minus;
    if (signed) this.at++;
    const from = this.at;
    while (this.at - from < 6 && isDigit(this.peek())) this.at++;
    const yearDigits = this.at - from;
    if (yearDigits < 4 || (yearDigits > 4 && !signed)) return 'a date is YYYY-MM-DD';
    this.at = from;
    const year = this.digits(yearDigits) * (sign === minus ? -1 : 1);
    const month = this.take(minus) ? this.digits(2) : -1;
    const day = this.take(minus) ? this.digits(2) : -1;
    if (month < 0 || day < 0) return 'a date is YYYY-MM-DD';
    if (month < 1 || month > 12 || day < 1 || day > monthDays[month - 1]!) return 'no such day';
    if (month === 2 && day === 29 && !isLeap(year)) return 'no such day';
    this.days = daysFromCivil(year, month, day);
    return undefined;
  }

  private readSeparator(): string | undefined {
    return this.take(84) || this.take(32) ? undefined : 'a timestamp is YYYY-MM-DDTHH:MM:SS';
  }

  /** `HH:MM:SS[.fraction]`; the seconds may be left out unless `needSeconds`. */
  private readTime(needSeconds: boolean): string | undefined {
    const hour = this.digits(2);
    const minute = this.take(colon) ? this.digits(2) : -1;
    const hasSeconds = this.take(colon);
    const second = hasSeconds ? this.digits(2) : needSeconds ? -1 : 0;
    if (hour < 0 || minute < 0 || second < 0) return 'a time is HH:MM:SS';
    if (hour > 23 || minute > 59 || second > 59) return 'no such time of day';
    this.micros = (hour * 3600 + minute * 60 + second) * secondMicros;
    return hasSeconds && this.take(point) ? this.readFraction() : undefined;
  }

  private readFraction(): string | undefined {
    const from = this.at;
    let micros = 0;
    for (; isDigit(this.peek()); this.at++) {
      const digit = this.text[this.at]! - 48;
      if (this.at - from < microDigits) micros = micros * 10 + digit;
      else if (digit !== 0) return 'finer than a microsecond';
    }
    const digits = this.at - from;
    if (digits === 0) return 'no digits behind the point';
    if (digits > mostFractionDigits) return `more than ${mostFractionDigits} fraction digits`;
    for (let i = digits; i < microDigits; i++) micros *= 10;
    this.micros += micros;
    return undefined;
  }

  /** `Z`, `+HH:MM`, `+HHMM`, `+HH` or nothing. */
  private readZone(): string | undefined {
    this.zone = undefined;
    if (this.at === this.end) return undefined;
    if (this.take(90)) {
      this.zone = 0;
      return undefined;
    }
    const sign = this.peek();
    if (sign !== plus && sign !== minus) return undefined;
    this.at++;
    const hours = this.digits(2);
    const minutes = this.take(colon) || this.at < this.end ? this.digits(2) : 0;
    if (hours < 0 || minutes < 0) return 'a zone is Z or +HH:MM';
    if (hours > 23 || minutes > 59) return 'no such zone';
    this.zone = (hours * 60 + minutes) * (sign === minus ? -1 : 1);
    return undefined;
  }

  private readEnd(): string | undefined {
    return this.at === this.end ? undefined : 'something follows it';
  }

  /** The next byte; 0 at the end. */
  private peek(): number {
    return this.at < this.end ? this.text[this.at]! : 0;
  }

  private take(byte: number): boolean {
    if (this.peek() !== byte) return false;
    this.at++;
    return true;
  }

  /** The number that the next `count` digits make; -1 when one of them is no digit. */
  private digits(count: number): number {
    let value = 0;
    for (let i = 0; i < count; i++) {
      const digit = this.peek() - 48;
      if (digit < 0 || digit > 9) return -1;
      value = value * 10 + digit;
      this.at++;
    }
    return value;
  }
}

function isLeap(year: number): boolean {
  return (year % 4 === 0 && year % 100 !== 0) || year % 400 === 0;
}

/** Days since 1970-01-01 in the proleptic Gregorian calendar. Years start in March here, so that leap days come last. */
function daysFromCivil(year: number, month: number, day: number): number {
  const y = month > 2 ? year : year - 1;
  const era = Math.floor(y / 400);
  const yearOfEra = y - era * 400;
  const dayOfYear = Math.floor((153 * (month > 2 ? month - 3 : month + 9) + 2) / 5) + day - 1;
  return (
    era * 146_097 +
    yearOfEra * 365 +
    Math.floor(yearOfEra / 4) -
    Math.floor(yearOfEra / 100) +
    dayOfYear -
    719_468
  );
}
