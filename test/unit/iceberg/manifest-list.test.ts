import { expect, test } from 'vitest';
import { FatalError } from '../../../src/base/errors.ts';
import { writeAvroFile } from '../../../src/iceberg/avro-file.ts';
import {
  addedManifest,
  type FieldSummary,
  joinSummaries,
  type ManifestFile,
  readManifestList,
  writeManifestList,
} from '../../../src/iceberg/manifest-list.ts';
import type { PartitionSpec } from '../../../src/iceberg/partition-spec.ts';
import { toSingleValue } from '../../../src/iceberg/single-value.ts';
import type { PartitionValue } from '../../../src/iceberg/transforms.ts';
import type { PrimitiveType } from '../../../src/iceberg/types.ts';
import { type AvroNode, readAvroBytes } from './avro-bytes.ts';

const sync = Buffer.alloc(16, 3);
const snapshotId = 2n ** 62n + 1n; // not a double
const header = { snapshotId, parentSnapshotId: 2n ** 63n - 1n, sequenceNumber: 9 };

const row: ManifestFile = {
  path: 'file:///warehouse/shop/orders/metadata/one-m0.avro',
  length: 7_031,
  specId: 0,
  content: 0,
  sequenceNumber: 9,
  minSequenceNumber: 8,
  addedSnapshotId: snapshotId,
  addedFiles: 1,
  existingFiles: 2,
  deletedFiles: 3,
  addedRows: 2 ** 40,
  existingRows: 5,
  deletedRows: 6,
  partitions: [
    { containsNull: true, containsNan: false, lowerBound: Buffer.from('eu'), upperBound: Buffer.from('us') },
    { containsNull: false, containsNan: null, lowerBound: null, upperBound: null },
  ],
  keyMetadata: null,
};

const schemaOf = (): AvroNode => readAvroBytes(writeManifestList(header, [], sync)).schema;

test('the header has the keys that Java and PyIceberg write, with ids digit for digit', () => {
  const { metadata } = readAvroBytes(writeManifestList(header, [row], sync));
  expect(Object.fromEntries(Object.entries(metadata).filter(([key]) => key !== 'avro.schema'))).toEqual({
    'avro.codec': 'deflate',
    'format-version': '2',
    'snapshot-id': '4611686018427387905',
    'parent-snapshot-id': '9223372036854775807',
    'sequence-number': '9',
  });
  const first = readAvroBytes(writeManifestList({ ...header, parentSnapshotId: null }, [], sync));
  expect(first.metadata['parent-snapshot-id']).toBe('null');
});

test('a row has the fields of format version 2 in Java’s order, required ones as bare types', () => {
  const schema = schemaOf();
  expect([schema.type, schema.name]).toEqual(['record', 'manifest_file']);
  expect(
    schema.fields.map(({ 'field-id': id, name, type, default: fallback }: AvroNode) => [
      id,
      name,
      type,
      fallback,
    ]),
  ).toEqual([
    [500, 'manifest_path', 'string', undefined],
    [501, 'manifest_length', 'long', undefined],
    [502, 'partition_spec_id', 'int', undefined],
    [517, 'content', 'int', undefined],
    [515, 'sequence_number', 'long', undefined],
    [516, 'min_sequence_number', 'long', undefined],
    [503, 'added_snapshot_id', 'long', undefined],
    [504, 'added_files_count', 'int', undefined],
    [505, 'existing_files_count', 'int', undefined],
    [506, 'deleted_files_count', 'int', undefined],
    [512, 'added_rows_count', 'long', undefined],
    [513, 'existing_rows_count', 'long', undefined],
    [514, 'deleted_rows_count', 'long', undefined],
    [507, 'partitions', ['null', { type: 'array', items: expect.anything(), 'element-id': 508 }], null],
    [519, 'key_metadata', ['null', 'bytes'], null],
  ]);
});

test('partition summaries are records r508 with their ids', () => {
  const [, list] = schemaOf().fields.find((field: AvroNode) => field.name === 'partitions').type;
  expect(list.items).toEqual({
    type: 'record',
    name: 'r508',
    fields: [
      { name: 'contains_null', type: 'boolean', 'field-id': 509 },
      { name: 'contains_nan', type: ['null', 'boolean'], default: null, 'field-id': 518 },
      { name: 'lower_bound', type: ['null', 'bytes'], default: null, 'field-id': 510 },
      { name: 'upper_bound', type: ['null', 'bytes'], default: null, 'field-id': 511 },
    ],
  });
});

