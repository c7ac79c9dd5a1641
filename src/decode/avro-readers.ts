import type {
  BytesColumn,
  Column,
  DecimalColumn,
  FixedColumn,
  Int32Column,
  Int64Column,
  ListColumn,
  MapColumn,
  StructColumn,
} from '../arrow/columns.ts';
import { FatalError } from '../base/errors.ts';
import { decimalFromBytes } from '../iceberg/single-value.ts';
import { type Field, type Type, typeName } from '../iceberg/types.ts';
import { decimalText } from '../iceberg/value-text.ts';
import type { AvroCursor } from './avro-cursor.ts';
import { type AvroType, avroTypeName, optionalOf } from './avro-type.ts';
import { DecodeError } from './decoder.ts';
import { isText } from './utf8.ts';

/**
 * Readers compiled for one pair of writer schema and table columns: a closure per field that reads Avro bytes and
 * appends to its column. No object per record. Resolution follows Avro 1.12 "Schema Resolution" with the table in the
 * place of the reader's schema; `avsc` is the oracle of the tests.
 */
export type AvroReader = (cursor: AvroCursor) => void;

/** Writer fields that the table has no column for: they are read over, and a person should be told. */
export type Unlanded = Set<string>;

/** Reads a whole record into `columns`, one per field. @throws {FatalError} when the schema cannot go into them. */
export function compileRecord(
  writer: AvroType,
  fields: readonly Field[],
  columns: readonly Column[],
  unlanded: Unlanded,
): AvroReader {
  if (writer.kind !== 'record')
    throw new FatalError(`expected a record, the schema is ${avroTypeName(writer)}`);
  return recordReader(writer, fields, columns, '', unlanded);
}

/** Reads a value of any type into one column. */
export function compileValue(writer: AvroType, field: Field, column: Column): AvroReader {
  return fieldReader(writer, field.type, field.required, column, field.name, new Set());
}

/** Steps over a value of a type that no column wants. */
export function compileSkip(writer: AvroType): AvroReader {
  return skipper(writer, '');
}

function recordReader(
  writer: Extract<AvroType, { kind: 'record' }>,
  fields: readonly Field[],
  columns: readonly Column[],
  path: string,
  unlanded: Unlanded,
): AvroReader {
  const at = (name: string): string => (path === '' ? name : `${path}.${name}`);
  // The writer's order decides what is read when.
  const readers = writer.fields.map((member) => {
    const index = fields.findIndex((field) => field.name === member.name);
    if (index === -1) {
      unlanded.add(at(member.name));
      return skipper(member.type, at(member.name));
    }
    const field = fields[index]!;
    return fieldReader(member.type, field.type, field.required, columns[index]!, at(member.name), unlanded);
  });
  for (const [i, field] of fields.entries()) {
    if (writer.fields.some((member) => member.name === field.name)) continue;
    if (field.required)
      throw new FatalError(
        `field ${at(field.name)}: the column is required, the schema ${writer.name} does not have it`,
      );
    const column = columns[i]!;
    readers.push(() => column.appendNull());
  }
  return (cursor) => {
    for (const read of readers) read(cursor);
  };
}

function fieldReader(
  writer: AvroType,
  type: Type,
  required: boolean,
  column: Column,
  path: string,
  unlanded: Unlanded,
): AvroReader {
  if (writer.kind === 'union') return unionReader(writer, type, required, column, path, unlanded);
  if (writer.kind === 'null') {
    if (required) throw new FatalError(`field ${path}: the column is required, the schema says null`);
    return () => column.appendNull();
  }
  return valueReader(writer, type, column, path, unlanded);
}

function unionReader(
  writer: Extract<AvroType, { kind: 'union' }>,
  type: Type,
  required: boolean,
  column: Column,
  path: string,
  unlanded: Unlanded,
): AvroReader {
  const { type: inner, nullBranch } = optionalOf(writer);
  if (inner.kind === 'union')
    throw new FatalError(
      `field ${path}: ${avroTypeName(writer)} is not supported (null with one other type is)`,
    );
  const read = valueReader(inner, type, column, path, unlanded);
  const branches = writer.branches.length;
  return (cursor) => {
    const branch = cursor.readInt(path);
    if (branch < 0 || branch >= branches)
      throw new DecodeError(path, `union branch ${branch} does not exist`);
    if (branch !== nullBranch) return read(cursor);
    if (required) throw new DecodeError(path, 'null in a required column');
    column.appendNull();
  };
}

