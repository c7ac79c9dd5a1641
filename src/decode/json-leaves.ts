import type {
  BooleanColumn,
  BytesColumn,
  Column,
  DecimalColumn,
  FixedColumn,
  Float32Column,
  Float64Column,
  Int32Column,
  Int64Column,
} from '../arrow/columns.ts';
import { type PrimitiveType, typeName } from '../iceberg/types.ts';
import { Base64Reader } from './json-base64.ts';
import { hexValues } from './json-escapes.ts';
import { dateReader, momentReader, timeReader } from './json-moments.ts';
import { integerIn, isNumberText, powersOfTen, scaledInteger } from './json-numbers.ts';
import type { Read, ReaderContext } from './json-reader.ts';
import { type JsonScanner, quote, startsNumber } from './json-scanner.ts';

/** The reader of values that are neither objects nor arrays. */
export function leafReader(c: ReaderContext, type: PrimitiveType, column: Column, path: string): Read {
  const expected = expectedText(type);
  switch (type.kind) {
    case 'boolean':
      return booleanReader(c, column as BooleanColumn, path, expected);
    case 'int':
      return intReader(c, column as Int32Column, path, expected);
    case 'long':
      return longReader(c, column as Int64Column, path, expected);
    case 'float':
    case 'double':
      return floatReader(c, column as Float32Column | Float64Column, path, expected);
    case 'decimal':
      return decimalReader(c, type.precision, type.scale, column as DecimalColumn, path, expected);
    case 'string':
      return stringReader(c, column as BytesColumn, path, expected);
    case 'date':
      return dateReader(c, column as Int32Column, path, expected);
    case 'time':
      return timeReader(c, column as Int64Column, path, expected, c.epoch);
    case 'timestamp':
    case 'timestamptz':
      return momentReader(c, type.kind, column as Int64Column, path, expected, c.epoch);
    case 'uuid':
      return uuidReader(c, column as FixedColumn, path, expected);
    case 'binary':
      return binaryReader(c, column as BytesColumn, path, expected);
    case 'fixed':
      return fixedReader(c, column as FixedColumn, path, expected);
  }
}

/** `a long`, `an int`, for messages. */
export function expectedText(type: PrimitiveType): string {
  return `${type.kind === 'int' ? 'an' : 'a'} ${typeName(type)}`;
}

function booleanReader({ s }: ReaderContext, column: BooleanColumn, path: string, expected: string): Read {
  return () => {
    const byte = s.bytes[s.position];
    if (byte !== 116 && byte !== 102) s.mismatch(path, expected, s.position);
    s.literal(byte === 116 ? 'true' : 'false', path);
    column.append(byte === 116);
  };
}

function intReader(c: ReaderContext, column: Int32Column, path: string, expected: string): Read {
  const { numbers } = c;
  return () => {
    if (numbers.integer32()) column.append(numbers.low);
    else column.append(Number(integerIn(c.s, path, expected, 32)));
  };
}

function longReader(c: ReaderContext, column: Int64Column, path: string, expected: string): Read {
  const { numbers } = c;
  return () => {
    if (numbers.integer()) column.append(numbers.low, numbers.high);
    else column.appendBigInt(integerIn(c.s, path, expected, 64));
  };
}

function floatReader(
  c: ReaderContext,
  column: Float32Column | Float64Column,
  path: string,
  expected: string,
): Read {
  const { s, numbers } = c;
  const rounded = column.kind === 'float32' ? Math.fround : (value: number): number => value;
  return () => {
    // Both operands are exact, so that the quotient is the double nearest to the decimal.
    if (numbers.decimal()) column.append(numbers.mantissa / powersOfTen[numbers.fractionDigits]!);
    else if (s.bytes[s.position] === quote) column.append(namedFloat(s, path, expected));
    else column.append(exactFloat(s, path, expected, rounded));
  };
}

function exactFloat(
  s: JsonScanner,
  path: string,
  expected: string,
  rounded: (value: number) => number,
): number {
  const at = s.position;
  if (!startsNumber(s.bytes[at]!)) s.mismatch(path, expected, at);
  const value = Number(s.number(path));
  if (!Number.isFinite(rounded(value))) s.mismatch(path, expected, at, 'out of range');
  return value;
}

/** The values that JSON numbers cannot express. */
function namedFloat(s: JsonScanner, path: string, expected: string): number {
  const at = s.position;
  s.string(path);
  switch (s.content()) {
    case 'NaN':
      return Number.NaN;
    case 'Infinity':
      return Number.POSITIVE_INFINITY;
    case '-Infinity':
      return Number.NEGATIVE_INFINITY;
    default:
      return s.mismatch(path, expected, at);
  }
}

