import { expect, test } from 'vitest';
import { parseJson } from '../../../src/base/json.ts';
import type { DataFile } from '../../../src/iceberg/data-file.ts';
import { readManifest, writeManifest } from '../../../src/iceberg/manifest.ts';
import type { PartitionSpec } from '../../../src/iceberg/partition-spec.ts';
import { type Schema, schemaToJson } from '../../../src/iceberg/schema.ts';
import type { PartitionValue } from '../../../src/iceberg/transforms.ts';
import type { PrimitiveType } from '../../../src/iceberg/types.ts';
import { type AvroNode, type AvroValue, readAvroBytes } from './avro-bytes.ts';

const sync = Buffer.from('00112233445566778899aabbccddeeff', 'hex');

const dataFile = (partition: readonly PartitionValue[], rest: Partial<DataFile> = {}): DataFile => ({
  path: 'file:///warehouse/shop/orders/data/one.parquet',
  format: 'PARQUET',
  partition,
  recordCount: 3,
  fileSizeBytes: 2_000,
  columnSizes: new Map([
    [7, 70],
    [1, 40],
  ]),
  valueCounts: new Map([
    [1, 3],
    [7, 3],
  ]),
  nullValueCounts: new Map([
    [1, 0],
    [7, 2],
  ]),
  nanValueCounts: new Map([[7, 1]]),
  lowerBounds: new Map([[1, Buffer.from('0100000000000000', 'hex')]]),
  upperBounds: new Map([[1, Buffer.from('ff00000000000000', 'hex')]]),
  splitOffsets: [4, 1_000],
  ...rest,
});

/** A table of one column `c` of a type, partitioned by it under a name. */
function layout(
  type: PrimitiveType,
  name = 'c',
): { schema: Schema; spec: PartitionSpec; types: PrimitiveType[] } {
  return {
    schema: { schemaId: 3, fields: [{ id: 1, name, required: false, type }] },
    spec: { specId: 5, fields: [{ sourceId: 1, fieldId: 1000, name, transform: 'identity' }] },
    types: [type],
  };
}

const flat = {
  schema: { schemaId: 3, fields: [{ id: 1, name: 'id', required: true, type: { kind: 'long' } }] } as Schema,
  spec: { specId: 0, fields: [] } as PartitionSpec,
  types: [],
};

function write(
  files: readonly DataFile[],
  of: { schema: Schema; spec: PartitionSpec; types: PrimitiveType[] } = flat,
) {
  return readAvroBytes(writeManifest(of.schema, of.spec, of.types, files, sync));
}

function entrySchema(of: { schema: Schema; spec: PartitionSpec; types: PrimitiveType[] } = flat): AvroNode {
  return write([], of).schema;
}

const dataFileNode = (schema: AvroNode): AvroNode =>
  schema.fields.find((field: AvroNode) => field.name === 'data_file').type;
const partitionNode = (schema: AvroNode): AvroNode =>
  dataFileNode(schema).fields.find((field: AvroNode) => field.name === 'partition').type;

test('the header has the keys that the specification requires, and the table’s schema under schema', () => {
  const of = layout({ kind: 'string' });
  const { metadata } = write([dataFile(['eu'])], of);
  expect(Object.keys(metadata).sort()).toEqual([
    'avro.codec',
    'avro.schema',
    'content',
    'format-version',
    'partition-spec',
    'partition-spec-id',
    'schema',
    'schema-id',
  ]);
  expect(metadata['avro.codec']).toBe('deflate');
  expect(metadata['content']).toBe('data');
  expect(metadata['format-version']).toBe('2');
  expect(metadata['schema-id']).toBe('3');
  expect(metadata['partition-spec-id']).toBe('5');
  expect(parseJson(metadata['schema']!)).toEqual(schemaToJson(of.schema));
  // An array of fields only: the id has a key of its own.
  expect(JSON.parse(metadata['partition-spec']!)).toEqual([
    { 'source-id': 1, 'field-id': 1000, name: 'c', transform: 'identity' },
  ]);
});

