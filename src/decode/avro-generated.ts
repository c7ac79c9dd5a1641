import type { Column, ListColumn, MapColumn, StructColumn } from '../arrow/columns.ts';
import type { Field, Type } from '../iceberg/types.ts';
import { AvroCursor } from './avro-cursor.ts';
import { type AvroReader, compileSkip, compileValue } from './avro-readers.ts';
import { type AvroRecordType, type AvroType, optionalOf } from './avro-type.ts';
import * as values from './avro-values.ts';
import { DecodeError } from './decoder.ts';
import type { GeneratedReader } from './entry-reader.ts';
import { absent, indented, present, ReaderText, unusual } from './generate.ts';

/**
 * Readers generated for one pair of writer schema and table columns: the same as the closures of avro-readers.ts, which
 * must have been made before and found that the schema can go into the columns. Types that are rarely seen are read by
 * their closures.
 */

/** Before a value in Confluent's wire format: a zero byte and the schema's id. */
const start = 'starts[i] + 5';

/** A reader of whole records. */
export function generateRecord(
  writer: AvroType,
  fields: readonly Field[],
  columns: readonly Column[],
): GeneratedReader {
  const text = new AvroText();
  return text.reader(text.members(writer as AvroRecordType, fields, columns, 'row'));
}

/** A reader of values that go into one column. */
export function generateValue(writer: AvroType, field: Field, column: Column): GeneratedReader {
  const text = new AvroText();
  return text.reader(text.slot(writer, field.type, field.required, column, 'row'));
}

/** What the text calls, by the names it has there. */
const functions = { ...values, readBy };

class AvroText {
  readonly #text = new ReaderText();
  readonly #appended = new Set<Column>();

  reader(statements: readonly string[]): GeneratedReader {
    const text = this.#text.text(statements, start);
    const read = this.#text.compile(text, functions);
    return {
      appended: this.#appended,
      text,
      read: ({ bytes, view, starts, lengths }, from, to, row) =>
        read(bytes, view, starts, lengths, from, to, row),
    };
  }

