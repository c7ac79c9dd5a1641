import { writeJson } from '../base/json.ts';
import {
  type AvroRecord,
  type AvroSchema,
  avroName,
  fieldNamesById,
  readAvroFile,
  writeAvroFile,
} from './avro-file.ts';
import type { DataFile } from './data-file.ts';
import { type PartitionSpec, partitionFieldsToJson } from './partition-spec.ts';
import { type Schema, schemaToJson } from './schema.ts';
import { decimalFromBytes, decimalToFixed } from './single-value.ts';
import type { PartitionValue } from './transforms.ts';
import { decimalBytes, type PrimitiveType } from './types.ts';

/**
 * Manifests of format version 2 (spec "Manifests"; field order of Java's `V2Metadata`).
 *
 * Non-obvious, each one a reader that broke somewhere (asserted byte by byte in the tests): the partition record is
 * named `r102` and the data file `r2`; every field carries its `field-id`; maps with integer keys are arrays with
 * `logicalType: map`; optional is `["null", T]` with null first, required is the bare type; `schema` in the header
 * is the table's schema, not the manifest's.
 */

const optional = (type: AvroSchema): AvroSchema => ['null', type];
const field = (id: number, name: string, type: AvroSchema): { [key: string]: unknown } =>
  Array.isArray(type) ? { name, type, default: null, 'field-id': id } : { name, type, 'field-id': id };

function mapOf(keyId: number, valueId: number, value: AvroSchema): AvroSchema {
  const items = {
    type: 'record',
    name: `k${keyId}_v${valueId}`,
    fields: [field(keyId, 'key', 'int'), field(valueId, 'value', value)],
  };
  return optional({ type: 'array', logicalType: 'map', items });
}

function listOf(elementId: number, element: AvroSchema): AvroSchema {
  return optional({ type: 'array', items: element, 'element-id': elementId });
}

/** The Avro type of a partition value (spec appendix A, "Avro"). */
function partitionAvroType(type: PrimitiveType): AvroSchema {
  switch (type.kind) {
    case 'date':
      return { type: 'int', logicalType: 'date' };
    case 'time':
      return { type: 'long', logicalType: 'time-micros' };
    case 'timestamp':
      return { type: 'long', logicalType: 'timestamp-micros', 'adjust-to-utc': false };
    case 'timestamptz':
      return { type: 'long', logicalType: 'timestamp-micros', 'adjust-to-utc': true };
    case 'decimal':
      return {
        type: 'fixed',
        name: `decimal_${type.precision}_${type.scale}`,
        size: decimalBytes(type.precision),
        logicalType: 'decimal',
        precision: type.precision,
        scale: type.scale,
      };
    case 'uuid':
      return { type: 'fixed', name: 'uuid_fixed', size: 16, logicalType: 'uuid' };
    case 'fixed':
      return { type: 'fixed', name: `fixed_${type.length}`, size: type.length };
    case 'binary':
      return 'bytes';
    default:
      return type.kind;
  }
}

