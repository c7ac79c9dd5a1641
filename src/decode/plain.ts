import type { BytesColumn } from '../arrow/columns.ts';
import { DecodeError, type Decoder, type Entries } from './decoder.ts';
import { EntryReader, type ReadEntry, type Readers } from './entry-reader.ts';
import { JsonScanner } from './json-scanner.ts';
import { skipValue } from './json-skip.ts';
import { isText } from './utf8.ts';

/** Takes any bytes as they are. */
export function bytesDecoder(column: BytesColumn): Decoder {
  return new PlainDecoder(column, (bytes, _view, start, end) => column.append(bytes, start, end));
}

/** Takes UTF-8 text as it is. */
export function textDecoder(column: BytesColumn): Decoder {
  return new PlainDecoder(column, (bytes, _view, start, end) => {
    if (!isText(bytes, start, end))
      throw new DecodeError('', 'expected text, found bytes that are not UTF-8');
    column.append(bytes, start, end);
  });
}

/** Takes JSON text as it is, after checking that it is JSON. */
export function rawJsonDecoder(column: BytesColumn): Decoder {
  const s = new JsonScanner();
  return new PlainDecoder(column, (bytes, view, start, end) => {
    s.reset(bytes, view, start, end);
    s.first('');
    skipValue(s, '');
    s.finish();
    column.append(bytes, start, end);
  });
}

/** Reads one entry after the other. */
class PlainDecoder implements Decoder {
  readonly #readers: Readers;
  readonly #reader: EntryReader;

  constructor(column: BytesColumn, read: ReadEntry) {
    this.#readers = { exact: read, generated: undefined };
    this.#reader = new EntryReader([column]);
  }

  get failure(): DecodeError | undefined {
    return this.#reader.failure;
  }

  async prepare(): Promise<void> {}

  append(entries: Entries, from: number, to: number): number {
    return this.#reader.append(entries, from, to, this.#readers);
  }
}