  members(
    writer: AvroRecordType,
    fields: readonly Field[],
    columns: readonly Column[],
    row: string,
  ): string[] {
    const read = writer.fields.flatMap((member) => {
      const index = fields.findIndex((field) => field.name === member.name);
      if (index === -1) return this.#skip(member.type);
      const { type, required } = fields[index]!;
      return this.slot(member.type, type, required, columns[index]!, row);
    });
    const missing = fields.flatMap((field, i) =>
      writer.fields.some((member) => member.name === field.name)
        ? []
        : absent(this.#text, columns[i]!, row, this.#appended),
    );
    return [...read, ...missing];
  }

  /** A value that may be null. */
  slot(writer: AvroType, type: Type, required: boolean, column: Column, row: string): string[] {
    const { type: inner, nullBranch } = optionalOf(writer);
    if (inner.kind === 'null') return absent(this.#text, column, row, this.#appended);
    const statements = this.#value(inner, type, column, row);
    if (!statements)
      return [this.#readBy(compileValue(writer, { id: 0, name: '', type, required }, column), column)];
    const whole = [...statements, ...present(column, this.#text.column(column), row)];
    if (writer.kind !== 'union') return whole;
    // The branch's number as a zigzag varint: one byte.
    const valueBranch = nullBranch === undefined ? 0 : 1 - nullBranch;
    const nothing =
      nullBranch === undefined || required
        ? ''
        : ` else if (b === ${nullBranch * 2}) {\n${this.#lines(absent(this.#text, column, row, this.#appended), row)}\n}`;
    return [
      `b = p < end ? bytes[p++] : 255;\nif (b === ${valueBranch * 2}) {\n${this.#lines(whole, row)}\n}${nothing} else return unusual;`,
    ];
  }

  #lines(statements: readonly string[], row: string): string {
    return this.#text.block(statements, row).map(indented).join('\n');
  }

  /** A value that is there; undefined when its closure is to read it. */
  #value(writer: AvroType, type: Type, column: Column, row: string): string[] | undefined {
    const name = this.#text.column(column);
    const call = (reader: string, ...more: (string | number)[]): string[] => [
      `p = ${reader}(${['bytes, view, p, end', ...more].join(', ')});`,
    ];
    switch (column.kind) {
      case 'struct':
        return this.members(
          writer as AvroRecordType,
          (type as Extract<Type, { kind: 'struct' }>).fields,
          (column as StructColumn).children,
          row,
        );
      case 'list':
        return this.#list(
          writer as Extract<AvroType, { kind: 'array' }>,
          type as Extract<Type, { kind: 'list' }>,
          column,
          row,
        );
      case 'map':
        return this.#map(
          writer as Extract<AvroType, { kind: 'map' }>,
          type as Extract<Type, { kind: 'map' }>,
          column,
          row,
        );
      case 'boolean':
        return [
          `b = p < end ? bytes[p++] : 255;\nif (b > 1) return unusual;\nif (b === 1) ${name}.values[${row} >> 3] |= 1 << (${row} & 7);`,
        ];
      case 'int32':
        return call('int', `${name}.values`, row);
      case 'int64': {
        const isMillis =
          type.kind !== 'long' && (writer as { logical?: string }).logical?.endsWith('-millis');
        const at = [`${name}.halves`, `${row} * 2`];
        if (writer.kind === 'int') return call('intAsLong', ...at, isMillis ? 1000 : 1);
        return isMillis ? call('longTimes', ...at, 1000) : call('long', ...at);
      }
      case 'float32':
      case 'float64': {
        if (writer.kind !== 'float' && writer.kind !== 'double') return undefined;
        const [size, get] = writer.kind === 'float' ? [4, 'getFloat32'] : [8, 'getFloat64'];
        return [
          `if (p + ${size} > end) return unusual;\n${name}.values[${row}] = view.${get}(p, true);\np += ${size};`,
        ];
      }
      case 'bytes':
        if (writer.kind === 'enum') {
          const symbols = this.#text.constant(writer.symbols.map((symbol) => Buffer.from(symbol)));
          return call('symbol', name, row, symbols);
        }
        if (writer.kind === 'fixed') return [`p = sized(bytes, p, end, ${writer.size}, ${name}, ${row});`];
        return call(type.kind === 'string' ? 'text' : 'binary', name, row);
      case 'fixed':
        return writer.kind === 'fixed' ? [`p = fixed(bytes, p, end, ${name}, ${row});`] : undefined;
      case 'decimal': {
        const { precision, scale } = type as Extract<Type, { kind: 'decimal' }>;
        const { decimal } = writer as Extract<AvroType, { kind: 'fixed' | 'bytes' }>;
        if (decimal!.scale !== scale) return undefined;
        return call('decimal', writer.kind === 'fixed' ? writer.size : -1, name, row, 10 ** precision);
      }
    }
  }

  #list(
    writer: Extract<AvroType, { kind: 'array' }>,
    type: Extract<Type, { kind: 'list' }>,
    column: ListColumn,
    row: string,
  ): string[] | undefined {
    const element = this.#text.column(column.element);
    const at = `at_${element}`;
    const statements = this.slot(writer.items, type.element, type.elementRequired, column.element, at);
    // Its closure is better off with the whole list.
    if (this.#appended.has(column.element)) return undefined;
    const name = this.#text.column(column);
    return [
      `${this.#blocks(element, [column.element], statements)}\n${name}.offsets[${row} + 1] = ${element}.length;`,
    ];
  }

  #map(
    writer: Extract<AvroType, { kind: 'map' }>,
    type: Extract<Type, { kind: 'map' }>,
    column: MapColumn,
    row: string,
  ): string[] | undefined {
    const key = this.#text.column(column.key);
    const at = `at_${key}`;
    const readKey = this.slot({ kind: 'string' }, type.key, true, column.key, at);
    const readValue = this.slot(writer.values, type.value, type.valueRequired, column.value, at);
    if (this.#appended.has(column.key) || this.#appended.has(column.value)) return undefined;
    const name = this.#text.column(column);
    return [
      `${this.#blocks(key, [column.key, column.value], [...readKey, ...readValue])}\n${name}.offsets[${row} + 1] = ${key}.length;`,
    ];
  }

  /** The items of an array or map, counted by `counter` while they are read into `columns`. */
  #blocks(counter: string, columns: readonly Column[], statements: readonly string[]): string {
    const at = `at_${counter}`;
    const room = columns.map((column) => {
      const name = this.#text.column(column);
      return `if (${at} >= ${name}.capacity) ${name}.reserve(${at} * 2);`;
    });
    return `for (;;) {
  p = block(bytes, view, p, end);
  if (p > end) return unusual;
  let left = items[0];
  if (left === 0) break;
  for (; left > 0; left--) {
    const ${at} = ${counter}.length;
    const before = p;
${indented(indented(room.join('\n')))}
${indented(indented(this.#text.block(statements, at).join('\n')))}
    if (p > end || p === before) return unusual;
    ${counter}.length++;
  }
}`;
  }

  #skip(type: AvroType): string[] {
    const take = (size: number): string[] => [`p += ${size};`];
    switch (type.kind) {
      case 'null':
        return [];
      case 'boolean':
        return take(1);
      case 'float':
        return take(4);
      case 'double':
        return take(8);
      case 'fixed':
        return take(type.size);
      case 'int':
      case 'long':
      case 'enum':
        return ['p = skipLong(bytes, view, p, end);'];
      case 'string':
      case 'bytes':
        return ['p = skipSized(bytes, view, p, end);'];
      default:
        return [this.#readBy(compileSkip(type), undefined)];
    }
  }

  /** Has a closure read a value; into `column`, which counts it then. */
  #readBy(reader: AvroReader, column: Column | undefined): string {
    if (column) this.#appended.add(column);
    return `p = readBy(${this.#text.constant(reader)}, bytes, view, p, end);`;
  }
}

const cursor = new AvroCursor();

/** Reads a value by its closure. */
function readBy(read: AvroReader, bytes: Buffer, view: DataView, p: number, end: number): number {
  if (p > end) return unusual;
  cursor.bytes = bytes;
  cursor.view = view;
  cursor.position = p;
  cursor.end = end;
  cursor.depth = 0;
  try {
    read(cursor);
  } catch (error) {
    if (error instanceof DecodeError) return unusual;
    throw error;
  }
  return cursor.position > end ? unusual : cursor.position;
}
