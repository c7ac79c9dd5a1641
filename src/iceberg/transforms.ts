import { FatalError } from '../base/errors.ts';
import { type PrimitiveType, type Type, typeName } from './types.ts';
import { decimalText, isoTime, isoTimestamp } from './value-text.ts';

/**
 * One value of a partition tuple. Integers, dates and times as number or bigint, decimals as unscaled bigint,
 * uuid, fixed and binary as bytes.
 */
export type PartitionValue = null | boolean | number | bigint | string | Uint8Array;

/** How a column's value becomes a partition value (spec "Partition Transforms"). */
export type Transform =
  | { kind: 'identity' | 'year' | 'month' | 'day' | 'hour' | 'void' }
  | { kind: 'bucket' | 'truncate'; width: number };

const plainKinds = ['identity', 'year', 'month', 'day', 'hour', 'void'] as const;
const widthMax = 0x7fffffff;

/**
 * Parses a transform as specs have it: `day`, `bucket[16]`. Case does not matter, as in Java.
 * @throws {FatalError} for one that format version 2 does not have.
 */
export function parseTransform(text: string): Transform {
  const [, name, digits] = /^(\w+)(?:\[(\d+)\])?$/.exec(text.toLowerCase()) ?? [];
  const plain = plainKinds.find((kind) => kind === name);
  if (plain && digits === undefined) return { kind: plain };
  if ((name === 'bucket' || name === 'truncate') && digits !== undefined) {
    const width = Number(digits);
    if (width >= 1 && width <= widthMax) return { kind: name, width };
    throw new FatalError(`transform ${text}: the number must be between 1 and ${widthMax}`);
  }
  throw new FatalError(`transform ${text} is not known to Iceberg format version 2`);
}

/** The inverse of {@link parseTransform}. */
export function formatTransform(transform: Transform): string {
  return 'width' in transform ? `${transform.kind}[${transform.width}]` : transform.kind;
}

/** Types that a transform takes besides identity and void, which take every primitive type. */
const sources: Record<Exclude<Transform['kind'], 'identity' | 'void'>, readonly Type['kind'][]> = {
  bucket: [
    ...(['int', 'long', 'decimal', 'date', 'time', 'timestamp', 'timestamptz'] as const),
    ...(['string', 'uuid', 'fixed', 'binary'] as const),
  ],
  truncate: ['int', 'long', 'decimal', 'string', 'binary'],
  year: ['date', 'timestamp', 'timestamptz'],
  month: ['date', 'timestamp', 'timestamptz'],
  day: ['date', 'timestamp', 'timestamptz'],
  hour: ['timestamp', 'timestamptz'],
};

/**
 * The type of what a transform makes of a column.
 * @throws {FatalError} when it does not take that type.
 */
export function resultType(transform: Transform, source: PrimitiveType): PrimitiveType {
  const { kind } = transform;
  if (kind === 'identity') {
    // Java's library reads and writes fixed values in manifests as if they were bytes: it cannot read a table divided by
    // them when the manifests are as the specification has them, nor can others read Java's.
    if (source.kind === 'fixed') throw new FatalError(`a ${typeName(source)} cannot be a partition value`);
    return source;
  }
  if (kind === 'void') return source;
  if (!sources[kind].includes(source.kind))
    throw new FatalError(
      `${kind} takes ${listed(sources[kind])}, and the column is ${/^[aeiou]/.test(source.kind) ? 'an' : 'a'} ${typeName(source)}`,
    );
  if (kind === 'truncate') return source;
  // The specification has it that days are dates; readers of some languages fail on plain integers.
  return kind === 'day' ? { kind: 'date' } : { kind: 'int' };
}

function listed(words: readonly string[]): string {
  return `${words.slice(0, -1).join(', ')} or ${words.at(-1)}`;
}

/** A partition value as people read it (Java `Transform.toHumanString`). */
export function partitionText(transform: Transform, type: PrimitiveType, value: PartitionValue): string {
  if (value === null || transform.kind === 'void') return 'null';
  switch (transform.kind) {
    case 'year':
      return yearText(1970 + Number(value));
    case 'month':
      return monthText(Number(value));
    case 'hour': {
      const hours = Number(value);
      const days = Math.floor(hours / 24);
      return `${dateText(days)}-${twoDigits(hours - days * 24)}`;
    }
    default:
      return valueText(type, value);
  }
}

function valueText(type: PrimitiveType, value: Exclude<PartitionValue, null>): string {
  switch (type.kind) {
    case 'date':
      return dateText(Number(value));
    case 'time':
      return timeText(BigInt(value as bigint));
    case 'timestamp':
      return timestampText(BigInt(value as bigint));
    case 'timestamptz':
      return `${timestampText(BigInt(value as bigint))}+00:00`;
    case 'decimal':
      return decimalText(BigInt(value as bigint), type.scale);
    case 'uuid': {
      const hex = Buffer.from(value as Uint8Array).toString('hex');
      return hex.replace(/^(.{8})(.{4})(.{4})(.{4})/, '$1-$2-$3-$4-');
    }
    case 'fixed':
    case 'binary':
      return Buffer.from(value as Uint8Array).toString('base64');
    default:
      return String(value);
  }
}

/** Java's `LocalTime.toString`: seconds where there are any, thousandths or millionths. */
function timeText(micros: bigint): string {
  return isoTime(micros).replace(/^(\d+:\d+):00$|000$/, '$1');
}

/** Java's `ISO_LOCAL_DATE_TIME`: no zeros at the end of a fraction. */
function timestampText(micros: bigint): string {
  return isoTimestamp(micros).replace(/(\.\d+?)0+$/, '$1');
}

/** Java's `%04d`, in which a sign takes the place of a digit. */
function yearText(year: number): string {
  return year < 0 ? `-${String(-year).padStart(3, '0')}` : String(year).padStart(4, '0');
}

function monthText(months: number): string {
  const years = Math.floor(months / 12);
  return `${yearText(1970 + years)}-${twoDigits(months - years * 12 + 1)}`;
}

function dateText(days: number): string {
  const months = monthsOfDays(days);
  return `${monthText(months)}-${twoDigits(days - firstDayOf(months) + 1)}`;
}

function twoDigits(n: number): string {
  return String(n).padStart(2, '0');
}

/** Whole months since 1970-01 for days since 1970-01-01. */
export function monthsOfDays(days: number): number {
  // 30.436875 days a month are the calendar's mean: the guess is off by one at most.
  const guess = Math.floor(days / 30.436875);
  if (firstDayOf(guess) > days) return guess - 1;
  return firstDayOf(guess + 1) <= days ? guess + 1 : guess;
}

/** Days from 1970-01-01 to the first day of a month, counted from 1970-01. */
function firstDayOf(months: number): number {
  // A year that begins in March has its leap day at its end.
  const fromMarch = months + 10;
  const years = Math.floor(fromMarch / 12);
  const month = fromMarch - years * 12;
  const year = 1969 + years;
  const leapDays = Math.floor(year / 4) - Math.floor(year / 100) + Math.floor(year / 400);
  return year * 365 + leapDays + Math.floor((153 * month + 2) / 5) - daysBefore1970;
}

/** Of 1970-01-01, in the same count. */
const daysBefore1970 = 719_468;
