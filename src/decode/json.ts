import type { Column } from '../arrow/columns.ts';
import type { Field } from '../iceberg/types.ts';
import type { Decoder } from './decoder.ts';
import { envelopeReader } from './json-connect.ts';
import { NumberReader } from './json-numbers.ts';
import type { Epoch, ReaderContext } from './json-reader.ts';
import { fieldsReader } from './json-readers.ts';
import { JsonScanner } from './json-scanner.ts';

export interface JsonOptions {
  /** `connect`: records are `{"schema": ..., "payload": ...}` as Kafka Connect's JsonConverter writes them. */
  envelope: 'none' | 'connect';
  /** Unit of numbers in time and timestamp columns. */
  epoch: Epoch;
}

export interface JsonDecoder extends Decoder {
  /** The first keys that records had at the top and the table has no column for: their values are lost. */
  readonly unknownFields: ReadonlySet<string>;
}

/**
 * Reads JSON objects, one a record. `fields[i]` is appended to `columns[i]`.
 *
 * The values go from the text into the columns without becoming objects: everything about the fields is decided here,
 * once, and what remains is a chain of small readers over one scanner. `tellUnknown` hears of each of `unknownFields` once.
 */
export function jsonDecoder(
  fields: readonly Field[],
  columns: readonly Column[],
  options: JsonOptions,
  tellUnknown: (name: string) => void = () => {},
): JsonDecoder {
  const s = new JsonScanner();
  const c: ReaderContext = { s, numbers: new NumberReader(s), epoch: options.epoch };
  const unknownFields = new Set<string>();
  const onUnknown = (name: string): void => {
    if (unknownFields.size >= mostUnknownFields || unknownFields.has(name)) return;
    unknownFields.add(name);
    tellUnknown(name);
  };
  const read =
    options.envelope === 'connect'
      ? envelopeReader(c, fields, columns, onUnknown)
      : fieldsReader(c, fields, columns, '', onUnknown);
  return {
    unknownFields,
    async prepare() {},
    append(bytes, view, start, end) {
      s.reset(bytes, view, start, end);
      if (s.atEnd()) s.mismatch('', 'an object', end);
      read();
      s.finish();
    },
  };
}

const mostUnknownFields = 100;