/** The Avro schema of a manifest's entries. */
export function entrySchema(spec: PartitionSpec, types: readonly PrimitiveType[]): AvroSchema {
  // A fixed type may be defined once only; a second use refers to it by name.
  const defined = new Set<string>();
  const once = (type: AvroSchema): AvroSchema => {
    const name = (type as { name?: string }).name;
    if (name === undefined) return type;
    if (defined.has(name)) return name;
    defined.add(name);
    return type;
  };
  const partition = {
    type: 'record',
    name: 'r102',
    fields: spec.fields.map((f, i) => {
      const name = avroName(f.name);
      const member = field(f.fieldId, name, optional(once(partitionAvroType(types[i]!))));
      return name === f.name ? member : { ...member, 'iceberg-field-name': f.name };
    }),
  };
  const dataFile = {
    type: 'record',
    name: 'r2',
    fields: [
      field(134, 'content', 'int'),
      field(100, 'file_path', 'string'),
      field(101, 'file_format', 'string'),
      field(102, 'partition', partition),
      field(103, 'record_count', 'long'),
      field(104, 'file_size_in_bytes', 'long'),
      field(108, 'column_sizes', mapOf(117, 118, 'long')),
      field(109, 'value_counts', mapOf(119, 120, 'long')),
      field(110, 'null_value_counts', mapOf(121, 122, 'long')),
      field(137, 'nan_value_counts', mapOf(138, 139, 'long')),
      field(125, 'lower_bounds', mapOf(126, 127, 'bytes')),
      field(128, 'upper_bounds', mapOf(129, 130, 'bytes')),
      field(131, 'key_metadata', optional('bytes')),
      field(132, 'split_offsets', listOf(133, 'long')),
      field(135, 'equality_ids', listOf(136, 'int')),
      field(140, 'sort_order_id', optional('int')),
      field(143, 'referenced_data_file', optional('string')),
    ],
  };
  return {
    type: 'record',
    name: 'manifest_entry',
    fields: [
      field(0, 'status', 'int'),
      field(1, 'snapshot_id', optional('long')),
      field(3, 'sequence_number', optional('long')),
      field(4, 'file_sequence_number', optional('long')),
      field(2, 'data_file', dataFile),
    ],
  };
}

function toAvroValue(type: PrimitiveType, value: PartitionValue): unknown {
  if (value === null) return null;
  switch (type.kind) {
    case 'decimal':
      return Buffer.from(decimalToFixed(BigInt(value as bigint), decimalBytes(type.precision)));
    case 'uuid':
    case 'fixed':
    case 'binary':
      return Buffer.from(value as Uint8Array);
    case 'long':
    case 'time':
    case 'timestamp':
    case 'timestamptz':
      return BigInt(value as bigint);
    default:
      return value;
  }
}

function entries<V>(
  map: ReadonlyMap<number, V>,
  convert: (value: V) => unknown,
): { key: number; value: unknown }[] {
  return [...map].sort(([a], [b]) => a - b).map(([key, value]) => ({ key, value: convert(value) }));
}

/**
 * Writes the manifest of newly added data files. Sequence numbers and snapshot id stay null: they are inherited from
 * the manifest list (spec "Sequence Number Inheritance"), so the manifest is written once and serves every attempt (I7).
 */
export function writeManifest(
  schema: Schema,
  spec: PartitionSpec,
  types: readonly PrimitiveType[],
  files: readonly DataFile[],
  sync: Uint8Array,
): Uint8Array {
  const toBuffer = (bytes: Uint8Array): Buffer => Buffer.from(bytes);
  const records = files.map(
    (file): AvroRecord => ({
      status: 1,
      snapshot_id: null,
      sequence_number: null,
      file_sequence_number: null,
      data_file: {
        content: 0,
        file_path: file.path,
        file_format: file.format,
        partition: Object.fromEntries(
          spec.fields.map((f, i) => [avroName(f.name), toAvroValue(types[i]!, file.partition[i]!)]),
        ),
        record_count: BigInt(file.recordCount),
        file_size_in_bytes: BigInt(file.fileSizeBytes),
        column_sizes: entries(file.columnSizes, BigInt),
        value_counts: entries(file.valueCounts, BigInt),
        null_value_counts: entries(file.nullValueCounts, BigInt),
        nan_value_counts: entries(file.nanValueCounts, BigInt),
        lower_bounds: entries(file.lowerBounds, toBuffer),
        upper_bounds: entries(file.upperBounds, toBuffer),
        key_metadata: null,
        split_offsets: file.splitOffsets.map(BigInt),
        equality_ids: null,
        sort_order_id: 0,
        referenced_data_file: null,
      },
    }),
  );
  return writeAvroFile(entrySchema(spec, types), records, manifestHeader(schema, spec), sync);
}

