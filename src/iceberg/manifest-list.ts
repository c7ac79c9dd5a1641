import { FatalError } from '../base/errors.ts';
import {
  type AvroRecord,
  type AvroSchema,
  fieldNamesById,
  readAvroFile,
  writeAvroFile,
} from './avro-file.ts';
import type { DataFile } from './data-file.ts';
import type { PartitionSpec } from './partition-spec.ts';
import { fromSingleValue, toSingleValue } from './single-value.ts';
import type { PartitionValue } from './transforms.ts';
import type { PrimitiveType } from './types.ts';

/** A row of a manifest list (spec "Manifest Lists", struct `manifest_file`). */
export interface ManifestFile {
  path: string;
  length: number;
  specId: number;
  /** 0 data, 1 deletes. */
  content: number;
  sequenceNumber: number;
  minSequenceNumber: number;
  addedSnapshotId: bigint;
  addedFiles: number;
  existingFiles: number;
  deletedFiles: number;
  addedRows: number;
  existingRows: number;
  deletedRows: number;
  partitions: readonly FieldSummary[] | null;
  keyMetadata: Uint8Array | null;
}

/** What a manifest's files hold in one partition field. */
export interface FieldSummary {
  containsNull: boolean;
  containsNan: boolean | null;
  lowerBound: Uint8Array | null;
  upperBound: Uint8Array | null;
}

const optional = (type: AvroSchema): AvroSchema => ['null', type];

const fieldSummary = {
  type: 'record',
  name: 'r508',
  fields: [
    { name: 'contains_null', type: 'boolean', 'field-id': 509 },
    { name: 'contains_nan', type: optional('boolean'), default: null, 'field-id': 518 },
    { name: 'lower_bound', type: optional('bytes'), default: null, 'field-id': 510 },
    { name: 'upper_bound', type: optional('bytes'), default: null, 'field-id': 511 },
  ],
};

const names = {
  500: 'manifest_path',
  501: 'manifest_length',
  502: 'partition_spec_id',
  517: 'content',
  515: 'sequence_number',
  516: 'min_sequence_number',
  503: 'added_snapshot_id',
  504: 'added_files_count',
  505: 'existing_files_count',
  506: 'deleted_files_count',
  512: 'added_rows_count',
  513: 'existing_rows_count',
  514: 'deleted_rows_count',
  507: 'partitions',
  519: 'key_metadata',
} as const;

const manifestFileSchema: AvroSchema = {
  type: 'record',
  name: 'manifest_file',
  fields: [
    { name: names[500], type: 'string', 'field-id': 500 },
    { name: names[501], type: 'long', 'field-id': 501 },
    { name: names[502], type: 'int', 'field-id': 502 },
    { name: names[517], type: 'int', 'field-id': 517 },
    { name: names[515], type: 'long', 'field-id': 515 },
    { name: names[516], type: 'long', 'field-id': 516 },
    { name: names[503], type: 'long', 'field-id': 503 },
    { name: names[504], type: 'int', 'field-id': 504 },
    { name: names[505], type: 'int', 'field-id': 505 },
    { name: names[506], type: 'int', 'field-id': 506 },
    { name: names[512], type: 'long', 'field-id': 512 },
    { name: names[513], type: 'long', 'field-id': 513 },
    { name: names[514], type: 'long', 'field-id': 514 },
    {
      name: names[507],
      type: optional({ type: 'array', items: fieldSummary, 'element-id': 508 }),
      default: null,
      'field-id': 507,
    },
    { name: names[519], type: optional('bytes'), default: null, 'field-id': 519 },
  ],
};

export interface ManifestListHeader {
  snapshotId: bigint;
  parentSnapshotId: bigint | null;
  sequenceNumber: number;
}

/** Writes a manifest list of format version 2. `sync` is 16 random bytes. */
export function writeManifestList(
  header: ManifestListHeader,
  manifests: readonly ManifestFile[],
  sync: Uint8Array,
): Uint8Array {
  return writeAvroFile(
    manifestFileSchema,
    manifests.map(toRecord),
    {
      'snapshot-id': String(header.snapshotId),
      'parent-snapshot-id': String(header.parentSnapshotId), // "null" for the first, as Java writes it
      'sequence-number': String(header.sequenceNumber),
      'format-version': '2',
    },
    sync,
  );
}

function toRecord(manifest: ManifestFile): AvroRecord {
  const bytes = (value: Uint8Array | null): Buffer | null => (value === null ? null : Buffer.from(value));
  return {
    [names[500]]: manifest.path,
    [names[501]]: BigInt(manifest.length),
    [names[502]]: manifest.specId,
    [names[517]]: manifest.content,
    [names[515]]: BigInt(manifest.sequenceNumber),
    [names[516]]: BigInt(manifest.minSequenceNumber),
    [names[503]]: manifest.addedSnapshotId,
    [names[504]]: manifest.addedFiles,
    [names[505]]: manifest.existingFiles,
    [names[506]]: manifest.deletedFiles,
    [names[512]]: BigInt(manifest.addedRows),
    [names[513]]: BigInt(manifest.existingRows),
    [names[514]]: BigInt(manifest.deletedRows),
    [names[507]]:
      manifest.partitions?.map((summary) => ({
        contains_null: summary.containsNull,
        contains_nan: summary.containsNan,
        lower_bound: bytes(summary.lowerBound),
        upper_bound: bytes(summary.upperBound),
      })) ?? null,
    [names[519]]: bytes(manifest.keyMetadata),
  };
}