/** Avro type and column type of one value; what is not listed cannot be resolved. */
function valueReader(
  writer: AvroType,
  type: Type,
  column: Column,
  path: string,
  unlanded: Unlanded,
): AvroReader {
  const reader =
    plainReader(writer, type, column, path) ?? nestedReader(writer, type, column, path, unlanded);
  if (!reader)
    throw new FatalError(
      `field ${path}: ${avroTypeName(writer)} cannot go into a column of type ${typeName(type)}`,
    );
  return reader;
}

function nestedReader(
  writer: AvroType,
  type: Type,
  column: Column,
  path: string,
  unlanded: Unlanded,
): AvroReader | undefined {
  if (writer.kind === 'record' && type.kind === 'struct') {
    const struct = column as StructColumn;
    const read = recordReader(writer, type.fields, struct.children, path, unlanded);
    return (cursor) => {
      read(cursor);
      struct.append();
    };
  }
  if (writer.kind === 'array' && type.kind === 'list') {
    const list = column as ListColumn;
    const inner = `${path}[]`;
    const read = fieldReader(writer.items, type.element, type.elementRequired, list.element, inner, unlanded);
    return (cursor) => {
      readBlocks(cursor, inner, read);
      list.append();
    };
  }
  if (writer.kind === 'map' && type.kind === 'map') {
    const map = column as MapColumn;
    const inner = `${path}{}`;
    const readKey = valueReader({ kind: 'string' }, type.key, map.key, inner, unlanded);
    const readValue = fieldReader(writer.values, type.value, type.valueRequired, map.value, inner, unlanded);
    return (cursor) => {
      readBlocks(cursor, inner, (c) => {
        readKey(c);
        readValue(c);
      });
      map.append();
    };
  }
  return undefined;
}

/** Items that take no bytes (null, empty records) cannot run out of input: their number is bounded instead. */
const emptyItemsMax = 1 << 20;

/** The blocks of an array or map. A negative count is followed by the block's size in bytes. */
function readBlocks(cursor: AvroCursor, path: string, read: AvroReader): void {
  let items = 0;
  for (;;) {
    let count = cursor.readInt(path);
    if (count === 0) return;
    if (count < 0) {
      count = -count;
      cursor.readLong(path);
    }
    items += count;
    const start = cursor.position;
    for (let i = 0; i < count; i++) {
      read(cursor);
      if (cursor.position > cursor.end) throw new DecodeError(path, 'the record ends inside it');
      if (cursor.position === start && items > emptyItemsMax)
        throw new DecodeError(path, `${items} items without content`);
    }
  }
}

function plainReader(writer: AvroType, type: Type, column: Column, path: string): AvroReader | undefined {
  switch (type.kind) {
    case 'boolean':
      return writer.kind === 'boolean' ? booleanReader(column, path) : undefined;
    case 'int':
      return writer.kind === 'int' ? intReader(column as Int32Column, path) : undefined;
    case 'long':
      return integerReader(writer, column as Int64Column, path, 1);
    case 'float':
    case 'double':
      return floatReader(writer, type.kind, column, path);
    case 'date':
      return writer.kind === 'int' && writer.logical === 'date'
        ? intReader(column as Int32Column, path)
        : undefined;
    case 'time':
    case 'timestamp':
    case 'timestamptz': {
      const factor = microsFactor(writer, type.kind);
      return factor === undefined ? undefined : integerReader(writer, column as Int64Column, path, factor);
    }
    case 'string':
    case 'binary':
      return bytesReader(writer, type.kind, column as BytesColumn, path);
    case 'uuid':
    case 'fixed':
      return fixedReader(writer, type.kind, column as FixedColumn, path);
    case 'decimal':
      return decimalReader(writer, type, column as DecimalColumn, path);
    default:
      return undefined;
  }
}

function booleanReader(column: Column, path: string): AvroReader {
  const target = column as Extract<Column, { kind: 'boolean' }>;
  return (cursor) => {
    const byte = cursor.bytes[cursor.take(1, path)]!;
    if (byte > 1) throw new DecodeError(path, `${byte} is not a boolean`);
    target.append(byte === 1);
  };
}

