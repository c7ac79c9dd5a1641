import { expect, test } from 'vitest';
import { Columns } from '../../../src/arrow/columns.ts';
import { parseJson } from '../../../src/base/json.ts';
import { seededRandom } from '../../../src/base/random.ts';
import { leaves, type Schema, schemaToJson } from '../../../src/iceberg/schema.ts';
import type { Field, Type } from '../../../src/iceberg/types.ts';
import { type EncodingOptions, encodingOptions } from '../../../src/parquet/encoder.ts';
import { parquetEncoder } from '../../../src/parquet/file-writer.ts';
import type { Row } from '../../tools/canonical.ts';
import { appendRow, columnsOf, everyType } from '../arrow/rows.ts';
import { footerOf, join, type Node, readParquet, treeOf } from './parquet-file.ts';

const options = encodingOptions({});
const emptyRow = Object.fromEntries(everyType.fields.map(({ name }) => [name, null])) as Row;
const rowOf = (id: number): Row => ({
  ...emptyRow,
  id: String(id),
  solid: { x: '3ff0000000000000', label: 'one' },
  longs: [],
});

async function encode(schema: Schema, chunks: readonly Row[][], how: EncodingOptions = options) {
  const file = parquetEncoder.open(schema, how);
  for (const chunk of chunks) await file.write(columnsOf(schema, chunk));
  return file.close();
}

function find(node: Node, path: string): Node {
  const [name, ...rest] = path.split('.');
  const child = node.children.find((candidate) => candidate.name === name)!;
  return rest.length === 0 ? child : find(child, rest.join('.'));
}

/** The ids of a schema's nodes by the paths that Parquet gives them (spec appendix A). */
function idsByPath(fields: readonly Field[]): Map<string, number> {
  const ids = new Map<string, number>();
  const visit = (path: string, id: number, type: Type): void => {
    ids.set(path, id);
    if (type.kind === 'struct')
      for (const field of type.fields) visit(`${path}.${field.name}`, field.id, field.type);
    if (type.kind === 'list') visit(`${path}.list.element`, type.elementId, type.element);
    if (type.kind === 'map') {
      visit(`${path}.key_value.key`, type.keyId, type.key);
      visit(`${path}.key_value.value`, type.valueId, type.value);
    }
  };
  for (const field of fields) visit(field.name, field.id, field.type);
  return ids;
}

test('every node that Iceberg knows carries its field id, under the standard names of lists and maps', async () => {
  const { parts } = await encode(everyType, [[rowOf(1)]]);
  const found = new Map<string, number>();
  const withoutId: string[] = [];
  const visit = (node: Node): void => {
    if (node.field_id !== undefined) found.set(node.path.join('.'), node.field_id);
    else withoutId.push(node.path.join('.'));
    node.children.forEach(visit);
  };
  visit(treeOf(footerOf(join(parts))));
  expect(found).toEqual(idsByPath(everyType.fields));
  // Only the root and the repeated groups that lists and maps consist of have none.
  expect(withoutId.filter((path) => !/^$|\.(list|key_value)$/.test(path))).toEqual([]);
});

