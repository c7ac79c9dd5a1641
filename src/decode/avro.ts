import type { Column } from '../arrow/columns.ts';
import { messageOf, NotFoundError } from '../base/errors.ts';
import type { Log } from '../base/log.ts';
import type { Field } from '../iceberg/types.ts';
import type { RecordColumns } from '../kafka/record-columns.ts';
import { AvroCursor } from './avro-cursor.ts';
import { type AvroReader, compileRecord, compileValue } from './avro-readers.ts';
import { type AvroType, parseAvroSchema } from './avro-type.ts';
import { DecodeError, type Decoder } from './decoder.ts';
import type { RegisteredSchema, SchemaSource } from './registry.ts';

/** Confluent's wire format: a zero byte, the schema id as 4 bytes big-endian, the Avro body. */
const wireHeaderLength = 5;

/** A writer schema as far as it got: ready to read with, or the reason why records written with it cannot be read. */
type Compiled = AvroReader | DecodeError;

/** Avro records in Confluent's wire format, each read with the schema it was written with. */
class AvroDecoder implements Decoder {
  readonly #schemas: SchemaSource;
  readonly #compile: (writer: AvroType, schemaId: number) => AvroReader;
  readonly #part: 'key' | 'value';
  readonly #compiled = new Map<number, Compiled>();
  readonly #cursor = new AvroCursor();
  /** The schema of the record before; undefined before the first of a batch. */
  #lastId: number | undefined;
  #lastReader: Compiled | undefined;

  constructor(
    schemas: SchemaSource,
    part: 'key' | 'value',
    compile: (writer: AvroType, schemaId: number) => AvroReader,
  ) {
    this.#schemas = schemas;
    this.#part = part;
    this.#compile = compile;
  }

  async prepare(records: RecordColumns): Promise<void> {
    const starts = this.#part === 'key' ? records.keyStarts : records.valueStarts;
    const lengths = this.#part === 'key' ? records.keyLengths : records.valueLengths;
    let last: number | undefined;
    const asked = new Set<number>();
    this.#lastId = undefined;
    for (let i = 0; i < records.count; i++) {
      if (lengths[i]! < wireHeaderLength || records.bytes[starts[i]!] !== 0) continue;
      const id = records.view.getInt32(starts[i]! + 1);
      if (id === last) continue;
      last = id;
      // A schema that could not be used may be registered or mended later: asked again with the next batch.
      if (asked.has(id) || typeof this.#compiled.get(id) === 'function') continue;
      asked.add(id);
      this.#compiled.set(id, await this.#load(id));
    }
  }

  /**
   * Only what is certainly the records' fault becomes theirs: a registry that is down, or refuses us, must never lead to
   * skipped records.
   */
  async #load(id: number): Promise<Compiled> {
    if (id < 0) return new DecodeError('', `${id} is not the id of a schema`);
    let schema: RegisteredSchema;
    try {
      schema = await this.#schemas.get(id);
    } catch (error) {
      if (!(error instanceof NotFoundError)) throw error;
      return notInRegistry(id);
    }
    try {
      if (schema.type !== 'AVRO') throw new DecodeError('', `it is ${schema.type}, expected AVRO`);
      return this.#compile(parseAvroSchema(schema.text, schema.references), id);
    } catch (error) {
      return new DecodeError('', `schema ${id}: ${messageOf(error)}`);
    }
  }

  append(bytes: Buffer, view: DataView, start: number, end: number): void {
    if (end - start < wireHeaderLength || bytes[start] !== 0) throw notWireFormat(bytes, start, end);
    const id = view.getInt32(start + 1);
    if (id !== this.#lastId) {
      this.#lastId = id;
      this.#lastReader = this.#compiled.get(id);
    }
    const read = this.#lastReader!;
    if (read instanceof DecodeError) throw new DecodeError(read.field, read.reason);
    const cursor = this.#cursor;
    cursor.bytes = bytes;
    cursor.view = view;
    cursor.position = start + wireHeaderLength;
    cursor.end = end;
    cursor.depth = 0;
    read(cursor);
    if (cursor.position !== end) {
      const off = cursor.position - end;
      throw new DecodeError(
        '',
        off > 0 ? `the record is ${off} bytes short` : `${-off} bytes are left after the record`,
      );
    }
  }
}

export function notWireFormat(bytes: Buffer, start: number, end: number): DecodeError {
  return new DecodeError(
    '',
    `not in the Confluent wire format: expected a zero byte and a schema id, found ${sample(bytes, start, end)}`,
  );
}

export function notInRegistry(schemaId: number): DecodeError {
  return new DecodeError('', `schema ${schemaId} is not in the registry`);
}

function sample(bytes: Buffer, start: number, end: number): string {
  return `0x${bytes.subarray(start, Math.min(end, start + 8)).toString('hex')}`;
}

/** Decodes values: each record's fields into the columns of the same name. */
export function avroDecoder(
  schemas: SchemaSource,
  fields: readonly Field[],
  columns: readonly Column[],
  log: Log,
): Decoder {
  return new AvroDecoder(schemas, 'value', (writer, schemaId) => {
    const unlanded = new Set<string>();
    const reader = compileRecord(writer, fields, columns, unlanded);
    if (unlanded.size > 0)
      log.warn('fields of the schema have no column and are not landed', { schemaId, fields: [...unlanded] });
    return reader;
  });
}

/** Decodes keys: the whole key into one column. */
export function avroKeyDecoder(schemas: SchemaSource, field: Field, column: Column): Decoder {
  return new AvroDecoder(schemas, 'key', (writer) => compileValue(writer, field, column));
}

/** The id of the schema a value was written with, undefined when it is not in the wire format. */
export function wireSchemaId(bytes: Buffer, start: number, length: number): number | undefined {
  return length >= wireHeaderLength && bytes[start] === 0 ? bytes.readInt32BE(start + 1) : undefined;
}
