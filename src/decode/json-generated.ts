import type { Column, ListColumn, StructColumn } from '../arrow/columns.ts';
import { type Field, isPrimitive, type PrimitiveType, type Type } from '../iceberg/types.ts';
import { DecodeError } from './decoder.ts';
import type { GeneratedReader } from './entry-reader.ts';
import { absent, indented, present, ReaderText, unusual } from './generate.ts';
import { factorOf } from './json-moments.ts';
import type { Read, ReaderContext } from './json-reader.ts';
import { valueReader } from './json-readers.ts';
import type { MemberShape, Shape } from './json-shape.ts';
import { skipValue } from './json-skip.ts';
import * as values from './json-values.ts';

/**
 * Readers generated for the columns of a table and the shape that records have: each key is expected where it stood before,
 * with the same bytes, or to be missing. Values are read by the functions of json-values.ts, what those do not read by the
 * exact readers. A record of any other shape is left to the exact readers as a whole.
 */
export function generateObject(
  c: ReaderContext,
  shape: Shape,
  fields: readonly Field[],
  columns: readonly Column[],
): GeneratedReader {
  const json = new JsonText(c);
  const statements = json.object(shape, fields, columns, 'row');
  const text = json.text.text(statements, 'starts[i]');
  const read = json.text.compile(text, { ...values, ...callsTo(c) });
  return {
    appended: json.appended,
    text,
    read: ({ bytes, view, starts, lengths }, from, to, row) =>
      read(bytes, view, starts, lengths, from, to, row),
  };
}

const [comma, openBrace, closeBrace, openBracket, closeBracket] = Buffer.from(',{}[]');

class JsonText {
  readonly text: ReaderText = new ReaderText();
  readonly appended: Set<Column> = new Set();
  readonly #c: ReaderContext;

  constructor(c: ReaderContext) {
    this.#c = c;
  }

  object(shape: Shape, fields: readonly Field[], columns: readonly Column[], row: string): string[] {
    // Where its brace is: before the first key there is no comma.
    const brace = this.text.variable();
    const members = shape.members.map((member) => this.#member(member, brace, fields, columns, row));
    const missing = fields.flatMap((field, i) =>
      shape.members.some((member) => member.field === i) ? [] : this.#missing(field, columns[i]!, row),
    );
    return [
      `${brace} = p;`,
      ...members,
      ...missing,
      `if (p === ${brace} && bytes[p++] !== ${openBrace}) return unusual;`,
      `if (p >= end || bytes[p++] !== ${closeBrace}) return unusual;`,
    ];
  }

  #member(
    { field: index, key, value }: MemberShape,
    brace: string,
    fields: readonly Field[],
    columns: readonly Column[],
    row: string,
  ): string {
    const field = fields[index];
    const read = field
      ? this.#slot(value, field.type, field.required, columns[index]!, row)
      : ['p = skipBy(bytes, view, p, end);'];
    const missing = field ? this.#missing(field, columns[index]!, row) : [];
    const otherwise = missing.length === 0 ? '' : ` else {\n${this.#lines(missing, row)}\n}`;
    return `if (p + ${key.length + 1} < end && ${isNext(key, brace)}) {
  p += ${key.length + 1};
${this.#lines(read, row)}
}${otherwise}`;
  }

