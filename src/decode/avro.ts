import type { Column } from '../arrow/columns.ts';
import { messageOf, NotFoundError } from '../base/errors.ts';
import type { Log } from '../base/log.ts';
import type { Field } from '../iceberg/types.ts';
import type { RecordColumns } from '../kafka/record-columns.ts';
import { AvroCursor } from './avro-cursor.ts';
import { generateRecord, generateValue } from './avro-generated.ts';
import { type AvroReader, compileRecord, compileValue } from './avro-readers.ts';
import { type AvroType, parseAvroSchema } from './avro-type.ts';
import { DecodeError, type Decoder, type Entries } from './decoder.ts';
import { EntryReader, type GeneratedReader, type ReadEntry, type Readers } from './entry-reader.ts';
import { type Form, isGenerated } from './generate.ts';
import type { RegisteredSchema, SchemaSource } from './registry.ts';

/** Confluent's wire format: a zero byte, the schema id as 4 bytes big-endian, the Avro body. */
const wireHeaderLength = 5;

/** A writer schema as far as it got: ready to read with, or the reason why records written with it cannot be read. */
type Compiled = Readers | DecodeError;

/** Makes the readers for a writer's schema. @throws {FatalError} when it cannot go into the columns. */
type Compile = (
  writer: AvroType,
  schemaId: number,
) => { exact: AvroReader; generate: () => GeneratedReader | undefined };

/** Avro records in Confluent's wire format, each read with the schema it was written with. */
class AvroDecoder implements Decoder {
  failure: DecodeError | undefined;
  readonly #schemas: SchemaSource;
  readonly #part: 'key' | 'value';
  readonly #compile: Compile;
  readonly #compiled = new Map<number, Compiled>();
  readonly #reader: EntryReader;

  constructor(schemas: SchemaSource, part: 'key' | 'value', columns: readonly Column[], compile: Compile) {
    this.#schemas = schemas;
    this.#part = part;
    this.#compile = compile;
    this.#reader = new EntryReader(columns);
  }

  get unusual(): number {
    return this.#reader.unusual;
  }

  async prepare(records: RecordColumns): Promise<void> {
    const starts = this.#part === 'key' ? records.keyStarts : records.valueStarts;
    const lengths = this.#part === 'key' ? records.keyLengths : records.valueLengths;
    let last: number | undefined;
    const asked = new Set<number>();
    for (let i = 0; i < records.count; i++) {
      if (lengths[i]! < wireHeaderLength || records.bytes[starts[i]!] !== 0) continue;
      const id = records.view.getInt32(starts[i]! + 1);
      if (id === last) continue;
      last = id;
      // A schema that could not be used may be registered or mended later: asked again with the next batch.
      if (asked.has(id) || this.#isReadable(id)) continue;
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
    let compiled: ReturnType<Compile>;
    try {
      if (schema.type !== 'AVRO') throw new DecodeError('', `it is ${schema.type}, expected AVRO`);
      compiled = this.#compile(parseAvroSchema(schema.text, schema.references), id);
    } catch (error) {
      return new DecodeError('', `schema ${id}: ${messageOf(error)}`);
    }
    // The schema is good: what fails from here on is no record's fault.
    return { exact: wireReader(compiled.exact), generated: compiled.generate() };
  }

  #isReadable(id: number): boolean {
    const compiled = this.#compiled.get(id);
    return compiled !== undefined && !(compiled instanceof DecodeError);
  }

  append(entries: Entries, from: number, to: number): number {
    for (let first = from; first < to; ) {
      const compiled = this.#compiledFor(entries, first);
      if (compiled instanceof DecodeError) {
        this.failure = new DecodeError(compiled.field, compiled.reason);
        return first;
      }
      const behind = endOfRun(entries, first, to);
      const end = this.#reader.append(entries, first, behind, compiled);
      this.failure = this.#reader.failure;
      if (end < behind) return end;
      first = behind;
    }
    return to;
  }

  #compiledFor({ bytes, view, starts, lengths }: Entries, i: number): Compiled {
    const start = starts[i]!;
    const id = wireSchemaId(bytes, start, lengths[i]!);
    return id === undefined
      ? notWireFormat(bytes, start, start + lengths[i]!)
      : this.#compiled.get(view.getInt32(start + 1))!;
  }
}

/** Behind the entries from `first` on that begin as it does: those of one schema. */
function endOfRun({ bytes, view, starts, lengths }: Entries, first: number, to: number): number {
  const id = view.getInt32(starts[first]! + 1);
  let i = first + 1;
  while (
    i < to &&
    lengths[i]! >= wireHeaderLength &&
    bytes[starts[i]!] === 0 &&
    view.getInt32(starts[i]! + 1) === id
  )
    i++;
  return i;
}

/** Reads what follows the header of the wire format, all of it. */
function wireReader(read: AvroReader): ReadEntry {
  const cursor = new AvroCursor();
  return (bytes, view, start, end) => {
    cursor.bytes = bytes;
    cursor.view = view;
    cursor.position = start + wireHeaderLength;
    cursor.end = end;
    cursor.depth = 0;
    read(cursor);
    if (cursor.position === end) return;
    const off = cursor.position - end;
    throw new DecodeError(
      '',
      off > 0 ? `the record is ${off} bytes short` : `${-off} bytes are left after the record`,
    );
  };
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
  form: Form = 'generated',
): AvroDecoder {
  return new AvroDecoder(schemas, 'value', columns, (writer, schemaId) => {
    const unlanded = new Set<string>();
    const exact = compileRecord(writer, fields, columns, unlanded);
    if (unlanded.size > 0)
      log.warn('fields of the schema have no column and are not landed', { schemaId, fields: [...unlanded] });
    const generate = () => (isGenerated(form) ? generateRecord(writer, fields, columns) : undefined);
    return { exact, generate };
  });
}

/** Decodes keys: the whole key into one column. */
export function avroKeyDecoder(
  schemas: SchemaSource,
  field: Field,
  column: Column,
  form: Form = 'generated',
): AvroDecoder {
  return new AvroDecoder(schemas, 'key', [column], (writer) => ({
    exact: compileValue(writer, field, column),
    generate: () => (isGenerated(form) ? generateValue(writer, field, column) : undefined),
  }));
}

/** The id of the schema a value was written with, undefined when it is not in the wire format. */
export function wireSchemaId(bytes: Buffer, start: number, length: number): number | undefined {
  return length >= wireHeaderLength && bytes[start] === 0 ? bytes.readInt32BE(start + 1) : undefined;
}
