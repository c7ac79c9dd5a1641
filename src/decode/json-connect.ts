import type { Column } from '../arrow/columns.ts';
import type { Field } from '../iceberg/types.ts';
import { DecodeError } from './decoder.ts';
import { connectStructReader } from './json-connect-readers.ts';
import { connectTypeName, parseConnectSchema } from './json-connect-schema.ts';
import { KeyTable } from './json-keys.ts';
import type { Read, ReaderContext } from './json-reader.ts';
import { fieldsReader } from './json-readers.ts';
import { closeBrace, type JsonScanner, letterN, openBrace } from './json-scanner.ts';
import { skipValue } from './json-skip.ts';

/** The members of an envelope, in the order of their bits. */
const memberNames = ['schema', 'payload'];
const schemaBit = 1;
const payloadBit = 2;

/**
 * Reads `{"schema": ..., "payload": ...}`, in either order: the payload is read as its own schema describes it. With a
 * null schema it is read like any JSON.
 */
export function envelopeReader(
  c: ReaderContext,
  fields: readonly Field[],
  columns: readonly Column[],
  onUnknown: (name: string) => void,
): Read {
  const { s } = c;
  const keys = new KeyTable(s, memberNames);
  const withoutSchema = fieldsReader(c, fields, columns, '', onUnknown);
  const schemas = new SchemaCache((json) => {
    const schema = parseConnectSchema(json);
    if (schema.type !== 'struct')
      throw new DecodeError('', `expected a Connect struct, found a Connect ${connectTypeName(schema)}`);
    return connectStructReader(c, schema, fields, columns, '', onUnknown);
  });

  const readSchema = (): Read => {
    const byte = s.first('');
    if (byte === openBrace) return schemas.take(s);
    if (byte !== letterN) s.mismatch('', 'a Connect schema', s.position);
    s.literal('null', '');
    return withoutSchema;
  };

  const readPayload = (read: Read): void => {
    if (s.bytes[s.position] === letterN) {
      s.literal('null', '');
      throw new DecodeError('', 'payload is null');
    }
    read();
  };

  return () => {
    if (s.bytes[s.position] !== openBrace) s.mismatch('', 'an object', s.position);
    let read: Read | undefined;
    let postponed = -1;
    let seen = 0;
    let key = keys.before;
    if (s.enter(closeBrace, '')) {
      do {
        key = keys.take(key, '');
        const bit = key.member + 1;
        checkMember(bit, seen);
        seen |= bit;
        s.first('');
        if (bit === schemaBit) {
          read = readSchema();
        } else if (read) {
          readPayload(read);
        } else {
          postponed = s.position;
          skipValue(s, '');
        }
      } while (s.more(closeBrace, ''));
    }
    if (read === undefined || (seen & payloadBit) === 0)
      notAnEnvelope(`it has no ${read ? 'payload' : 'schema'}`);
    if (postponed < 0) return;
    const end = s.position;
    s.position = postponed;
    readPayload(read);
    s.position = end;
  };
}

/** JsonConverter takes nothing but the two members: other records with such keys must not pass for envelopes. */
function checkMember(bit: number, seen: number): void {
  if (bit === 0) notAnEnvelope('it has other members');
  if ((seen & bit) !== 0) notAnEnvelope(`${memberNames[bit - 1]} appears twice`);
}

function notAnEnvelope(why: string): never {
  throw new DecodeError('', `not a Connect envelope {"schema": ..., "payload": ...}: ${why}`);
}

/** Kept for as many schemas as a topic may mix. */
const mostSchemas = 32;

/**
 * Readers by the bytes of their schema, the latest used first: producers send the same bytes with every record, so that
 * comparing them is all that is done for most.
 */
class SchemaCache {
  private readonly entries: { json: Buffer; read: Read }[] = [];
  private readonly compile: (json: string) => Read;

  constructor(compile: (json: string) => Read) {
    this.compile = compile;
  }

  /** Takes the object at the position, which is a schema. */
  take(s: JsonScanner): Read {
    const entries = this.entries;
    for (let i = 0; i < entries.length; i++) {
      const entry = entries[i]!;
      if (!s.startsWith(entry.json)) continue;
      s.position += entry.json.length;
      if (i > 0) entries.unshift(...entries.splice(i, 1));
      return entry.read;
    }
    const from = s.position;
    skipValue(s, '');
    const json = Buffer.from(s.bytes.subarray(from, s.position));
    const read = this.compileOrFail(json.toString());
    entries.unshift({ json, read });
    if (entries.length > mostSchemas) entries.pop();
    return read;
  }

  /** A schema that cannot be used fails each of its records, but is looked at only once. */
  private compileOrFail(json: string): Read {
    try {
      return this.compile(json);
    } catch (error) {
      if (!(error instanceof DecodeError)) throw error;
      const { field, reason } = error;
      return () => {
        throw new DecodeError(field, reason);
      };
    }
  }
}