/** What the header of a manifest of data files says (spec "Manifests"). */
export function manifestHeader(schema: Schema, spec: PartitionSpec): Record<string, string> {
  return {
    schema: writeJson(schemaToJson(schema)),
    'schema-id': String(schema.schemaId),
    'partition-spec': writeJson(partitionFieldsToJson(spec)),
    'partition-spec-id': String(spec.specId),
    'format-version': '2',
    content: 'data',
  };
}

/** One entry of a manifest, of any writer. Null numbers are inherited from the manifest list. */
export interface ManifestEntry {
  status: 'existing' | 'added' | 'deleted';
  snapshotId: bigint | null;
  /** Deletes of later numbers count for the file's rows. */
  sequenceNumber: number | null;
  /** When the file was added to the table, whoever has copied the entry since. */
  fileSequenceNumber: number | null;
  content: number;
  path: string;
  recordCount: number;
  fileSizeBytes: number;
  partition: Record<string, unknown>;
  lowerBounds: Map<number, Uint8Array>;
  upperBounds: Map<number, Uint8Array>;
}

const entryNames = {
  0: 'status',
  1: 'snapshot_id',
  3: 'sequence_number',
  4: 'file_sequence_number',
  2: 'data_file',
};
const dataFileNames = {
  134: 'content',
  100: 'file_path',
  102: 'partition',
  103: 'record_count',
  104: 'file_size_in_bytes',
  125: 'lower_bounds',
  128: 'upper_bounds',
};
const statuses = ['existing', 'added', 'deleted'] as const;

/** Reads a manifest of any writer and format version. @throws {FatalError} when it is damaged. */
export function readManifest(bytes: Uint8Array, name: string): ManifestEntry[] {
  const file = readAvroFile(bytes, name);
  const outer = fieldNamesById(file.schema, entryNames);
  const dataFile = (file.schema['fields'] as { name: string; type: { [key: string]: unknown } }[]).find(
    (f) => f.name === outer[2],
  )!;
  const inner = fieldNamesById(dataFile.type, dataFileNames);
  const partitionNames = partitionNamesOf(dataFile.type, inner[102]!);
  return file.records.map((record) => {
    const data = record[outer[2]!] as AvroRecord;
    const get = (id: number): unknown => (inner[id] === undefined ? undefined : data[inner[id]]);
    return {
      status: statuses[Number(record[outer[0]!])]!,
      snapshotId: (record[outer[1]!] as bigint | null) ?? null,
      sequenceNumber: numberOrNull(outer[3] === undefined ? undefined : record[outer[3]]),
      fileSequenceNumber: numberOrNull(outer[4] === undefined ? undefined : record[outer[4]]),
      content: Number(get(134) ?? 0),
      path: get(100) as string,
      recordCount: Number(get(103)),
      fileSizeBytes: Number(get(104)),
      partition: Object.fromEntries(
        partitionNames.map(([stored, own]) => [own, (get(102) as AvroRecord)[stored]]),
      ),
      lowerBounds: boundsOf(get(125)),
      upperBounds: boundsOf(get(128)),
    };
  });
}

function numberOrNull(value: unknown): number | null {
  return value === null || value === undefined ? null : Number(value);
}

/** The names of a manifest's partition fields: as they are in Avro, and their own. */
function partitionNamesOf(dataFile: { [key: string]: unknown }, partition: string): [string, string][] {
  const fields = dataFile['fields'] as { name: string; type: { fields: AvroRecord[] } }[];
  return fields
    .find((f) => f.name === partition)!
    .type.fields.map((f) => [f['name'] as string, (f['iceberg-field-name'] ?? f['name']) as string]);
}

function boundsOf(pairs: unknown): Map<number, Uint8Array> {
  return new Map(
    ((pairs as { key: number; value: Buffer }[] | null) ?? []).map(({ key, value }) => [key, value]),
  );
}

/** The number an integer bound stands for, whichever width it was written in. */
export function integerBound(bytes: Uint8Array): bigint {
  return bytes.length === 4 ? BigInt(Buffer.from(bytes).readInt32LE()) : decimalFromBytes(bytes.toReversed());
}
