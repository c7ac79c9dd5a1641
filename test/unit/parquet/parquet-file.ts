import { gunzipSync, zstdDecompressSync } from 'node:zlib';
import { type FileMetaData, parquetMetadata, parquetReadObjects, type SchemaElement } from 'hyparquet';
import type { Schema } from '../../../src/iceberg/schema.ts';
import { isPrimitive, type PrimitiveType, type Type } from '../../../src/iceberg/types.ts';
import type { Canonical, Row } from '../../tools/canonical.ts';
import { bytesText, decimalText, doubleBits, floatBits } from '../arrow/rows.ts';

/** Parquet files as hyparquet reads them: a reader that shares no line with the program. */

export function join(parts: readonly Uint8Array[]): ArrayBuffer {
  const bytes = Buffer.concat(parts);
  return bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.length) as ArrayBuffer;
}

export function footerOf(file: ArrayBuffer): FileMetaData {
  return parquetMetadata(file);
}

/** A node of a file's schema tree. */
export interface Node extends SchemaElement {
  path: string[];
  children: Node[];
}

/** The schema elements of a file as a tree. */
export function treeOf(metadata: FileMetaData): Node {
  let next = 0;
  const node = (above: readonly string[]): Node => {
    const element = metadata.schema[next++]!;
    const path = next === 1 ? [] : [...above, element.name];
    const children = Array.from({ length: element.num_children ?? 0 }, () => node(path));
    return { ...element, path, children };
  };
  return node([]);
}

/** All rows of a file in canonical form. */
export async function readParquet(file: ArrayBuffer, schema: Schema): Promise<Row[]> {
  const metadata = parquetMetadata(file);
  // hyparquet would make floats of decimals, dates of moments and objects of maps: it is told of none of them.
  for (const element of metadata.schema) {
    if (element.converted_type !== 'LIST') delete element.converted_type;
    if (element.logical_type?.type !== 'LIST') delete element.logical_type;
  }
  const rows = await parquetReadObjects({
    file,
    metadata,
    utf8: false,
    compressors: {
      GZIP: (input) => gunzipSync(input),
      ZSTD: (input) => zstdDecompressSync(input),
      LZ4_RAW: (input, length) => lz4Block(input, length),
    },
  });
  return rows.map((row) =>
    Object.fromEntries(schema.fields.map((field) => [field.name, canonical(field.type, row[field.name])])),
  );
}

// biome-ignore lint/suspicious/noExplicitAny: what hyparquet answers has the shape of the file's schema
function canonical(type: Type, value: any): Canonical {
  if (value === null || value === undefined) return null;
  if (isPrimitive(type)) return leaf(type, value);
  switch (type.kind) {
    case 'struct':
      return Object.fromEntries(
        type.fields.map((field) => [field.name, canonical(field.type, value[field.name])]),
      );
    case 'list':
      return [...value].map((item) => canonical(type.element, item));
    case 'map':
      return value.key_value.map((pair: { key: unknown; value: unknown }) => [
        canonical(type.key, pair.key),
        canonical(type.value, pair.value),
      ]);
  }
}

function leaf(type: PrimitiveType, value: boolean | number | bigint | Uint8Array): Canonical {
  switch (type.kind) {
    case 'boolean':
      return value as boolean;
    case 'float':
      return floatBits(value as number);
    case 'double':
      return doubleBits(value as number);
    case 'decimal':
      return decimalText(value instanceof Uint8Array ? bigEndian(value) : BigInt(value), type.scale);
    case 'string':
    case 'uuid':
    case 'fixed':
    case 'binary':
      return bytesText(type, value as Uint8Array);
    default:
      return String(value);
  }
}

function bigEndian(bytes: Uint8Array): bigint {
  return BigInt.asIntN(8 * bytes.length, BigInt(`0x${Buffer.from(bytes).toString('hex')}`));
}

/** LZ4 doc/lz4_Block_format.md, the other way round. */
export function lz4Block(input: Uint8Array, length: number): Uint8Array {
  const out = new Uint8Array(length);
  let from = 0;
  let to = 0;
  const more = (first: number): number => {
    let sum = first;
    if (first === 15) for (let byte = 255; byte === 255; sum += byte) byte = input[from++]!;
    return sum;
  };
  for (;;) {
    const token = input[from++]!;
    for (let n = more(token >> 4); n > 0; n--) out[to++] = input[from++]!;
    if (from >= input.length) return out.subarray(0, to);
    const distance = input[from]! | (input[from + 1]! << 8);
    from += 2;
    for (let n = more(token & 15) + 4; n > 0; n--, to++) out[to] = out[to - distance]!;
  }
}
