import type { Column } from '../arrow/columns.ts';
import type { Field } from '../iceberg/types.ts';
import { DecodeError, type Decoder, type Entries } from './decoder.ts';
import { EntryReader, type Readers } from './entry-reader.ts';
import { type Form, isGenerated } from './generate.ts';
import { envelopeReader } from './json-connect.ts';
import { generateObject } from './json-generated.ts';
import { NumberReader } from './json-numbers.ts';
import type { Epoch, ReaderContext } from './json-reader.ts';
import { fieldsReader } from './json-readers.ts';
import { JsonScanner, openBrace } from './json-scanner.ts';
import { keyCount, merged, objectShape, type Shape } from './json-shape.ts';

export interface JsonOptions {
  /** `connect`: records are `{"schema": ..., "payload": ...}` as Kafka Connect's JsonConverter writes them. */
  envelope: 'none' | 'connect';
  /** Unit of numbers in time and timestamp columns. */
  epoch: Epoch;
}

/**
 * Reads JSON objects, one a record. `fields[i]` is appended to `columns[i]`.
 *
 * The values go from the text into the columns without becoming objects: everything about the fields is decided here,
 * once, and what remains is a chain of small readers over one scanner. From the records that these have read, the order of
 * the keys is learned, and a reader generated that expects them there. `tellUnknown` hears of each of `unknownFields` once.
 */
export function jsonDecoder(
  fields: readonly Field[],
  columns: readonly Column[],
  options: JsonOptions,
  tellUnknown: (name: string) => void = () => {},
  form: Form = 'generated',
): JsonDecoder {
  return new JsonDecoder(fields, columns, options, tellUnknown, form);
}

/** Most records that are read without a look at the order of their keys. */
const longestInattention = 4096;
/** Beyond, generated readers would be too long. */
const mostKeys = 2000;

export class JsonDecoder implements Decoder {
  /** The first keys that records had at the top and the table has no column for: their values are lost. */
  readonly unknownFields: Set<string> = new Set();
  readonly #fields: readonly Field[];
  readonly #columns: readonly Column[];
  readonly #c: ReaderContext;
  readonly #reader: EntryReader;
  readonly #readers: Readers;
  #shape: Shape | undefined;
  /** Records to read until the next look at the order of keys, and how many there were before the last. */
  #inattention = 0;
  #lastInattention = 0;

  constructor(
    fields: readonly Field[],
    columns: readonly Column[],
    { envelope, epoch }: JsonOptions,
    tellUnknown: (name: string) => void,
    form: Form,
  ) {
    const s = new JsonScanner();
    this.#fields = fields;
    this.#columns = columns;
    this.#c = { s, numbers: new NumberReader(s), epoch };
    this.#reader = new EntryReader(columns);
    const onUnknown = (name: string): void => {
      if (this.unknownFields.size >= mostUnknownFields || this.unknownFields.has(name)) return;
      this.unknownFields.add(name);
      tellUnknown(name);
    };
    const isEnveloped = envelope === 'connect';
    const read = isEnveloped
      ? envelopeReader(this.#c, fields, columns, onUnknown)
      : fieldsReader(this.#c, fields, columns, '', onUnknown);
    const learns = !isEnveloped && isGenerated(form);
    this.#readers = {
      generated: undefined,
      exact: (bytes, view, start, end) => {
        s.reset(bytes, view, start, end);
        if (s.atEnd()) s.mismatch('', 'an object', end);
        read();
        s.finish();
        if (learns) this.#learn(bytes, view, start, end);
      },
    };
  }

  get failure(): DecodeError | undefined {
    return this.#reader.failure;
  }

  /** How many records were not read by a generated reader. */
  get unusual(): number {
    return this.#reader.unusual;
  }

  async prepare(): Promise<void> {}

  append(entries: Entries, from: number, to: number): number {
    return this.#reader.append(entries, from, to, this.#readers);
  }

  /** Looks at the order of keys in a record that was read; the longer it has looked, the less often. */
  #learn(bytes: Buffer, view: DataView, start: number, end: number): void {
    if (this.#inattention-- > 0 || bytes[start] !== openBrace) return;
    this.#inattention = this.#lastInattention;
    this.#lastInattention = Math.min(longestInattention, this.#lastInattention * 2 + 1);
    const shape = merged(this.#shape, this.#shapeOf(bytes, view, start, end));
    if (!shape || shape === this.#shape) return;
    this.#shape = shape;
    this.#readers.generated =
      keyCount(shape) > mostKeys ? undefined : generateObject(this.#c, shape, this.#fields, this.#columns);
  }

  /** Nothing, should there be what is not understood here: the record is good, it has been read. */
  #shapeOf(bytes: Buffer, view: DataView, start: number, end: number): Shape | undefined {
    const { s } = this.#c;
    s.reset(bytes, view, start, end);
    try {
      return objectShape(s, this.#fields);
    } catch (error) {
      if (error instanceof DecodeError) return undefined;
      throw error;
    }
  }
}

const mostUnknownFields = 100;
