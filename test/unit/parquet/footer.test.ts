import { Compression, Table, WriterPropertiesBuilder, writeParquet } from 'parquet-wasm';
import { expect, test } from 'vitest';
import { arrowSchema, toIpcStream } from '../../../src/arrow/ipc.ts';
import { seededRandom } from '../../../src/base/random.ts';
import type { Schema } from '../../../src/iceberg/schema.ts';
import { finishFile } from '../../../src/parquet/footer.ts';
import type { Row } from '../../tools/canonical.ts';
import { columnsOf } from '../arrow/rows.ts';
import { footerOf, join, type Node, readParquet, treeOf } from './parquet-file.ts';

const schema: Schema = {
  schemaId: 0,
  fields: [
    { id: 1, name: 'id', required: true, type: { kind: 'long' } },
    { id: 2, name: 'u', required: false, type: { kind: 'uuid' } },
    { id: 3, name: 'f', required: false, type: { kind: 'fixed', length: 16 } },
    {
      id: 4,
      name: 'm',
      required: false,
      type: {
        kind: 'map',
        keyId: 5,
        key: { kind: 'uuid' },
        valueId: 6,
        valueRequired: false,
        value: { kind: 'list', elementId: 7, elementRequired: false, element: { kind: 'uuid' } },
      },
    },
  ],
};

const uuid = 'f79c3e09-677c-4bbd-a479-3f349cb785e7';
const rows: Row[] = Array.from({ length: 10 }, (_, i) => ({
  id: String(i),
  u: i % 2 ? uuid : null,
  f: '00112233445566778899aabbccddeeff',
  m: [[uuid, [uuid, null]]],
}));

/** A file as the engine leaves it, in several row groups, with a copy of the Arrow schema. */
function rawFile(): Uint8Array {
  const columns = columnsOf(schema, rows);
  const arrow = arrowSchema(columns);
  const properties = new WriterPropertiesBuilder()
    .setMaxRowGroupSize(4)
    .setCompression(Compression.UNCOMPRESSED)
    .setKeyValueMetadata(new Map([['mine', 'kept']]))
    .build();
  return writeParquet(Table.fromIPCStream(toIpcStream(columns, arrow)), properties);
}

function nodes(file: ArrayBuffer): Map<string, Node> {
  const found = new Map<string, Node>();
  const visit = (node: Node): void => {
    found.set(node.path.join('.'), node);
    node.children.forEach(visit);
  };
  visit(treeOf(footerOf(file)));
  return found;
}

test('the engine’s footer is put right and everything else stays', async () => {
  const raw = rawFile();
  const finished = finishFile([raw], schema);
  const file = join(finished.parts);
  const before = footerOf(join([raw]));
  const after = footerOf(file);

  const named = nodes(file);
  expect([...named.keys()]).toContain('m.key_value.value.list.element');
  for (const path of ['u', 'm.key_value.key', 'm.key_value.value.list.element'])
    expect(named.get(path)!.logical_type).toEqual({ type: 'UUID' });
  expect(named.get('f')!.logical_type).toBeUndefined();
  expect(before.key_value_metadata!.map(({ key }) => key)).toContain('ARROW:schema');
  expect(after.key_value_metadata).toEqual([{ key: 'mine', value: 'kept' }]);

  expect(after.num_rows).toBe(10n);
  expect(after.row_groups).toHaveLength(3);
  const pathless = (groups: typeof after.row_groups): unknown =>
    groups.map((group) => ({
      ...group,
      columns: group.columns.map((column) => {
        const isUuid = /^u$|^m/.test(column.meta_data!.path_in_schema[0]!);
        return {
          ...column,
          ...(isUuid ? { column_index_offset: undefined, column_index_length: undefined } : {}),
          meta_data: {
            ...column.meta_data,
            path_in_schema: [],
            ...(isUuid ? { statistics: undefined } : {}),
          },
        };
      }),
    }));
  expect(pathless(after.row_groups)).toEqual(pathless(before.row_groups));
  for (const group of after.row_groups)
    expect(group.columns.map(({ meta_data: column }) => column!.path_in_schema.join('.'))).toEqual([
      'id',
      'u',
      'f',
      'm.key_value.key',
      'm.key_value.value.list.element',
    ]);
  expect(await readParquet(file, schema)).toEqual(rows);

  // Statistics of uuids mislead readers; those of others stay.
  for (const { columns } of after.row_groups)
    expect(
      columns.map((column) => [
        column.meta_data!.statistics !== undefined,
        column.column_index_offset !== undefined,
      ]),
    ).toEqual([
      [true, true],
      [false, false],
      [true, true],
      [false, false],
      [false, false],
    ]);
  for (const { columns } of before.row_groups)
    expect(columns.every((column) => column.meta_data!.statistics !== undefined)).toBe(true);
});

test('split offsets ascend from the magic to the last row group', () => {
  const { splitOffsets, parts } = finishFile([rawFile()], schema);
  const { row_groups: groups } = footerOf(join(parts));
  expect(splitOffsets).toEqual(
    groups.map(({ columns }) => {
      const column = columns[0]!.meta_data!;
      return Number(column.dictionary_page_offset ?? column.data_page_offset);
    }),
  );
  expect(splitOffsets[0]).toBe(4);
  expect(splitOffsets.toSorted((a, b) => a - b)).toEqual(splitOffsets);
});

test('however the file is cut into chunks, the result is the same', () => {
  const raw = rawFile();
  const whole = finishFile([raw], schema);
  const expected = Buffer.from(join(whole.parts));
  const random = seededRandom(11);
  for (const longest of [1, 3, 8, 9, 50, 1_000, 4_000]) {
    const chunks: Uint8Array[] = [];
    for (let at = 0; at < raw.length; ) {
      const length = 1 + random.below(longest);
      chunks.push(raw.subarray(at, at + length));
      at += length;
    }
    const finished = finishFile(chunks, schema);
    expect(Buffer.compare(Buffer.from(join(finished.parts)), expected)).toBe(0);
    expect({ ...finished, parts: [] }).toEqual({ ...whole, parts: [] });
  }
});

test('a file that is finished already stays as it is', () => {
  const once = finishFile([rawFile()], schema);
  const twice = finishFile(once.parts, schema);
  expect(Buffer.compare(Buffer.from(join(twice.parts)), Buffer.from(join(once.parts)))).toBe(0);
});

test('bytes that are no Parquet file are a programming error', () => {
  expect(() => finishFile([Buffer.from('PAR1')], schema)).toThrow('at least as long as its footer');
  expect(() => finishFile([Buffer.alloc(100)], schema)).toThrow('ends with its magic');
});