test('a row says all that it was given', () => {
  const { blocks } = readAvroBytes(
    writeManifestList(header, [row, { ...row, content: 1, partitions: null }], sync),
  );
  expect(blocks.flat()).toEqual([
    {
      manifest_path: 'file:///warehouse/shop/orders/metadata/one-m0.avro',
      manifest_length: 7_031n,
      partition_spec_id: 0,
      content: 0,
      sequence_number: 9n,
      min_sequence_number: 8n,
      added_snapshot_id: snapshotId,
      added_files_count: 1,
      existing_files_count: 2,
      deleted_files_count: 3,
      added_rows_count: 2n ** 40n,
      existing_rows_count: 5n,
      deleted_rows_count: 6n,
      partitions: [
        { contains_null: true, contains_nan: false, lower_bound: '6575', upper_bound: '7573' },
        { contains_null: false, contains_nan: null, lower_bound: null, upper_bound: null },
      ],
      key_metadata: null,
    },
    expect.objectContaining({ content: 1, partitions: null }),
  ]);
});

test('rows come back as they were written: those of other writers are copied unchanged', () => {
  const rows: ManifestFile[] = [
    row,
    { ...row, content: 1, specId: 7, keyMetadata: Buffer.from('key') },
    { ...row, partitions: [], addedSnapshotId: 1n },
    { ...row, partitions: null },
  ];
  expect(readManifestList(writeManifestList(header, rows, sync), 'snap.avro')).toEqual(rows);
});

test('a list without rows is a list', () => {
  expect(readManifestList(writeManifestList(header, [], sync), 'snap.avro')).toEqual([]);
});

test('damage is told, with the name of the file', () => {
  const bytes = writeManifestList(header, [row, row], sync);
  for (const length of [0, 3]) {
    const reading = (): unknown => readManifestList(bytes.subarray(0, length), 'snap-1.avro');
    expect(reading).toThrow(FatalError);
    expect(reading).toThrow('reading snap-1.avro: not an Avro container file');
  }
  for (const length of [40, bytes.length - 40, bytes.length - 1]) {
    const reading = (): unknown => readManifestList(bytes.subarray(0, length), 'snap-1.avro');
    expect(reading).toThrow(FatalError);
    expect(reading).toThrow(/^reading snap-1.avro: /);
  }
  for (const at of [bytes.length - 1, bytes.length - 30]) {
    const flipped = Buffer.from(bytes);
    flipped[at]! ^= 0xff;
    expect(() => readManifestList(flipped, 'snap-1.avro')).toThrow(FatalError);
    expect(() => readManifestList(flipped, 'snap-1.avro')).toThrow(/^reading snap-1.avro: /);
  }
});

test('a row of format version 1 without counts is refused: written as zero they would hide its files from readers', () => {
  const schema = {
    type: 'record',
    name: 'manifest_file',
    fields: [
      { name: 'manifest_path', type: 'string', 'field-id': 500 },
      { name: 'manifest_length', type: 'long', 'field-id': 501 },
      { name: 'partition_spec_id', type: 'int', 'field-id': 502 },
      { name: 'added_snapshot_id', type: ['null', 'long'], default: null, 'field-id': 503 },
      { name: 'added_data_files_count', type: ['null', 'int'], default: null, 'field-id': 504 },
    ],
  };
  const bytes = writeAvroFile(
    schema,
    [
      {
        manifest_path: 'file:///m0.avro',
        manifest_length: 10n,
        partition_spec_id: 0,
        added_snapshot_id: 1n,
        added_data_files_count: null,
      },
    ],
    {},
    sync,
  );
  expect(() => readManifestList(bytes, 'snap.avro')).toThrow(
    "reading snap.avro: manifest file:///m0.avro comes without counts; rewrite the table's manifests",
  );
});

test.each([
  [{ kind: 'int' }, [5, -3, 4], false, 'fdffffff', '05000000'],
  [{ kind: 'int' }, [null, 4, null], true, '04000000', '04000000'],
  [{ kind: 'int' }, [null, null], true, null, null],
  [{ kind: 'long' }, [2n ** 40n, -1n], false, 'ffffffffffffffff', '0000000000010000'],
  [{ kind: 'date' }, [19782], false, '464d0000', '464d0000'],
  [{ kind: 'boolean' }, [true, false], false, '00', '01'],
  [{ kind: 'string' }, ['\u{10000}', '\uffff'], false, 'efbfbf', 'f0908080'],
  [
    { kind: 'string' },
    ['', 'abcdefghijklmnopqrstuvwxyz'],
    false,
    '',
    Buffer.from('abcdefghijklmnopqrstuvwxyz').toString('hex'),
  ],
  [{ kind: 'binary' }, [Uint8Array.of(255), Uint8Array.of(0, 1)], false, '0001', 'ff'],
  [{ kind: 'decimal', precision: 9, scale: 2 }, [127n, 128n, -129n], false, 'ff7f', '0080'],
] as [PrimitiveType, PartitionValue[], boolean, string | null, string | null][])(
  'the summary of %o values %o',
  (type, values, containsNull, lower, upper) => {
    expect(summarized(type, values)).toEqual({ containsNull, containsNan: false, lower, upper });
  },
);