test.each([
  ['id', 'INT64', 'REQUIRED', undefined],
  ['boolean', 'BOOLEAN', 'OPTIONAL', undefined],
  ['int', 'INT32', 'OPTIONAL', undefined],
  ['long', 'INT64', 'OPTIONAL', undefined],
  ['float', 'FLOAT', 'OPTIONAL', undefined],
  ['double', 'DOUBLE', 'OPTIONAL', undefined],
  ['date', 'INT32', 'OPTIONAL', { type: 'DATE' }],
  ['time', 'INT64', 'OPTIONAL', { type: 'TIME', isAdjustedToUTC: false, unit: 'MICROS' }],
  ['timestamp', 'INT64', 'OPTIONAL', { type: 'TIMESTAMP', isAdjustedToUTC: false, unit: 'MICROS' }],
  ['timestamptz', 'INT64', 'OPTIONAL', { type: 'TIMESTAMP', isAdjustedToUTC: true, unit: 'MICROS' }],
  ['string', 'BYTE_ARRAY', 'OPTIONAL', { type: 'STRING' }],
  ['uuid', 'FIXED_LEN_BYTE_ARRAY', 'OPTIONAL', { type: 'UUID' }, 16],
  ['binary', 'BYTE_ARRAY', 'OPTIONAL', undefined],
  ['fixed', 'FIXED_LEN_BYTE_ARRAY', 'OPTIONAL', undefined, 5],
  ['decimal9', 'INT32', 'OPTIONAL', { type: 'DECIMAL', precision: 9, scale: 2 }],
  ['decimal18', 'INT64', 'OPTIONAL', { type: 'DECIMAL', precision: 18, scale: 0 }],
  ['decimal38', 'FIXED_LEN_BYTE_ARRAY', 'OPTIONAL', { type: 'DECIMAL', precision: 38, scale: 10 }, 16],
  ['point', undefined, 'OPTIONAL', undefined],
  ['solid', undefined, 'REQUIRED', undefined],
  ['solid.x', 'DOUBLE', 'REQUIRED', undefined],
  ['texts', undefined, 'OPTIONAL', { type: 'LIST' }],
  ['texts.list', undefined, 'REPEATED', undefined],
  ['texts.list.element', 'BYTE_ARRAY', 'OPTIONAL', { type: 'STRING' }],
  ['longs', undefined, 'REQUIRED', { type: 'LIST' }],
  ['longs.list.element', 'INT64', 'REQUIRED', undefined],
  ['counts', undefined, 'OPTIONAL', { type: 'MAP' }],
  ['counts.key_value', undefined, 'REPEATED', undefined],
  ['counts.key_value.key', 'BYTE_ARRAY', 'REQUIRED', { type: 'STRING' }],
  ['counts.key_value.value', 'INT64', 'OPTIONAL', undefined],
  ['by_day.key_value.value', undefined, 'REQUIRED', undefined],
] as [string, string | undefined, string, unknown, number?][])(
  'the column %s has the Parquet type that the specification gives it',
  async (path, type, repetition, logical, length) => {
    const { parts } = await encode(everyType, [[rowOf(1)]]);
    const node = find(treeOf(footerOf(join(parts))), path);
    expect(node.type).toBe(type);
    expect(node.repetition_type).toBe(repetition);
    expect(node.logical_type).toEqual(logical);
    expect(node.type_length).toBe(length);
  },
);

test('a decimal too long for 64 bits has the fewest bytes that hold its precision', async () => {
  const decimal = (precision: number): Field => ({
    id: precision,
    name: `p${precision}`,
    required: false,
    type: { kind: 'decimal', precision, scale: 0 },
  });
  const schema: Schema = { schemaId: 0, fields: [1, 9, 10, 18, 19, 20, 28, 29, 38].map(decimal) };
  const row = Object.fromEntries(schema.fields.map(({ name }) => [name, '-1'])) as Row;
  const { parts } = await encode(schema, [[row]]);
  const shapes = treeOf(footerOf(join(parts))).children.map(({ name, type, type_length }) => [
    name,
    type,
    type_length,
  ]);
  expect(shapes).toEqual([
    ['p1', 'INT32', undefined],
    ['p9', 'INT32', undefined],
    ['p10', 'INT64', undefined],
    ['p18', 'INT64', undefined],
    ['p19', 'FIXED_LEN_BYTE_ARRAY', 9],
    ['p20', 'FIXED_LEN_BYTE_ARRAY', 9],
    ['p28', 'FIXED_LEN_BYTE_ARRAY', 12],
    ['p29', 'FIXED_LEN_BYTE_ARRAY', 13],
    ['p38', 'FIXED_LEN_BYTE_ARRAY', 16],
  ]);
});

test('the footer holds the Iceberg schema and says who wrote it, and has no copy of an Arrow schema', async () => {
  const metadata = footerOf(join((await encode(everyType, [[rowOf(1)]])).parts));
  expect(metadata.created_by).toBe('frazil');
  expect(metadata.key_value_metadata!.map(({ key }) => key)).toEqual(['iceberg.schema']);
  expect(parseJson(metadata.key_value_metadata![0]!.value!)).toEqual(schemaToJson(everyType));
});

test('column sizes and split offsets are those of the footer, summed over all row groups', async () => {
  const chunks = [[rowOf(1), rowOf(2)], [rowOf(3)], [rowOf(4), rowOf(5), rowOf(6)]];
  const encoded = await encode(everyType, chunks, { ...options, rowGroupBytes: 1 });
  const file = join(encoded.parts);
  const { row_groups: groups } = footerOf(file);
  expect(groups.map(({ num_rows }) => num_rows)).toEqual([2n, 1n, 3n]);
  const ids = idsByPath(everyType.fields);
  const sizes = new Map<number, number>();
  const starts: number[] = [];
  for (const { columns } of groups) {
    for (const { meta_data: column } of columns) {
      const id = ids.get(column!.path_in_schema.join('.'))!;
      sizes.set(id, (sizes.get(id) ?? 0) + Number(column!.total_compressed_size));
    }
    starts.push(
      Math.min(
        ...columns.map(({ meta_data: column }) =>
          Number(column!.dictionary_page_offset ?? column!.data_page_offset),
        ),
      ),
    );
  }
  expect(sizes.size).toBe(leaves(everyType).length);
  expect(encoded.columnSizes).toEqual(sizes);
  expect(encoded.splitOffsets).toEqual(starts);
  expect(encoded.splitOffsets[0]).toBe(4);
  expect(encoded.sizeBytes).toBe(file.byteLength);
});

