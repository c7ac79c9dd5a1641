import type { Int32Column, Int64Column } from '../arrow/columns.ts';
import { integerIn, type NumberReader, scaledInteger } from './json-numbers.ts';
import type { Epoch, Read, ReaderContext } from './json-reader.ts';
import { type JsonScanner, quote, startsNumber } from './json-scanner.ts';
import { TimeReader } from './json-time.ts';

const dayMicros = 86_400_000_000;
const minuteMicros = 60_000_000;

/** The power of ten that turns a unit into microseconds. */
const microScales: Record<Epoch, number> = { s: 6, ms: 3, us: 0, ns: -3 };

/** Around the epoch, days in microseconds are exact as doubles (until the year 2243). */
const nearDays = 100_000;

/** Readers for date columns: `"2024-03-01"`, or days since the epoch. */
export function dateReader(c: ReaderContext, column: Int32Column, path: string, expected: string): Read {
  const { s, numbers } = c;
  const time = new TimeReader();
  return () => {
    const at = s.position;
    if (s.bytes[at] === quote) {
      s.string(path);
      const problem = time.date(s.text, s.textStart, s.textEnd);
      if (problem) s.mismatch(path, expected, at, problem);
      column.append(time.days);
    } else if (numbers.integer32()) {
      column.append(numbers.low);
    } else {
      column.append(Number(integerIn(s, path, expected, 32)));
    }
  };
}

/** Readers for time columns: `"22:31:08.5"`, or a number of `unit` since midnight. */
export function timeReader(
  c: ReaderContext,
  column: Int64Column,
  path: string,
  expected: string,
  unit: Epoch,
): Read {
  const { s, numbers } = c;
  const time = new TimeReader();
  const factor = factorOf(unit);
  return () => {
    const at = s.position;
    if (s.bytes[at] === quote) {
      s.string(path);
      const problem = time.time(s.text, s.textStart, s.textEnd);
      if (problem) s.mismatch(path, expected, at, problem);
      column.appendNumber(time.micros);
      return;
    }
    let micros = quickMicros(s, numbers, factor);
    if (Number.isNaN(micros)) micros = Number(exactMicros(s, path, expected, unit));
    if (micros < 0 || micros >= dayMicros) s.mismatch(path, expected, at, 'not within a day');
    column.appendNumber(micros);
  };
}

/** Readers for timestamp columns: `"2017-11-16T22:31:08.5"`, or a number of `unit` since the epoch. */
export function momentReader(
  c: ReaderContext,
  kind: 'timestamp' | 'timestamptz',
  column: Int64Column,
  path: string,
  expected: string,
  unit: Epoch,
): Read {
  const { s, numbers } = c;
  const time = new TimeReader();
  const factor = factorOf(unit);
  return () => {
    if (s.bytes[s.position] === quote) {
      appendText(s, time, kind, column, path, expected);
      return;
    }
    const micros = quickMicros(s, numbers, factor);
    if (Number.isNaN(micros)) column.appendBigInt(exactMicros(s, path, expected, unit));
    else column.appendNumber(micros);
  };
}

/** Microseconds in a unit; 0 for nanoseconds, which always take the exact way: today's are beyond a double's integers. */
export function factorOf(unit: Epoch): number {
  return unit === 'ns' ? 0 : 10 ** microScales[unit];
}

/** The microseconds of the integer at the position; NaN, with nothing taken, unless they are exact as a double. */
function quickMicros(s: JsonScanner, numbers: NumberReader, factor: number): number {
  const from = s.position;
  if (factor !== 0 && numbers.integer()) {
    const micros = (numbers.high * 0x100000000 + (numbers.low >>> 0)) * factor;
    if (Math.abs(micros) <= Number.MAX_SAFE_INTEGER) return micros;
    s.position = from;
  }
  return Number.NaN;
}

/** The microseconds that the number at the position stands for. */
function exactMicros(s: JsonScanner, path: string, expected: string, unit: Epoch): bigint {
  const at = s.position;
  if (!startsNumber(s.bytes[at]!)) s.mismatch(path, expected, at);
  const text = s.number(path);
  // Of the units, only seconds are customarily written with a fraction.
  if (unit !== 's' && scaledInteger(text, 0) === 'fraction')
    s.mismatch(path, expected, at, `not a whole number of ${unit}`);
  const micros = scaledInteger(text, microScales[unit]);
  if (micros === 'fraction') s.mismatch(path, expected, at, 'finer than a microsecond');
  if (micros === 'range' || BigInt.asIntN(64, micros) !== micros)
    s.mismatch(path, expected, at, 'out of range');
  return micros;
}

function appendText(
  s: JsonScanner,
  time: TimeReader,
  kind: 'timestamp' | 'timestamptz',
  column: Int64Column,
  path: string,
  expected: string,
): void {
  const at = s.position;
  s.string(path);
  const problem = time.timestamp(s.text, s.textStart, s.textEnd);
  if (problem) s.mismatch(path, expected, at, problem);
  if (kind === 'timestamp' && time.zone !== undefined)
    s.mismatch(path, expected, at, 'it has a zone: use timestamptz');
  const ofDay = time.micros - (time.zone ?? 0) * minuteMicros;
  if (Math.abs(time.days) < nearDays) {
    column.appendNumber(time.days * dayMicros + ofDay);
    return;
  }
  const micros = BigInt(time.days) * BigInt(dayMicros) + BigInt(ofDay);
  if (BigInt.asIntN(64, micros) !== micros) s.mismatch(path, expected, at, 'out of range');
  column.appendBigInt(micros);
}
