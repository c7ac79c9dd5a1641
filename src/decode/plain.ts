import type { BytesColumn } from '../arrow/columns.ts';
import { DecodeError, type Decoder } from './decoder.ts';
import { JsonScanner } from './json-scanner.ts';
import { skipValue } from './json-skip.ts';
import { isText } from './utf8.ts';

/** Takes any bytes as they are. */
export function bytesDecoder(column: BytesColumn): Decoder {
  return {
    async prepare() {},
    append: (bytes, _view, start, end) => column.append(bytes, start, end),
  };
}

/** Takes UTF-8 text as it is. */
export function textDecoder(column: BytesColumn): Decoder {
  return {
    async prepare() {},
    append(bytes, _view, start, end) {
      if (!isText(bytes, start, end))
        throw new DecodeError('', 'expected text, found bytes that are not UTF-8');
      column.append(bytes, start, end);
    },
  };
}

/** Takes JSON text as it is, after checking that it is JSON. */
export function rawJsonDecoder(column: BytesColumn): Decoder {
  const s = new JsonScanner();
  return {
    async prepare() {},
    append(bytes, view, start, end) {
      s.reset(bytes, view, start, end);
      s.first('');
      skipValue(s, '');
      s.finish();
      column.append(bytes, start, end);
    },
  };
}