test('an entry has the fields of format version 2 in Java’s order, each with its id', () => {
  const schema = entrySchema();
  expect(schema.type).toBe('record');
  expect(schema.name).toBe('manifest_entry');
  expect(
    schema.fields.map(({ name, 'field-id': id, type, default: fallback }: AvroNode) => [
      id,
      name,
      typeof type === 'object' && !Array.isArray(type) ? type.name : type,
      fallback,
    ]),
  ).toEqual([
    [0, 'status', 'int', undefined],
    [1, 'snapshot_id', ['null', 'long'], null],
    [3, 'sequence_number', ['null', 'long'], null],
    [4, 'file_sequence_number', ['null', 'long'], null],
    [2, 'data_file', 'r2', undefined],
  ]);
});

test('a data file has the fields of format version 2 in Java’s order, required ones as bare types', () => {
  const kind = (type: AvroNode): AvroNode => {
    if (Array.isArray(type)) return type.map(kind);
    if (typeof type === 'string') return type;
    return type.type === 'array'
      ? `array of ${typeof type.items === 'string' ? type.items : type.items.name}`
      : type.name;
  };
  expect(
    dataFileNode(entrySchema()).fields.map(({ 'field-id': id, name, type, default: fallback }: AvroNode) => [
      id,
      name,
      kind(type),
      fallback,
    ]),
  ).toEqual([
    [134, 'content', 'int', undefined],
    [100, 'file_path', 'string', undefined],
    [101, 'file_format', 'string', undefined],
    [102, 'partition', 'r102', undefined],
    [103, 'record_count', 'long', undefined],
    [104, 'file_size_in_bytes', 'long', undefined],
    [108, 'column_sizes', ['null', 'array of k117_v118'], null],
    [109, 'value_counts', ['null', 'array of k119_v120'], null],
    [110, 'null_value_counts', ['null', 'array of k121_v122'], null],
    [137, 'nan_value_counts', ['null', 'array of k138_v139'], null],
    [125, 'lower_bounds', ['null', 'array of k126_v127'], null],
    [128, 'upper_bounds', ['null', 'array of k129_v130'], null],
    [131, 'key_metadata', ['null', 'bytes'], null],
    [132, 'split_offsets', ['null', 'array of long'], null],
    [135, 'equality_ids', ['null', 'array of int'], null],
    [140, 'sort_order_id', ['null', 'int'], null],
    [143, 'referenced_data_file', ['null', 'string'], null],
  ]);
});

test('a map with integer keys is an array that says that it is a map, and all its parts have ids', () => {
  const fields = dataFileNode(entrySchema()).fields as AvroNode[];
  for (const [name, key, value, type] of [
    ['column_sizes', 117, 118, 'long'],
    ['value_counts', 119, 120, 'long'],
    ['null_value_counts', 121, 122, 'long'],
    ['nan_value_counts', 138, 139, 'long'],
    ['lower_bounds', 126, 127, 'bytes'],
    ['upper_bounds', 129, 130, 'bytes'],
  ] as const)
    expect(fields.find((field) => field.name === name).type[1]).toEqual({
      type: 'array',
      logicalType: 'map',
      items: {
        type: 'record',
        name: `k${key}_v${value}`,
        fields: [
          { name: 'key', type: 'int', 'field-id': key },
          { name: 'value', type, 'field-id': value },
        ],
      },
    });
});

test('lists carry the id of their elements', () => {
  const fields = dataFileNode(entrySchema()).fields as AvroNode[];
  const list = (name: string): AvroNode => fields.find((field) => field.name === name).type[1];
  expect(list('split_offsets')).toEqual({ type: 'array', items: 'long', 'element-id': 133 });
  expect(list('equality_ids')).toEqual({ type: 'array', items: 'int', 'element-id': 136 });
});

test('fields that must not be written are not there', () => {
  const ids = new Set<number>();
  const visit = (node: AvroNode): void => {
    if (Array.isArray(node)) return node.forEach(visit);
    if (node === null || typeof node !== 'object') return;
    if ('field-id' in node) ids.add(node['field-id']);
    Object.values(node).forEach(visit);
  };
  visit(entrySchema());
  for (const id of [105, 106, 107, 111, 142, 144, 145]) expect(ids.has(id)).toBe(false);
});

test('an unpartitioned file has an empty partition record of the same name', () => {
  expect(partitionNode(entrySchema())).toEqual({ type: 'record', name: 'r102', fields: [] });
});