test('NaN partitions are told of and are no bound; -0 lies below +0', () => {
  for (const kind of ['float', 'double'] as const) {
    expect(summarized({ kind }, [1, Number.NaN])).toMatchObject({ containsNan: true, containsNull: false });
    expect(summarized({ kind }, [Number.NaN])).toMatchObject({ containsNan: true, lower: null, upper: null });
    expect(summarized({ kind }, [null])).toMatchObject({ containsNan: false, containsNull: true });
  }
  expect(summarized({ kind: 'float' }, [0, -0])).toMatchObject({ lower: '00000080', upper: '00000000' });
});

test('the row of a new manifest counts its files and carries the snapshot’s numbers', () => {
  const files = [
    { partition: ['eu', 1], recordCount: 10 },
    { partition: ['us', null], recordCount: 5 },
  ];
  const spec: PartitionSpec = {
    specId: 4,
    fields: [
      { sourceId: 1, fieldId: 1000, name: 'region', transform: 'identity' },
      { sourceId: 2, fieldId: 1001, name: 'n', transform: 'identity' },
    ],
  };
  const location = { path: 'file:///m0.avro', length: 100 };
  const snapshot = { snapshotId, sequenceNumber: 12 };
  expect(addedManifest(location, snapshot, spec, [{ kind: 'string' }, { kind: 'int' }], files)).toEqual({
    ...location,
    specId: 4,
    content: 0,
    sequenceNumber: 12,
    minSequenceNumber: 12,
    addedSnapshotId: snapshotId,
    addedFiles: 2,
    existingFiles: 0,
    deletedFiles: 0,
    addedRows: 15,
    existingRows: 0,
    deletedRows: 0,
    partitions: [
      {
        containsNull: false,
        containsNan: false,
        lowerBound: Buffer.from('eu'),
        upperBound: Buffer.from('us'),
      },
      {
        containsNull: true,
        containsNan: false,
        lowerBound: Buffer.from('01000000', 'hex'),
        upperBound: Buffer.from('01000000', 'hex'),
      },
    ],
    keyMetadata: null,
  });
});

function summarized(type: PrimitiveType, values: readonly PartitionValue[]): object {
  const spec: PartitionSpec = {
    specId: 0,
    fields: [{ sourceId: 1, fieldId: 1000, name: 'c', transform: 'identity' }],
  };
  const files = values.map((value) => ({ partition: [value], recordCount: 1 }));
  const [summary] = addedManifest(
    { path: '', length: 0 },
    { snapshotId: 1n, sequenceNumber: 1 },
    spec,
    [type],
    files,
  ).partitions!;
  const hex = (bytes: Uint8Array | null): string | null => bytes && Buffer.from(bytes).toString('hex');
  return {
    containsNull: summary!.containsNull,
    containsNan: summary!.containsNan,
    lower: hex(summary!.lowerBound),
    upper: hex(summary!.upperBound),
  };
}

test('summaries are joined by value, not by bytes; what one does not know of NaN is not known of all', () => {
  const type = { kind: 'int' } as const;
  const summary = (
    lower: number | null,
    upper: number | null,
    rest: Partial<FieldSummary> = {},
  ): FieldSummary => ({
    containsNull: false,
    containsNan: false,
    lowerBound: lower === null ? null : toSingleValue(type, lower),
    upperBound: upper === null ? null : toSingleValue(type, upper),
    ...rest,
  });
  expect(
    joinSummaries(type, [summary(2, 300), summary(-1, 7), summary(null, null, { containsNull: true })]),
  ).toEqual(summary(-1, 300, { containsNull: true }));
  expect(joinSummaries(type, [summary(1, 1, { containsNan: null }), summary(1, 1)]).containsNan).toBeNull();
  expect(
    joinSummaries(type, [summary(1, 1, { containsNan: null }), summary(1, 1, { containsNan: true })])
      .containsNan,
  ).toBe(true);
  expect(joinSummaries(type, [summary(null, null)])).toEqual(summary(null, null));
});
