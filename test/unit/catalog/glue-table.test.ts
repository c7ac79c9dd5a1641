import { expect, test } from 'vitest';
import { tableInput } from '../../../src/catalog/glue-table.ts';
import { newTableMetadata, type TableMetadata } from '../../../src/iceberg/metadata.ts';
import { unpartitioned } from '../../../src/iceberg/partition-spec.ts';

const at = 's3://lake/t/metadata/1.metadata.json';

function metadataOf(
  schemas: object[],
  current: number,
  properties: Record<string, string> = {},
): TableMetadata {
  const made = newTableMetadata({
    uuid: 'u',
    location: 's3://lake/t',
    fields: [],
    spec: () => unpartitioned,
    properties,
    nowMs: 0,
  });
  return { ...made, schemas: schemas as TableMetadata['schemas'], 'current-schema-id': current };
}

const schema = (id: number, ...fields: [string, unknown, string?][]): object => ({
  type: 'struct',
  'schema-id': id,
  fields: fields.map(([name, type, doc], i) => ({ id: i + 1, name, type, required: i % 2 === 0, doc })),
});

const columnsOf = (metadata: TableMetadata): [string, string, string?][] =>
  tableInput('t', at, metadata).StorageDescriptor!.Columns!.map(({ Name, Type, Comment }) =>
    Comment === undefined ? [Name!, Type!] : [Name!, Type!, Comment],
  );

test('types are named as in Java, nested ones within, and those that are not known by their own name', () => {
  const struct = {
    type: 'struct',
    fields: [
      { id: 20, name: 'city', required: true, type: 'string' },
      { id: 21, name: 'tags', required: false, type: { type: 'list', element: 'uuid' } },
    ],
  };
  const types: [unknown, string][] = [
    ['boolean', 'boolean'],
    ['int', 'int'],
    ['long', 'bigint'],
    ['float', 'float'],
    ['double', 'double'],
    ['date', 'date'],
    ['time', 'string'],
    ['timestamp', 'timestamp'],
    ['timestamptz', 'timestamp'],
    ['string', 'string'],
    ['uuid', 'string'],
    ['fixed[16]', 'binary'],
    ['binary', 'binary'],
    ['decimal(12, 2)', 'decimal(12,2)'],
    ['timestamp_ns', 'timestamp_ns'],
    ['variant', 'variant'],
    ['geometry(srid:1)', 'geometry'],
    [struct, 'struct<city:string,tags:array<string>>'],
    [{ type: 'list', element: struct }, 'array<struct<city:string,tags:array<string>>>'],
    [
      { type: 'map', key: 'long', value: { type: 'list', element: 'decimal(9,0)' } },
      'map<bigint,array<decimal(9,0)>>',
    ],
  ];
  const fields = types.map(([type], i): [string, unknown] => [`c${i}`, type]);
  expect(columnsOf(metadataOf([schema(0, ...fields)], 0)).map(([, type]) => type)).toEqual(
    types.map(([, name]) => name),
  );
});

test('columns of the current schema come first, then those that only other schemas have', () => {
  const schemas = [
    schema(0, ['gone', 'int'], ['same', 'int']),
    schema(1, ['same', 'long'], ['new', 'string']),
    schema(2, ['later', 'date'], ['gone', 'long']),
  ];
  const { Columns } = tableInput('t', at, metadataOf(schemas, 1)).StorageDescriptor!;
  expect(Columns!.map(({ Name, Type, Parameters }) => [Name, Type, Parameters])).toEqual([
    ['same', 'bigint', parametersOf(1, false, true)],
    ['new', 'string', parametersOf(2, true, true)],
    ['gone', 'int', parametersOf(1, false, false)],
    ['later', 'date', parametersOf(1, false, false)],
  ]);
});

const parametersOf = (id: number, optional: boolean, current: boolean): Record<string, string> => ({
  'iceberg.field.id': String(id),
  'iceberg.field.optional': String(optional),
  'iceberg.field.current': String(current),
});

test('comments and descriptions are cut to what Glue holds, and in no character', () => {
  const doc = `two\r\nlines\tand ${'x'.repeat(239)}🧊 and more`;
  const [[, , comment]] = columnsOf(metadataOf([schema(0, ['a', 'int', doc])], 0)) as [
    [string, string, string],
  ];
  expect(comment).toBe(`two lines and ${'x'.repeat(239)}🧊`);
  expect(comment).toHaveLength(255);
  const longer = `x${doc}`;
  const [[, , cut]] = columnsOf(metadataOf([schema(0, ['a', 'int', longer])], 0)) as [
    [string, string, string],
  ];
  expect(cut).toHaveLength(254);
  const { Description } = tableInput('t', at, metadataOf([], 0, { comment: 'y'.repeat(3_000) }));
  expect(Description).toHaveLength(2_048);
});

test('a column that Glue cannot hold is left out, for it would refuse the whole table', () => {
  const wide = {
    type: 'struct',
    fields: Array.from({ length: 10_000 }, (_, i) => ({
      id: i,
      name: `column_${i}`,
      type: 'long',
      required: true,
    })),
  };
  const fields: [string, unknown][] = [
    ['kept', 'int'],
    ['wide', wide],
    ['n'.repeat(256), 'int'],
    ['line\nbreak', 'int'],
    ['n'.repeat(255), 'int'],
  ];
  expect(columnsOf(metadataOf([schema(0, ...fields)], 0))).toEqual([
    ['kept', 'int'],
    ['n'.repeat(255), 'int'],
  ]);
});

test('comments made in Glue stay on columns whose schema has none', () => {
  const existing = {
    Name: 't',
    Description: 'by hand',
    StorageDescriptor: {
      Columns: [
        { Name: 'a', Comment: 'by hand' },
        { Name: 'b', Comment: 'by hand' },
      ],
    },
  };
  const metadata = metadataOf([schema(0, ['a', 'int'], ['b', 'int', 'of the schema'])], 0);
  const input = tableInput('t', at, metadata, existing);
  expect(input.StorageDescriptor!.Columns!.map(({ Comment }) => Comment)).toEqual([
    'by hand',
    'of the schema',
  ]);
  expect(input.Description).toBe('by hand');
  const described = { ...metadata, properties: { comment: 'of the table' } };
  expect(tableInput('t', at, described, existing).Description).toBe('of the table');
});

test('other folders of the table are named, for who opens it by Lake Formation', () => {
  const properties = { 'write.data.path': 's3://a/data', 'write.metadata.path': 's3://a/data' };
  const { StorageDescriptor: storage } = tableInput('t', at, metadataOf([], 0, properties));
  expect(storage).toMatchObject({ Location: 's3://lake/t', AdditionalLocations: ['s3://a/data'] });
});