test.each([
  [{ kind: 'boolean' }, 'boolean', true, true],
  [{ kind: 'int' }, 'int', -5, -5],
  [{ kind: 'long' }, 'long', -(2n ** 63n), -(2n ** 63n)],
  [{ kind: 'long' }, 'long', 12, 12n],
  [{ kind: 'float' }, 'float', 1.5, 1.5],
  [{ kind: 'double' }, 'double', Number.NEGATIVE_INFINITY, Number.NEGATIVE_INFINITY],
  [{ kind: 'date' }, { type: 'int', logicalType: 'date' }, 19782, 19782],
  [{ kind: 'time' }, { type: 'long', logicalType: 'time-micros' }, 81068000001n, 81068000001n],
  [
    { kind: 'timestamp' },
    { type: 'long', logicalType: 'timestamp-micros', 'adjust-to-utc': false },
    -1n,
    -1n,
  ],
  [
    { kind: 'timestamptz' },
    { type: 'long', logicalType: 'timestamp-micros', 'adjust-to-utc': true },
    1510871468000001n,
    1510871468000001n,
  ],
  [{ kind: 'string' }, 'string', 'größe 日本', 'größe 日本'],
  [
    { kind: 'uuid' },
    { type: 'fixed', name: 'uuid_fixed', size: 16, logicalType: 'uuid' },
    Buffer.from('f79c3e09677c4bbda4793f349cb785e7', 'hex'),
    'f79c3e09677c4bbda4793f349cb785e7',
  ],
  [
    { kind: 'fixed', length: 3 },
    { type: 'fixed', name: 'fixed_3', size: 3 },
    Uint8Array.of(1, 2, 255),
    '0102ff',
  ],
  [{ kind: 'binary' }, 'bytes', Uint8Array.of(0, 255), '00ff'],
  [
    { kind: 'decimal', precision: 9, scale: 2 },
    { type: 'fixed', name: 'decimal_9_2', size: 4, logicalType: 'decimal', precision: 9, scale: 2 },
    -1230n,
    'fffffb32',
  ],
  [
    { kind: 'decimal', precision: 38, scale: 0 },
    { type: 'fixed', name: 'decimal_38_0', size: 16, logicalType: 'decimal', precision: 38, scale: 0 },
    10n ** 38n - 1n,
    '4b3b4ca85a86c47a098a223fffffffff',
  ],
] as [PrimitiveType, AvroNode, PartitionValue, AvroValue][])(
  'a partition value of %o is an optional field with the partition field’s id',
  (type, avro, value, stored) => {
    const { schema, blocks } = write([dataFile([value]), dataFile([null])], layout(type));
    expect(partitionNode(schema).fields).toEqual([
      { name: 'c', type: ['null', avro], default: null, 'field-id': 1000 },
    ]);
    const partitions = blocks.flat().map((entry) => (entry as AvroNode).data_file.partition);
    expect(partitions).toEqual([{ c: stored }, { c: null }]);
  },
);

test('a fixed type that several partition fields share is defined once', () => {
  const type: PrimitiveType = { kind: 'uuid' };
  const other: PrimitiveType = { kind: 'decimal', precision: 9, scale: 2 };
  const types = [type, other, type, other];
  const schema: Schema = {
    schemaId: 0,
    fields: types.map((each, i) => ({ id: i + 1, name: `c${i}`, required: false, type: each })),
  };
  const spec: PartitionSpec = {
    specId: 0,
    fields: types.map((_, i) => ({
      sourceId: i + 1,
      fieldId: 1000 + i,
      name: `c${i}`,
      transform: 'identity',
    })),
  };
  const id = (byte: number): Uint8Array => new Uint8Array(16).fill(byte);
  const { schema: node, blocks } = write([dataFile([id(1), 1n, id(2), -1n])], { schema, spec, types });
  expect(partitionNode(node).fields.map((field: AvroNode) => field.type[1].name ?? field.type[1])).toEqual([
    'uuid_fixed',
    'decimal_9_2',
    'uuid_fixed',
    'decimal_9_2',
  ]);
  expect(partitionNode(node).fields[2].type).toEqual(['null', 'uuid_fixed']);
  expect((blocks[0]![0] as AvroNode).data_file.partition).toEqual({
    c0: '01'.repeat(16),
    c1: '00000001',
    c2: '02'.repeat(16),
    c3: 'ffffffff',
  });
});