  #missing({ required }: Field, column: Column, row: string): string[] {
    return required ? ['return unusual;'] : absent(this.text, column, row, this.appended);
  }

  /** A value, or null. */
  #slot(shape: Shape | undefined, type: Type, required: boolean, column: Column, row: string): string[] {
    const isPresent = present(column, this.text.column(column), row);
    if (isPrimitive(type)) {
      const read = valueReader(this.#c, type, column, '');
      const leaf = this.text.constant({ column, required, read } satisfies Leaf);
      const fast = this.#fast(type, column, this.text.column(column), row) ?? 'unusual';
      const usual = isPresent.map((line) => `\nelse ${line}`).join('');
      return [
        `at = p;\np = ${fast};\nif (p === unusual) p = other(${leaf}, bytes, view, at, end, ${row});${usual}`,
      ];
    }
    const read = this.#nested(shape, type, column, row, isPresent);
    const nothing = required ? ['return unusual;'] : absent(this.text, column, row, this.appended);
    return [
      `if (view.getInt32(p, true) === ${wordNull}) {
  p += 4;
${this.#lines(nothing, row)}
} else {
${this.#lines(read, row)}
}`,
    ];
  }

  #nested(
    shape: Shape | undefined,
    type: Exclude<Type, PrimitiveType>,
    column: Column,
    row: string,
    isPresent: readonly string[],
  ): string[] {
    if (type.kind === 'map') return [this.#readBy(type, column)];
    // Nothing is known of what is in it: the record will tell.
    if (!shape) return ['return unusual;'];
    if (type.kind === 'struct')
      return [...this.object(shape, type.fields, (column as StructColumn).children, row), ...isPresent];
    const list = this.#list(shape, type.element, type.elementRequired, column as ListColumn, row);
    return list ? [...list, ...isPresent] : [this.#readBy(type, column)];
  }

  #fast(type: PrimitiveType, column: Column, name: string, row: string): string | undefined {
    switch (type.kind) {
      case 'boolean':
        return `boolean(bytes, view, p, end, ${name}, ${row})`;
      case 'int':
        return `int(bytes, view, p, end, ${name}.values, ${row})`;
      case 'long':
        return `integer(bytes, view, p, end, ${name}.halves, ${row} * 2, 1)`;
      case 'timestamp':
      case 'timestamptz': {
        const factor = factorOf(this.#c.epoch);
        return factor === 0
          ? undefined
          : `integer(bytes, view, p, end, ${name}.halves, ${row} * 2, ${factor})`;
      }
      case 'float':
      case 'double':
        return `float(bytes, p, end, ${name}.values, ${row})`;
      case 'decimal': {
        const limit = Math.min(10 ** type.precision, Number.MAX_SAFE_INTEGER);
        return `decimal(bytes, p, end, ${name}, ${row}, ${type.scale}, ${limit})`;
      }
      case 'string':
        return column.kind === 'bytes' ? `text(bytes, view, p, end, ${name}, ${row})` : undefined;
      default:
        return undefined;
    }
  }

  #list(shape: Shape, type: Type, required: boolean, column: ListColumn, row: string): string[] | undefined {
    const element = this.text.column(column.element);
    const at = `at_${element}`;
    const statements = this.#slot(shape.element, type, required, column.element, at);
    // Its exact reader is better off with the whole list.
    if (this.appended.has(column.element)) return undefined;
    return [
      `if (bytes[p++] !== ${openBracket}) return unusual;
if (bytes[p] === ${closeBracket}) p++;
else for (;;) {
  const ${at} = ${element}.length;
  if (${at} >= ${element}.capacity) ${element}.reserve(${at} * 2);
${indented(this.text.block(statements, at).join('\n'))}
  if (p >= end) return unusual;
  ${element}.length++;
  b = bytes[p++];
  if (b === ${closeBracket}) break;
  if (b !== ${comma}) return unusual;
  if (bytes[p] === 32) p++;
}
${this.text.column(column)}.offsets[${row} + 1] = ${element}.length;`,
    ];
  }

  /** Has the exact reader read a value into `column`, which counts it then. */
  #readBy(type: Type, column: Column): string {
    this.appended.add(column);
    return `p = readBy(${this.text.constant(valueReader(this.#c, type, column, ''))}, bytes, view, p, end);`;
  }

  #lines(statements: readonly string[], row: string): string {
    return this.text.block(statements, row).map(indented).join('\n');
  }
}

/** That at `p` there is a comma with a key behind it; the brace and the key, if that is where the brace must be. */
function isNext(key: Buffer, brace: string): string {
  const [first, ...others] = wordsOf(Buffer.concat([Buffer.of(comma!), key]));
  const [atBrace] = wordsOf(Buffer.concat([Buffer.of(openBrace!), key]));
  const isFirst = `view.getInt32(p, true) === (p === ${brace} ? ${atBrace![1]} : ${first![1]})`;
  return [isFirst, ...others.map(([at, word]) => `view.getInt32(p + ${at}, true) === ${word}`)].join(' && ');
}

/** Bytes, four at least, as words with their places; the last word overlaps the one before. */
function wordsOf(bytes: Buffer): [number, number][] {
  const words: [number, number][] = [];
  for (let at = 0; at < bytes.length; at += 4) {
    const place = Math.min(at, bytes.length - 4);
    words.push([place, bytes.readInt32LE(place)]);
  }
  return words;
}

/** The exact readers of a decoder, in a form that generated text can call. */
function callsTo({ s }: ReaderContext): Record<string, unknown> {
  const at = (bytes: Buffer, view: DataView, p: number, end: number, read: Read): number => {
    if (p >= end) return unusual;
    s.reset(bytes, view, p, end);
    try {
      read();
    } catch (error) {
      if (error instanceof DecodeError) return unusual;
      throw error;
    }
    return s.position;
  };
  const skip = (): void => skipValue(s, '');
  return {
    /** Passes over a value. */
    skipBy: (bytes: Buffer, view: DataView, p: number, end: number) => at(bytes, view, p, end, skip),
    /** Reads a value into a column that counts it. */
    readBy: (read: Read, bytes: Buffer, view: DataView, p: number, end: number) =>
      at(bytes, view, p, end, read),
    /** Reads a value that may be null and that no function of json-values.ts has read, at `row`, which is not counted yet. */
    other: (
      { column, required, read }: Leaf,
      bytes: Buffer,
      view: DataView,
      p: number,
      end: number,
      row: number,
    ) => {
      const { length, nullCount } = column;
      const isNull = p < end && view.getInt32(p, true) === wordNull;
      if (isNull && required) return unusual;
      column.length = row;
      if (isNull) column.appendNull();
      const behind = isNull ? p + 4 : at(bytes, view, p, end, read);
      column.length = length;
      column.nullCount = nullCount;
      return behind;
    },
  };
}

/** A value that is neither an object nor an array, as its exact reader takes it. */
interface Leaf {
  column: Column;
  required: boolean;
  read: Read;
}

const wordNull = Buffer.from('null').readInt32LE();
