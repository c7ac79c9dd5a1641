import type { Column, DecimalColumn, Int64Column } from '../arrow/columns.ts';
import type { PrimitiveType } from '../iceberg/types.ts';
import { DecodeError } from './decoder.ts';
import { Base64Reader } from './json-base64.ts';
import { type ConnectLeaf, connectTypeName } from './json-connect-schema.ts';
import { appendUnscaled, expectedText, leafReader, readBase64 } from './json-leaves.ts';
import { momentReader, timeReader } from './json-moments.ts';
import type { Epoch, Read, ReaderContext } from './json-reader.ts';
import { quote, startsNumber } from './json-scanner.ts';

const decimalName = 'org.apache.kafka.connect.data.Decimal';

/** What integers with these names stand for, and in which unit. */
const times: { [name: string]: { kind: 'date' } | { kind: 'time' | 'moment'; unit: Epoch } | undefined } = {
  'org.apache.kafka.connect.data.Date': { kind: 'date' },
  'org.apache.kafka.connect.data.Time': { kind: 'time', unit: 'ms' },
  'org.apache.kafka.connect.data.Timestamp': { kind: 'moment', unit: 'ms' },
  'io.debezium.time.Date': { kind: 'date' },
  'io.debezium.time.Time': { kind: 'time', unit: 'ms' },
  'io.debezium.time.MicroTime': { kind: 'time', unit: 'us' },
  'io.debezium.time.NanoTime': { kind: 'time', unit: 'ns' },
  'io.debezium.time.Timestamp': { kind: 'moment', unit: 'ms' },
  'io.debezium.time.MicroTimestamp': { kind: 'moment', unit: 'us' },
  'io.debezium.time.NanoTimestamp': { kind: 'moment', unit: 'ns' },
};

/** Columns that numbers without a name go into as they would without a schema. Nothing here rounds. */
const plainTargets: Record<ConnectLeaf['type'], ReadonlySet<PrimitiveType['kind']>> = {
  boolean: new Set(['boolean']),
  int8: new Set(['int', 'long', 'float', 'double', 'decimal']),
  int16: new Set(['int', 'long', 'float', 'double', 'decimal']),
  int32: new Set(['int', 'long', 'double', 'decimal', 'date', 'time', 'timestamp', 'timestamptz']),
  int64: new Set(['int', 'long', 'decimal', 'time', 'timestamp', 'timestamptz']),
  float32: new Set(['float', 'double']),
  float64: new Set(['double']),
  string: new Set(['string', 'uuid', 'int', 'long', 'decimal', 'date', 'time', 'timestamp', 'timestamptz']),
  bytes: new Set(['binary', 'fixed']),
};

/** A number with a name that we do not know may mean anything: it is not taken for a time. */
const timeKinds: ReadonlySet<string> = new Set(['date', 'time', 'timestamp', 'timestamptz']);

/** The reader of a Connect type's values for a column of `type`; undefined when they cannot go there. */
export function connectLeafReader(
  c: ReaderContext,
  schema: ConnectLeaf,
  type: PrimitiveType,
  column: Column,
  path: string,
): Read | undefined {
  if (schema.type === 'bytes' && schema.name === decimalName)
    return type.kind === 'decimal'
      ? decimalReader(c, schema, type, column as DecimalColumn, path)
      : undefined;
  return timesReader(c, schema, type, column, path) ?? plainReader(c, schema, type, column, path);
}

function plainReader(
  c: ReaderContext,
  schema: ConnectLeaf,
  type: PrimitiveType,
  column: Column,
  path: string,
): Read | undefined {
  if (!plainTargets[schema.type].has(type.kind)) return undefined;
  const isInteger = schema.type.startsWith('int');
  if (isInteger && schema.name !== undefined && timeKinds.has(type.kind)) return undefined;
  const read = leafReader(c, type, column, path);
  if (isInteger) return guarded(c, startsNumber, `a Connect ${connectTypeName(schema)}`, path, read);
  if (schema.type === 'string') return guarded(c, isQuote, 'a string', path, read);
  return read;
}

/** Integers that stand for dates and times; any other column gets them as the integers that they are. */
function timesReader(
  c: ReaderContext,
  schema: ConnectLeaf,
  type: PrimitiveType,
  column: Column,
  path: string,
): Read | undefined {
  const meaning =
    schema.type.startsWith('int') && Object.hasOwn(times, schema.name ?? '') && times[schema.name!];
  if (!meaning) return undefined;
  const expected = `a Connect ${connectTypeName(schema)}`;
  let read: Read | undefined;
  if (meaning.kind === 'date' && type.kind === 'date') read = leafReader(c, type, column, path);
  else if (meaning.kind === 'time' && type.kind === 'time')
    read = timeReader(c, column as Int64Column, path, expected, meaning.unit);
  else if (meaning.kind === 'moment' && (type.kind === 'timestamp' || type.kind === 'timestamptz'))
    read = momentReader(c, type.kind, column as Int64Column, path, expected, meaning.unit);
  return read && guarded(c, startsNumber, expected, path, read);
}

/** Lets only values through that start as the Connect type's do: the schema says what they are, not their looks. */
function guarded(
  { s }: ReaderContext,
  accepts: (byte: number) => boolean,
  expected: string,
  path: string,
  read: Read,
): Read {
  return () => {
    if (!accepts(s.bytes[s.position]!)) s.mismatch(path, expected, s.position);
    read();
  };
}

function isQuote(byte: number): boolean {
  return byte === quote;
}

/**
 * Reads Connect's Decimal: the unscaled value's bytes in base64, or a number (`decimal.format=NUMERIC`). A string is
 * always base64: "1250" is valid as such, and no look at it could tell whether digits were meant.
 */
function decimalReader(
  c: ReaderContext,
  schema: ConnectLeaf,
  type: PrimitiveType & { kind: 'decimal' },
  column: DecimalColumn,
  path: string,
): Read {
  const from = schema.scale;
  if (from === undefined) throw new DecodeError(path, 'not a Connect schema: a Decimal without scale');
  const { s } = c;
  const { precision, scale } = type;
  const expected = expectedText(type);
  const readNumber = leafReader(c, type, column, path);
  const base64 = new Base64Reader();
  return () => {
    const at = s.position;
    if (s.bytes[at] !== quote) return readNumber();
    readBase64(s, base64, path, expected);
    if (base64.length === 0) s.mismatch(path, expected, at, 'no bytes');
    const value = rescaled(bigEndian(base64.bytes, base64.length), scale - from);
    if (value === undefined) return s.mismatch(path, expected, at, `more than ${scale} fraction digits`);
    appendUnscaled(s, column, value, precision, path, expected, at);
  };
}

/** The two's complement integer in `bytes[0, length)`. */
function bigEndian(bytes: Uint8Array, length: number): bigint {
  // Up to six bytes are exact as a double, and much cheaper.
  if (length <= 6) {
    let value = (bytes[0]! << 24) >> 24;
    for (let i = 1; i < length; i++) value = value * 256 + bytes[i]!;
    return BigInt(value);
  }
  const hex = Buffer.from(bytes.buffer, bytes.byteOffset, length).toString('hex');
  return BigInt.asIntN(length * 8, BigInt(`0x${hex}`));
}

/** `value * 10^shift`; undefined when that is no integer. */
function rescaled(value: bigint, shift: number): bigint | undefined {
  if (shift >= 0) return value * 10n ** BigInt(shift);
  const divisor = 10n ** BigInt(-shift);
  return value % divisor === 0n ? value / divisor : undefined;
}