/** Reads a manifest list of any writer; rows of format version 1 get its defaults. @throws {FatalError} when damaged. */
export function readManifestList(bytes: Uint8Array, name: string): ManifestFile[] {
  const file = readAvroFile(bytes, name);
  const stored = fieldNamesById(file.schema, names);
  return file.records.map((record) => {
    const get = (id: number): unknown => (stored[id] === undefined ? undefined : record[stored[id]]);
    const number = (id: number): number => Number(get(id) ?? 0);
    // In format version 1 a count may be missing, which means "some". Readers pass over manifests that count none.
    const count = (id: number): number => {
      if (get(id) == null)
        throw new FatalError(
          `reading ${name}: manifest ${String(get(500))} comes without counts; rewrite the table's manifests`,
        );
      return number(id);
    };
    const summaries = get(507) as AvroRecord[] | null | undefined;
    return {
      path: get(500) as string,
      length: number(501),
      specId: number(502),
      content: number(517),
      sequenceNumber: number(515),
      minSequenceNumber: number(516),
      addedSnapshotId: BigInt((get(503) as bigint | null) ?? 0n),
      addedFiles: count(504),
      existingFiles: count(505),
      deletedFiles: count(506),
      addedRows: count(512),
      existingRows: count(513),
      deletedRows: count(514),
      partitions:
        summaries?.map((summary) => ({
          containsNull: summary['contains_null'] as boolean,
          containsNan: (summary['contains_nan'] as boolean | null | undefined) ?? null,
          lowerBound: (summary['lower_bound'] as Buffer | null) ?? null,
          upperBound: (summary['upper_bound'] as Buffer | null) ?? null,
        })) ?? null,
      keyMetadata: (get(519) as Buffer | null | undefined) ?? null,
    };
  });
}

/** The manifest-list row of a manifest that holds only newly added data files. */
export function addedManifest(
  location: { path: string; length: number },
  snapshot: { snapshotId: bigint; sequenceNumber: number },
  spec: PartitionSpec,
  types: readonly PrimitiveType[],
  files: readonly Pick<DataFile, 'partition' | 'recordCount'>[],
): ManifestFile {
  return {
    ...location,
    specId: spec.specId,
    content: 0,
    sequenceNumber: snapshot.sequenceNumber,
    minSequenceNumber: snapshot.sequenceNumber,
    addedSnapshotId: snapshot.snapshotId,
    addedFiles: files.length,
    existingFiles: 0,
    deletedFiles: 0,
    addedRows: files.reduce((sum, file) => sum + file.recordCount, 0),
    existingRows: 0,
    deletedRows: 0,
    partitions: spec.fields.map((_, i) =>
      summarize(
        types[i]!,
        files.map((file) => file.partition[i]!),
      ),
    ),
    keyMetadata: null,
  };
}

function summarize(type: PrimitiveType, values: readonly PartitionValue[]): FieldSummary {
  const floating = type.kind === 'float' || type.kind === 'double';
  const isNan = (value: PartitionValue): boolean => typeof value === 'number' && Number.isNaN(value);
  const present = values.filter(
    (value): value is Exclude<PartitionValue, null> => value !== null && !isNan(value),
  );
  const ordered = present.sort(comparePartitionValues);
  return {
    containsNull: values.includes(null),
    containsNan: floating ? values.some(isNan) : false,
    lowerBound: ordered.length === 0 ? null : toSingleValue(type, ordered[0]!),
    upperBound: ordered.length === 0 ? null : toSingleValue(type, ordered.at(-1)!),
  };
}

/** What several manifests together hold in one partition field. */
export function joinSummaries(type: PrimitiveType, summaries: readonly FieldSummary[]): FieldSummary {
  const nans = summaries.map(({ containsNan }) => containsNan);
  const bound = (name: 'lowerBound' | 'upperBound'): Uint8Array[] =>
    summaries
      .flatMap(({ [name]: bytes }) => (bytes === null ? [] : [bytes]))
      .sort((a, b) => comparePartitionValues(fromSingleValue(type, a), fromSingleValue(type, b)));
  return {
    containsNull: summaries.some(({ containsNull }) => containsNull),
    containsNan: nans.includes(true) ? true : nans.includes(null) ? null : false,
    lowerBound: bound('lowerBound')[0] ?? null,
    upperBound: bound('upperBound').at(-1) ?? null,
  };
}

/** Order within one partition field: numbers by value (-0 before +0), text and bytes by unsigned bytes. */
function comparePartitionValues(a: Exclude<PartitionValue, null>, b: Exclude<PartitionValue, null>): number {
  if (typeof a === 'string') return Buffer.compare(Buffer.from(a), Buffer.from(b as string));
  if (a instanceof Uint8Array) return Buffer.compare(a, b as Uint8Array);
  if (Object.is(a, -0) !== Object.is(b, -0) && a === b) return Object.is(a, -0) ? -1 : 1;
  return a < b ? -1 : a > b ? 1 : 0;
}