test.each([
  ['order id', 'order_x20id'],
  ['1st', '_1st'],
  ['a-b.c', 'a_x2Db_x2Ec'],
  ['größe', 'gr_xF6_xDFe'],
  ['日本', '_x65E5_x672C'],
  ['_ok9', '_ok9'],
])('a partition field named %s is %s in Avro, and keeps its own name beside', (name, avro) => {
  const { schema, blocks } = write([dataFile(['eu'])], layout({ kind: 'string' }, name));
  const [field] = partitionNode(schema).fields;
  expect(field.name).toBe(avro);
  expect(field['iceberg-field-name']).toBe(name === avro ? undefined : name);
  expect(field['field-id']).toBe(1000);
  expect((blocks[0]![0] as AvroNode).data_file.partition).toEqual({ [avro]: 'eu' });
});

test('an added file inherits snapshot id and sequence numbers, and all it says is there', () => {
  const { blocks } = write([dataFile([])]);
  expect(blocks).toEqual([
    [
      {
        status: 1,
        snapshot_id: null,
        sequence_number: null,
        file_sequence_number: null,
        data_file: {
          content: 0,
          file_path: 'file:///warehouse/shop/orders/data/one.parquet',
          file_format: 'PARQUET',
          partition: {},
          record_count: 3n,
          file_size_in_bytes: 2_000n,
          column_sizes: [
            { key: 1, value: 40n },
            { key: 7, value: 70n },
          ],
          value_counts: [
            { key: 1, value: 3n },
            { key: 7, value: 3n },
          ],
          null_value_counts: [
            { key: 1, value: 0n },
            { key: 7, value: 2n },
          ],
          nan_value_counts: [{ key: 7, value: 1n }],
          lower_bounds: [{ key: 1, value: '0100000000000000' }],
          upper_bounds: [{ key: 1, value: 'ff00000000000000' }],
          key_metadata: null,
          split_offsets: [4n, 1_000n],
          equality_ids: null,
          sort_order_id: 0,
          referenced_data_file: null,
        },
      },
    ],
  ]);
});

test('sizes beyond 2^32 and file counts beyond a block are written whole', () => {
  const files = Array.from({ length: 5_000 }, (_, i) =>
    dataFile([], { path: `file:///f/${i}`, recordCount: 2 ** 40 + i, fileSizeBytes: 2 ** 50 + i }),
  );
  const { blocks } = write(files);
  expect(blocks.length).toBeGreaterThan(1);
  const entries = blocks.flat() as AvroNode[];
  expect(entries).toHaveLength(5_000);
  expect(entries.at(-1).data_file).toMatchObject({
    file_path: 'file:///f/4999',
    record_count: 2n ** 40n + 4_999n,
    file_size_in_bytes: 2n ** 50n + 4_999n,
  });
});

test('the same files make the same bytes, but for the sync marker', () => {
  const bytes = (marker: Uint8Array): string =>
    Buffer.from(writeManifest(flat.schema, flat.spec, [], [dataFile([])], marker)).toString('hex');
  expect(bytes(sync)).toBe(bytes(sync));
  const other = Buffer.alloc(16, 9);
  expect(bytes(other)).toBe(bytes(sync).replaceAll(sync.toString('hex'), other.toString('hex')));
});

test('a manifest is read back', () => {
  const of = layout({ kind: 'string' }, 'order id');
  const bytes = writeManifest(of.schema, of.spec, of.types, [dataFile(['eu']), dataFile([null])], sync);
  expect(readManifest(bytes, 'm0.avro')).toEqual(
    ['eu', null].map((value) => ({
      status: 'added',
      snapshotId: null,
      sequenceNumber: null,
      fileSequenceNumber: null,
      content: 0,
      path: 'file:///warehouse/shop/orders/data/one.parquet',
      recordCount: 3,
      fileSizeBytes: 2_000,
      partition: { 'order id': value },
      lowerBounds: new Map([[1, Buffer.from('0100000000000000', 'hex')]]),
      upperBounds: new Map([[1, Buffer.from('ff00000000000000', 'hex')]]),
    })),
  );
});
