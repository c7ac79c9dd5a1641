import { deflateRawSync, inflateRawSync } from 'node:zlib';
import avsc from 'avsc';
import { FatalError } from '../base/errors.ts';

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

/** avsc compiles code for every schema it is given; the same few come again and again. */
const types = new Map<string, avsc.Type>();
const typesMax = 100;

function typeOf(schemaText: string): avsc.Type {
  let type = types.get(schemaText);
  if (!type) {
    if (types.size >= typesMax) types.clear();
    type = compile(JSON.parse(schemaText));
    types.set(schemaText, type);
  }
  return type;
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
  const type = typeOf(schemaText);
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
  schema: { [key: string]: unknown };
  metadata: Record<string, string>;
  /** Longs are bigint, bytes are Buffer. */
  records: AvroRecord[];
}

/** Reads a container file of any writer. `name` is for messages. @throws {FatalError} when it is not one. */
export function readAvroFile(bytes: Uint8Array, name: string): AvroFile {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (!buffer.subarray(0, 4).equals(magic))
    throw new FatalError(`reading ${name}: not an Avro container file`);
  const header = headerType.decode(buffer, 4) as { value: Record<string, Buffer>; offset: number };
  if (header.offset < 0) throw new FatalError(`reading ${name}: its header is cut off`);
  const metadata: Record<string, string> = {};
  for (const [key, value] of Object.entries(header.value)) metadata[key] = value.toString('utf8');
  const schema = JSON.parse(metadata['avro.schema']!) as { [key: string]: unknown };
  const type = typeOf(metadata['avro.schema']!);
  const records: AvroRecord[] = [];
  let position = header.offset + syncLength;
  while (position < buffer.length) {
    const count = countType.decode(buffer, position) as { value: number; offset: number };
    const size = countType.decode(buffer, count.offset) as { value: number; offset: number };
    const end = size.offset + size.value;
    if (count.offset < 0 || size.offset < 0 || end + syncLength > buffer.length)
      throw new FatalError(`reading ${name}: it is cut off at byte ${position}`);
    const body = decompress(metadata['avro.codec'], buffer.subarray(size.offset, end), name);
    for (let i = 0, at = 0; i < count.value; i++) {
      const record = type.decode(body, at) as { value: AvroRecord; offset: number };
      if (record.offset < 0) throw new FatalError(`reading ${name}: a block ends inside a record`);
      records.push(record.value);
      at = record.offset;
    }
    position = end + syncLength;
  }
  return { schema, metadata, records };
}

function decompress(codec: string | undefined, body: Buffer, name: string): Buffer {
  if (codec === undefined || codec === 'null') return body;
  if (codec === 'deflate') return inflateRawSync(body);
  throw new FatalError(`reading ${name}: Avro codec ${codec} is not supported (deflate and null are)`);
}

/**
 * The name under which a writer stored each Iceberg field of a record, by field id: names differ between writers
 * and versions, ids do not. Fields without an id are found by `fallback`'s names.
 */
export function fieldNamesById(
  record: { [key: string]: unknown },
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