function intReader(column: Int32Column, path: string): AvroReader {
  return (cursor) => column.append(cursor.readInt(path));
}

/** int or long into a 64-bit column, times `factor` (1000 from milliseconds to microseconds). */
function integerReader(
  writer: AvroType,
  column: Int64Column,
  path: string,
  factor: number,
): AvroReader | undefined {
  if (writer.kind === 'int') return (cursor) => column.appendNumber(cursor.readInt(path) * factor);
  if (writer.kind !== 'long') return undefined;
  if (factor === 1) {
    return (cursor) => {
      cursor.readLong(path);
      column.append(cursor.low, cursor.high);
    };
  }
  return (cursor) => {
    cursor.readLong(path);
    const scaled = (cursor.high * 4294967296 + (cursor.low >>> 0)) * factor;
    if (Number.isSafeInteger(scaled)) return column.appendNumber(scaled);
    const exact = ((BigInt(cursor.high) << 32n) | BigInt(cursor.low >>> 0)) * BigInt(factor);
    if (BigInt.asIntN(64, exact) !== exact)
      throw new DecodeError(path, `${exact} microseconds are beyond 64 bits`);
    column.appendBigInt(exact);
  };
}

/** Microseconds per unit of a writer's time, undefined when it is not one that the column can hold. */
function microsFactor(writer: AvroType, kind: 'time' | 'timestamp' | 'timestamptz'): number | undefined {
  if (writer.kind !== 'int' && writer.kind !== 'long') return undefined;
  const units: Record<string, number> =
    kind === 'time'
      ? { 'time-millis': 1000, 'time-micros': 1 }
      : // Instants and local times both count from the epoch: schemas older than Avro 1.10 have only the first.
        {
          'timestamp-millis': 1000,
          'timestamp-micros': 1,
          'local-timestamp-millis': 1000,
          'local-timestamp-micros': 1,
        };
  return units[writer.logical ?? ''];
}

function floatReader(
  writer: AvroType,
  kind: 'float' | 'double',
  column: Column,
  path: string,
): AvroReader | undefined {
  const target = column as Extract<Column, { kind: 'float32' | 'float64' }>;
  switch (writer.kind) {
    case 'float':
      return (cursor) => target.append(cursor.view.getFloat32(cursor.take(4, path), true));
    case 'double':
      return kind === 'double'
        ? (cursor) => target.append(cursor.view.getFloat64(cursor.take(8, path), true))
        : undefined;
    case 'int':
      return (cursor) => target.append(cursor.readInt(path));
    case 'long':
      return (cursor) => {
        cursor.readLong(path);
        target.append(cursor.high * 4294967296 + (cursor.low >>> 0));
      };
    default:
      return undefined;
  }
}

function bytesReader(
  writer: AvroType,
  kind: 'string' | 'binary',
  column: BytesColumn,
  path: string,
): AvroReader | undefined {
  if (writer.kind === 'enum') return kind === 'string' ? enumReader(writer.symbols, column, path) : undefined;
  if (writer.kind === 'fixed') {
    const { size } = writer;
    if (kind !== 'binary') return undefined;
    return (cursor) => {
      const start = cursor.take(size, path);
      column.append(cursor.bytes, start, start + size);
    };
  }
  if (writer.kind !== 'string' && writer.kind !== 'bytes') return undefined;
  const text = kind === 'string';
  return (cursor) => {
    const length = cursor.readInt(path);
    const start = cursor.take(length, path);
    if (text && !isText(cursor.bytes, start, start + length))
      throw new DecodeError(path, 'the string is not UTF-8');
    column.append(cursor.bytes, start, start + length);
  };
}

function enumReader(symbols: readonly string[], column: BytesColumn, path: string): AvroReader {
  const texts = symbols.map((symbol) => Buffer.from(symbol));
  return (cursor) => {
    const index = cursor.readInt(path);
    const text = texts[index];
    if (!text)
      throw new DecodeError(path, `enum symbol ${index} does not exist, there are ${symbols.length}`);
    column.append(text, 0, text.length);
  };
}

function fixedReader(
  writer: AvroType,
  kind: 'uuid' | 'fixed',
  column: FixedColumn,
  path: string,
): AvroReader | undefined {
  if (writer.kind === 'fixed' && writer.size === column.width)
    return (cursor) => column.append(cursor.bytes, cursor.take(column.width, path));
  if (writer.kind === 'string' && kind === 'uuid') return uuidReader(column, path);
  return undefined;
}

