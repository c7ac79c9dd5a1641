import { deflateRawSync, inflateRawSync } from 'node:zlib';
import avsc from 'avsc';
import { FatalError, messageOf } from '../base/errors.ts';

/**
 * Avro object container files (Avro 1.12 "Object Container Files") for manifests and manifest lists.
 *
 * avsc encodes the records; the container is written here because the header must hold our schema text untouched:
 * readers find columns by the `field-id` attributes, which avsc would drop.
 */

export type AvroSchema = string | AvroSchema[] | { [key: string]: unknown };
export type AvroRecord = { [name: string]: unknown };

const magic = Buffer.from([0x4f, 0x62, 0x6a, 0x01]); // "Obj" 1
const syncLength = 16;
/** A block ends with so many bytes: what compresses it holds the thread for some ms. */
const blockBytes = 256 * 1024;

// 64-bit longs as bigint: snapshot ids do not fit a double.
const long = avsc.types.LongType.__with({
  fromBuffer: (bytes: Buffer) => bytes.readBigInt64LE(),
  toBuffer: (n: bigint) => {
    const out = Buffer.alloc(8);
    out.writeBigInt64LE(BigInt(n));
    return out;
  },
  fromJSON: BigInt,
  toJSON: Number,
  isValid: (n: unknown) => typeof n === 'bigint' || Number.isSafeInteger(n),
  compare: (a: bigint, b: bigint) => (a === b ? 0 : a < b ? -1 : 1),
});

/** A schema as avsc takes it, and what avsc makes of it. */
interface Compiled {
  readonly schema: AvroFile['schema'];
  readonly type: avsc.Type;
}

/** avsc compiles code for every schema it is given; the same few come again and again. */
const compiled = new Map<string, Compiled>();
const compiledMax = 100;

function compiledOf(schemaText: string): Compiled {
  let known = compiled.get(schemaText);
  if (!known) {
    if (compiled.size >= compiledMax) compiled.clear();
    const schema = withAvroNames(JSON.parse(schemaText)) as AvroFile['schema'];
    known = { schema, type: compile(schema) };
    compiled.set(schemaText, known);
  }
  return known;
}

// A registry entry for "long" is not consulted for `{"type": "long", ...}` (avsc#496); the hook sees both forms.
function compile(schema: AvroSchema): avsc.Type {
  return avsc.Type.forSchema(
    schema as avsc.Schema,
    {
      typeHook: (node: unknown) =>
        node === 'long' || (node as { type?: unknown } | null)?.type === 'long' ? long : undefined,
    } as object,
  );
}

/** Java leaves letters of all alphabets in field names; Avro, and so avsc, does not take them. */
function withAvroNames(schema: AvroSchema): AvroSchema {
  if (Array.isArray(schema)) return schema.map(withAvroNames);
  if (schema === null || typeof schema !== 'object') return schema;
  const { fields, type, items } = schema as { [key: string]: AvroSchema | undefined };
  return {
    ...schema,
    ...(type === undefined ? {} : { type: withAvroNames(type) }),
    ...(items === undefined ? {} : { items: withAvroNames(items) }),
    ...(Array.isArray(fields) ? { fields: fields.map(withAvroName) } : {}),
  };
}

function withAvroName(field: AvroSchema): AvroSchema {
  const { name, ...rest } = withAvroNames(field) as { name: string };
  const safe = avroName(name);
  return safe === name ? { name, ...rest } : { 'iceberg-field-name': name, ...rest, name: safe };
}

const headerType = avsc.Type.forSchema({ type: 'map', values: 'bytes' });
const countType = avsc.Type.forSchema('long');

/** Writes a container file, deflate-compressed (what Iceberg calls gzip). `sync` is 16 random bytes. */
export function writeAvroFile(
  schema: AvroSchema,
  records: readonly AvroRecord[],
  metadata: Readonly<Record<string, string>>,
  sync: Uint8Array,
): Uint8Array {
  const file = new AvroWriter(JSON.stringify(schema), metadata, sync);
  file.add(records);
  return file.finish();
}

/** Some records of a container file, compressed with deflate. */
export interface AvroBlock {
  readonly count: number;
  readonly body: Uint8Array;
}

/** A container file that is written bit by bit. */
export class AvroWriter {
  readonly #type: avsc.Type;
  readonly #sync: Uint8Array;
  readonly #parts: Uint8Array[];
  #records: Uint8Array[] = [];
  #bytes = 0;

  constructor(schemaText: string, metadata: Readonly<Record<string, string>>, sync: Uint8Array) {
    this.#type = compiledOf(schemaText).type;
    this.#sync = sync;
    const header: Record<string, Buffer> = {
      'avro.schema': Buffer.from(schemaText),
      'avro.codec': Buffer.from('deflate'),
    };
    for (const [key, value] of Object.entries(metadata)) header[key] = Buffer.from(value);
    this.#parts = [magic, headerType.toBuffer(header), sync];
  }

