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
const recordsPerBlock = 4096;

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
  const schemaText = JSON.stringify(schema);
  const { type } = compiledOf(schemaText);
  const header: Record<string, Buffer> = {
    'avro.schema': Buffer.from(schemaText),
    'avro.codec': Buffer.from('deflate'),
  };
  for (const [key, value] of Object.entries(metadata)) header[key] = Buffer.from(value);
  const parts: Uint8Array[] = [magic, headerType.toBuffer(header), sync];
  for (let from = 0; from < records.length; from += recordsPerBlock) {
    const block = records.slice(from, from + recordsPerBlock);
    const body = deflateRawSync(Buffer.concat(block.map((record) => type.toBuffer(record))));
    parts.push(countType.toBuffer(block.length), countType.toBuffer(body.length), body, sync);
  }
  return Buffer.concat(parts);
}

export interface AvroFile {
  /** Shared by all files that have it. */
  readonly schema: { readonly [key: string]: unknown };
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
  const header = headerType.decode(buffer, magic.length) as { value: Record<string, Buffer>; offset: number };
  if (header.offset < 0) throw new Error('its header is cut off');
  const metadata: Record<string, string> = {};
  for (const [key, value] of Object.entries(header.value)) metadata[key] = value.toString('utf8');
  const { schema, type } = compiledOf(metadata['avro.schema']!);
  const records: AvroRecord[] = [];
  let position = header.offset + syncLength;
  const sync = buffer.subarray(header.offset, position);
  if (sync.length < syncLength) throw new Error('its header is cut off');
  while (position < buffer.length) {
    const count = countType.decode(buffer, position) as { value: number; offset: number };
    const size = countType.decode(buffer, count.offset) as { value: number; offset: number };
    const end = size.offset + size.value;
    if (count.offset < 0 || size.offset < 0 || end + syncLength > buffer.length)
      throw new Error(`it is cut off at byte ${position}`);
    if (!buffer.subarray(end, end + syncLength).equals(sync))
      throw new Error(`the block at byte ${position} does not end where it says`);
    const body = decompress(metadata['avro.codec'], buffer.subarray(size.offset, end));
    for (let i = 0, at = 0; i < count.value; i++) {
      const record = type.decode(body, at) as { value: AvroRecord; offset: number };
      if (record.offset < 0) throw new Error('a block ends inside a record');
      records.push(record.value);
      at = record.offset;
    }
    position = end + syncLength;
  }
  return { schema, metadata, records };
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