function decimalReader(
  { s, numbers }: ReaderContext,
  precision: number,
  scale: number,
  column: DecimalColumn,
  path: string,
  expected: string,
): Read {
  const limit = Math.min(10 ** precision, Number.MAX_SAFE_INTEGER);
  return () => {
    const from = s.position;
    if (numbers.quotedDecimal()) {
      const shift = scale - numbers.fractionDigits;
      const value = shift < 0 || shift > 15 ? Number.NaN : numbers.mantissa * powersOfTen[shift]!;
      if (value < limit && value > -limit) {
        column.append(value | 0, Math.floor(value / 0x100000000));
        return;
      }
      s.position = from;
    }
    const value = exactDecimal(s, scale, path, expected);
    appendUnscaled(s, column, value, precision, path, expected, from);
  };
}

/** The number at the position, in quotes or not, times `10^scale`. */
function exactDecimal(s: JsonScanner, scale: number, path: string, expected: string): bigint | 'range' {
  const at = s.position;
  const value = scaledInteger(numberText(s, path, expected), scale);
  if (value === 'fraction') return s.mismatch(path, expected, at, `more than ${scale} fraction digits`);
  return value;
}

/** Appends a decimal's unscaled value, if it has no more digits than the column allows. */
export function appendUnscaled(
  s: JsonScanner,
  column: DecimalColumn,
  value: bigint | 'range',
  precision: number,
  path: string,
  expected: string,
  at: number,
): void {
  const limit = 10n ** BigInt(precision);
  if (value === 'range' || value >= limit || value <= -limit)
    s.mismatch(path, expected, at, `more than ${precision} digits`);
  column.appendBigInt(value);
}

/** The text of a number that may be in quotes. */
function numberText(s: JsonScanner, path: string, expected: string): string {
  const at = s.position;
  if (s.bytes[at] !== quote) {
    if (!startsNumber(s.bytes[at]!)) s.mismatch(path, expected, at);
    return s.number(path);
  }
  s.string(path);
  const text = s.content();
  if (!isNumberText(text)) s.mismatch(path, expected, at);
  return text;
}

function stringReader({ s }: ReaderContext, column: BytesColumn, path: string, expected: string): Read {
  return () => {
    if (s.bytes[s.position] !== quote) s.mismatch(path, expected, s.position);
    s.string(path);
    column.append(s.text, s.textStart, s.textEnd);
  };
}

function uuidReader({ s }: ReaderContext, column: FixedColumn, path: string, expected: string): Read {
  const bytes = new Uint8Array(16);
  return () => {
    const at = s.position;
    if (s.bytes[at] !== quote) s.mismatch(path, expected, at);
    s.string(path);
    if (!parseUuid(s.text, s.textStart, s.textEnd, bytes)) s.mismatch(path, expected, at);
    column.append(bytes, 0);
  };
}

/** Reads `8-4-4-4-12` hexadecimal digits. */
function parseUuid(text: Uint8Array, start: number, end: number, target: Uint8Array): boolean {
  if (end - start !== 36) return false;
  let at = start;
  for (let i = 0; i < 16; i++) {
    if ((i === 4 || i === 6 || i === 8 || i === 10) && text[at++] !== 45) return false;
    const high = hexValues[text[at++]!]!;
    const low = hexValues[text[at++]!]!;
    if (high > 15 || low > 15) return false;
    target[i] = (high << 4) | low;
  }
  return true;
}

function binaryReader(c: ReaderContext, column: BytesColumn, path: string, expected: string): Read {
  const base64 = new Base64Reader();
  return () => {
    readBase64(c.s, base64, path, expected);
    column.append(base64.bytes, 0, base64.length);
  };
}

function fixedReader({ s }: ReaderContext, column: FixedColumn, path: string, expected: string): Read {
  const base64 = new Base64Reader();
  return () => {
    const at = s.position;
    readBase64(s, base64, path, expected);
    if (base64.length !== column.width) s.mismatch(path, expected, at, `it has ${base64.length} bytes`);
    column.append(base64.bytes, 0);
  };
}

/** Decodes the string at the position. */
export function readBase64(s: JsonScanner, base64: Base64Reader, path: string, expected: string): void {
  const at = s.position;
  if (s.bytes[at] !== quote) s.mismatch(path, expected, at);
  s.string(path);
  const problem = base64.read(s.text, s.textStart, s.textEnd);
  if (problem) s.mismatch(path, expected, at, problem);
}