  /** All of them or none. @throws {Error} when one is not of the schema. */
  add(records: readonly AvroRecord[]): void {
    for (const bytes of records.map((record) => this.#type.toBuffer(record))) {
      this.#records.push(bytes);
      this.#bytes += bytes.length;
      if (this.#bytes >= blockBytes) this.#endBlock();
    }
  }

  /** A block of another file of the very same schema, as it is. */
  copy({ count, body }: AvroBlock): void {
    this.#endBlock();
    this.#parts.push(countType.toBuffer(count), countType.toBuffer(body.length), body, this.#sync);
  }

  finish(): Uint8Array {
    this.#endBlock();
    return Buffer.concat(this.#parts);
  }

  #endBlock(): void {
    const count = this.#records.length;
    if (count === 0) return;
    const body = deflateRawSync(Buffer.concat(this.#records));
    this.#records = [];
    this.#bytes = 0;
    this.copy({ count, body });
  }
}

export interface AvroFile {
  /** Shared by all files that have it. */
  readonly schema: { readonly [key: string]: unknown };
  readonly schemaText: string;
  metadata: Record<string, string>;
  /** Longs are bigint, bytes are Buffer. */
  records: AvroRecord[];
}

/** Reads a container file of any writer. `name` is for messages. @throws {FatalError} when it is not one. */
export function readAvroFile(bytes: Uint8Array, name: string): AvroFile {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (!buffer.subarray(0, 4).equals(magic))
    throw new FatalError(`reading ${name}: not an Avro container file`);
  try {
    return decodeFile(buffer);
  } catch (error) {
    throw new FatalError(`reading ${name}: ${messageOf(error)}`, { cause: error });
  }
}

function decodeFile(buffer: Buffer): AvroFile {
  const { schemaText, metadata, blocks } = openFile(buffer);
  const { schema, type } = compiledOf(schemaText);
  const records: AvroRecord[] = [];
  for (const { count, body: stored } of blocks) {
    const body = decompress(
      metadata['avro.codec'],
      Buffer.from(stored.buffer, stored.byteOffset, stored.length),
    );
    for (let i = 0, at = 0; i < count; i++) {
      const record = type.decode(body, at) as { value: AvroRecord; offset: number };
      if (record.offset < 0) throw new Error('a block ends inside a record');
      records.push(record.value);
      at = record.offset;
    }
  }
  return { schema, schemaText, metadata, records };
}

/**
 * The blocks of a container file, without a look inside, if a file of this schema may have them as they are.
 * @throws {FatalError} when it is damaged.
 */
export function readAvroBlocks(bytes: Uint8Array, schemaText: string, name: string): AvroBlock[] | undefined {
  try {
    const file = openFile(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength));
    const isAlike = file.schemaText === schemaText && file.metadata['avro.codec'] === 'deflate';
    return isAlike ? [...file.blocks] : undefined;
  } catch (error) {
    throw new FatalError(`reading ${name}: ${messageOf(error)}`, { cause: error });
  }
}

function openFile(buffer: Buffer): {
  schemaText: string;
  metadata: Record<string, string>;
  blocks: Iterable<AvroBlock>;
} {
  const header = headerType.decode(buffer, magic.length) as { value: Record<string, Buffer>; offset: number };
  if (header.offset < 0) throw new Error('its header is cut off');
  const metadata: Record<string, string> = {};
  for (const [key, value] of Object.entries(header.value)) metadata[key] = value.toString('utf8');
  return { schemaText: metadata['avro.schema']!, metadata, blocks: blocksFrom(buffer, header.offset) };
}

function* blocksFrom(buffer: Buffer, start: number): Generator<AvroBlock> {
  let position = start + syncLength;
  const sync = buffer.subarray(start, position);
  if (sync.length < syncLength) throw new Error('its header is cut off');
  while (position < buffer.length) {
    const count = countType.decode(buffer, position) as { value: number; offset: number };
    const size = countType.decode(buffer, count.offset) as { value: number; offset: number };
    const end = size.offset + size.value;
    if (count.offset < 0 || size.offset < 0 || end + syncLength > buffer.length)
      throw new Error(`it is cut off at byte ${position}`);
    if (!buffer.subarray(end, end + syncLength).equals(sync))
      throw new Error(`the block at byte ${position} does not end where it says`);
    yield { count: count.value, body: buffer.subarray(size.offset, end) };
    position = end + syncLength;
  }
}

function decompress(codec: string | undefined, body: Buffer): Buffer {
  if (codec === undefined || codec === 'null') return body;
  if (codec === 'deflate') return inflateRawSync(body);
  throw new Error(`Avro codec ${codec} is not supported (deflate and null are)`);
}

/**
 * The name under which a writer stored each Iceberg field of a record, by field id: names differ between writers
 * and versions, ids do not. Fields without an id are found by `fallback`'s names.
 */
export function fieldNamesById(
  record: { readonly [key: string]: unknown },
  fallback: Readonly<Record<number, string>>,
): Record<number, string> {
  const fields = record['fields'] as { name: string; 'field-id'?: number }[];
  const names: Record<number, string> = {};
  for (const [id, name] of Object.entries(fallback)) {
    const field =
      fields.find((candidate) => candidate['field-id'] === Number(id)) ?? fields.find((f) => f.name === name);
    if (field) names[Number(id)] = field.name;
  }
  return names;
}

/**
 * A name that Avro accepts for an Iceberg name (Java `AvroSchemaUtil.makeCompatibleName`):
 * `order id` -> `order_x20id`, `1st` -> `_1st`.
 */
export function avroName(name: string): string {
  let out = '';
  for (const [i, c] of [...name].entries()) {
    const letter = /[A-Za-z_]/.test(c);
    const digit = /[0-9]/.test(c);
    if (letter || (digit && i > 0)) out += c;
    else if (digit) out += `_${c}`;
    else out += `_x${c.codePointAt(0)!.toString(16).toUpperCase()}`;
  }
  return out;
}