const uuidText = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i;

function uuidReader(column: FixedColumn, path: string): AvroReader {
  return (cursor) => {
    const length = cursor.readInt(path);
    const start = cursor.take(length, path);
    const text = cursor.bytes.toString('latin1', start, start + Math.min(length, 64));
    if (!uuidText.test(text) || length !== 36) throw new DecodeError(path, `"${text}" is not a uuid`);
    column.append(Buffer.from(text.replaceAll('-', ''), 'hex'), 0);
  };
}

function decimalReader(
  writer: AvroType,
  type: { precision: number; scale: number },
  column: DecimalColumn,
  path: string,
): AvroReader | undefined {
  if ((writer.kind !== 'bytes' && writer.kind !== 'fixed') || !writer.decimal) return undefined;
  const { precision, scale } = writer.decimal;
  if (scale > type.scale || precision - scale > type.precision - type.scale) return undefined;
  const factor = 10n ** BigInt(type.scale - scale);
  // A writer's bytes may hold more digits than its schema declares.
  const limit = 10n ** BigInt(type.precision);
  const size = writer.kind === 'fixed' ? writer.size : undefined;
  const shortLimit = limit > BigInt(2 ** 47) ? 2 ** 47 : Number(limit);
  return (cursor) => {
    const length = size ?? cursor.readInt(path);
    const start = cursor.take(length, path);
    if (length <= 6 && length > 0 && factor === 1n) {
      const value = cursor.bytes.readIntBE(start, length);
      if (value < shortLimit && value > -shortLimit)
        return column.append(value | 0, Math.floor(value / 4294967296));
    }
    const value = decimalFromBytes(cursor.bytes.subarray(start, start + length)) * factor;
    if (value >= limit || value <= -limit) {
      const shown = length > 64 ? `a number of ${length} bytes` : decimalText(value, type.scale);
      throw new DecodeError(path, `${shown} does not fit a ${typeName({ kind: 'decimal', ...type })}`);
    }
    column.appendBigInt(value);
  };
}

/** Records inside each other that are read over: what contains itself could else be too deep for the stack. */
const depthMax = 500;

/** Steps over a value of a type that no column wants. Records may contain themselves here. */
function skipper(type: AvroType, path: string, known: Map<AvroType, AvroReader> = new Map()): AvroReader {
  const seen = known.get(type);
  if (seen) return seen;
  let skip: AvroReader | undefined;
  known.set(type, (cursor) => skip!(cursor));
  skip = makeSkipper(type, path, known);
  return skip;
}

function makeSkipper(type: AvroType, path: string, known: Map<AvroType, AvroReader>): AvroReader {
  const takeSized: AvroReader = (cursor) => {
    cursor.take(cursor.readInt(path), path);
  };
  const take =
    (size: number): AvroReader =>
    (cursor) => {
      cursor.take(size, path);
    };
  switch (type.kind) {
    case 'null':
      return () => {};
    case 'boolean':
      return take(1);
    case 'float':
      return take(4);
    case 'double':
      return take(8);
    case 'int':
    case 'long':
    case 'enum':
      return (cursor) => cursor.readLong(path);
    case 'string':
    case 'bytes':
      return takeSized;
    case 'fixed':
      return take(type.size);
    case 'array': {
      const item = skipper(type.items, path, known);
      return (cursor) => readBlocks(cursor, path, item);
    }
    case 'map': {
      const value = skipper(type.values, path, known);
      return (cursor) =>
        readBlocks(cursor, path, (c) => {
          takeSized(c);
          value(c);
        });
    }
    case 'union': {
      const branches = type.branches.map((branch) => skipper(branch, path, known));
      return (cursor) => {
        const branch = branches[cursor.readInt(path)];
        if (!branch) throw new DecodeError(path, 'a union branch does not exist');
        branch(cursor);
      };
    }
    case 'record': {
      const members = type.fields.map((member) => skipper(member.type, path, known));
      return (cursor) => {
        if (++cursor.depth > depthMax)
          throw new DecodeError(path, `more than ${depthMax} records inside each other`);
        for (const member of members) member(cursor);
        cursor.depth--;
      };
    }
  }
}