test.each(['zstd', 'gzip', 'snappy', 'lz4', 'uncompressed'] as const)(
  'pages are compressed with %s',
  async (codec) => {
    const { parts } = await encode(everyType, [[rowOf(1)]], { ...options, codec });
    const codecs = footerOf(join(parts)).row_groups.flatMap(({ columns }) =>
      columns.map(({ meta_data: column }) => column!.codec),
    );
    expect(new Set(codecs)).toEqual(new Set([codec === 'lz4' ? 'LZ4_RAW' : codec.toUpperCase()]));
  },
);

test('names of any kind stay what they are', async () => {
  const names = ['a b', 'größe', '日本', 'x.y', 'list', 'key_value', 'element', '"', '\\', 'A', 'a'];
  const fields = names.map(
    (name, i): Field => ({
      id: i + 1,
      name,
      required: false,
      type: { kind: 'struct', fields: [leaf(100 + i, name)] },
    }),
  );
  const { parts } = await encode({ schemaId: 0, fields }, [
    [Object.fromEntries(names.map((name) => [name, { [name]: '7' }]))],
  ]);
  const metadata = footerOf(join(parts));
  expect(treeOf(metadata).children.map(({ name, children }) => [name, children[0]!.name])).toEqual(
    names.map((name) => [name, name]),
  );
  expect(metadata.row_groups[0]!.columns.map(({ meta_data: column }) => column!.path_in_schema)).toEqual(
    names.map((name) => [name, name]),
  );
});

function leaf(id: number, name: string): Field {
  return { id, name, required: false, type: { kind: 'int' } };
}

test('columns can be filled anew as soon as they were written', async () => {
  const schema: Schema = { schemaId: 0, fields: [leaf(1, 'n')] };
  const file = parquetEncoder.open(schema, options);
  const columns = new Columns(schema);
  for (let round = 0; round < 5; round++) {
    for (let i = 0; i < 100; i++) appendRow(columns, { n: String(round * 100 + i) });
    await file.write(columns);
    columns.truncate(0);
  }
  const rows = await readParquet(join((await file.close()).parts), schema);
  expect(rows.map((row) => Number(row['n']))).toEqual(Array.from({ length: 500 }, (_, i) => i));
});

test('what is held is at least all that a file keeps in memory, and little more', async () => {
  const schema: Schema = {
    schemaId: 0,
    fields: [
      { id: 1, name: 'n', required: true, type: { kind: 'long' } },
      { id: 2, name: 'b', required: false, type: { kind: 'binary' } },
    ],
  };
  const random = seededRandom(4);
  const rows = (count: number): Row[] =>
    Array.from({ length: count }, (_, i) => ({
      n: String(i),
      b: random.below(10) === 0 ? null : Buffer.from(random.bytes(1_000)).toString('hex'),
    }));
  const file = parquetEncoder.open(schema, { ...options, codec: 'uncompressed', rowGroupBytes: 250_000 });
  let written = 0;
  for (let i = 0; i < 9; i++) {
    const columns = columnsOf(schema, rows(100));
    await file.write(columns);
    written += columns.byteLength();
    // Nothing shrinks here: what came in is in the pages under way or in those that are written.
    expect(file.heldBytes).toBeGreaterThan(written - 9 * 100 * 5);
    expect(file.heldBytes).toBeLessThan(written + 400_000);
  }
  expect(file.writtenBytes).toBeGreaterThan(500_000);
  expect(file.writtenBytes).toBeLessThanOrEqual(file.heldBytes);
  const encoded = await file.close();
  expect(encoded.splitOffsets.length).toBeGreaterThan(2);
  expect(encoded.sizeBytes).toBeGreaterThan(800_000);
  await file.abort();
  expect(file.heldBytes).toBe(0);
});

test('a file without rows in a write is a programming error', async () => {
  const file = parquetEncoder.open(everyType, options);
  await expect(file.write(new Columns(everyType))).rejects.toThrow('rows are written, not empty batches');
  await file.abort();
});

test('a file can be given up at any time', async () => {
  const unused = parquetEncoder.open(everyType, options);
  await unused.abort();
  const begun = parquetEncoder.open(everyType, options);
  await begun.write(columnsOf(everyType, [rowOf(1)]));
  await begun.abort();
});
