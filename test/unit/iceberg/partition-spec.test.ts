import { expect, test } from 'vitest';
import { FatalError } from '../../../src/base/errors.ts';
import { newSpec } from '../../../src/iceberg/partition-by.ts';
import {
  lastPartitionId,
  type PartitionSpec,
  partitionFieldsToJson,
  partitionPath,
  partitionTypes,
  specFromJson,
  specToJson,
  unpartitioned,
} from '../../../src/iceberg/partition-spec.ts';
import type { Schema } from '../../../src/iceberg/schema.ts';
import type { PartitionValue } from '../../../src/iceberg/transforms.ts';
import { type PrimitiveType, parsePrimitiveType, type Type } from '../../../src/iceberg/types.ts';
import type { Canonical } from '../../tools/canonical.ts';
import { unscaled } from '../arrow/rows.ts';
import { goldenJson } from './golden.ts';

const list: Type = { kind: 'list', elementId: 9, elementRequired: false, element: { kind: 'int' } };
const meta: Type = {
  kind: 'struct',
  fields: [{ id: 13, name: 'at', required: false, type: { kind: 'timestamp' } }],
};
const schema: Schema = {
  schemaId: 0,
  fields: [
    { id: 4, name: 'region', required: true, type: { kind: 'string' } },
    { id: 7, name: 'day', required: false, type: { kind: 'date' } },
    { id: 8, name: 'tags', required: false, type: list },
    { id: 10, name: 'code', required: false, type: { kind: 'fixed', length: 3 } },
    { id: 11, name: 'token', required: false, type: { kind: 'uuid' } },
    { id: 12, name: 'meta', required: false, type: meta },
  ],
};
const spec = newSpec(schema, ['day', 'region']);

test.each([
  ['gone', { sourceId: 99, transform: 'day' }, 'its source column 99 is gone, or inside a list or map'],
  ['inner', { sourceId: 9, transform: 'identity' }, 'its source column 9 is gone, or inside a list or map'],
  ['tags', { sourceId: 8, transform: 'identity' }, 'a list<int> cannot be a partition value'],
  ['code', { sourceId: 10, transform: 'identity' }, 'a fixed[3] cannot be a partition value'],
  ['z', { sourceId: 4, transform: 'zorder' }, 'transform zorder is not known to Iceberg format version 2'],
  [
    'day',
    { sourceId: 4, transform: 'day' },
    'day takes date, timestamp or timestamptz, and the column is a string',
  ],
  [
    'both',
    { sourceId: 4, sourceIds: [4, 7], transform: 'bucket[4]' },
    'transform bucket[4] of several columns is not supported',
  ],
])('a table divided by %s is refused before anything is written', (name, field, message) => {
  const foreign: PartitionSpec = { specId: 1, fields: [{ ...field, fieldId: 1000, name }] };
  expect(() => partitionTypes(foreign, schema)).toThrow(
    new FatalError(`partition field ${name}: ${message}`),
  );
});

const typesOf = (...fields: [number, string][]): PrimitiveType[] =>
  partitionTypes(
    {
      specId: 1,
      fields: fields.map(([sourceId, transform], i) => ({
        sourceId,
        fieldId: 1000 + i,
        name: `p${i}`,
        transform,
      })),
    },
    schema,
  );

test('a table that others have divided by uuids, or by fields of structs, can be written', () => {
  expect(typesOf([11, 'identity'], [13, 'day'])).toEqual([{ kind: 'uuid' }, { kind: 'date' }]);
});

test('a field that is always null needs no column any more', () => {
  expect(typesOf([7, 'void'], [99, 'void'], [10, 'void'])).toEqual([
    { kind: 'date' },
    { kind: 'int' },
    { kind: 'fixed', length: 3 },
  ]);
});

test('a transform of several columns keeps them all in mind', () => {
  const field = { 'field-id': 1000, name: 'p', transform: 'bucket[4]' };
  const fields = [
    { ...field, 'source-ids': [4, 7] },
    { ...field, 'source-ids': [7] },
  ];
  expect(specFromJson({ 'spec-id': 0, fields }).fields).toMatchObject([
    { sourceId: 4, sourceIds: [4, 7] },
    { sourceId: 7 },
  ]);
});

test('a spec has the JSON of the specification', () => {
  const json = {
    'spec-id': 0,
    fields: [
      { 'source-id': 7, 'field-id': 1000, name: 'day', transform: 'identity' },
      { 'source-id': 4, 'field-id': 1001, name: 'region', transform: 'identity' },
    ],
  };
  expect(specToJson(spec)).toEqual(json);
  expect(partitionFieldsToJson(spec)).toEqual(json.fields);
  expect(specFromJson(json)).toEqual(spec);
  expect(specToJson(unpartitioned)).toEqual({ 'spec-id': 0, fields: [] });
});

test('fields of format version 1 without ids are numbered from 1000', () => {
  const fields = [
    { 'source-id': 7, name: 'day', transform: 'identity' },
    { 'source-id': 4, name: 'region', transform: 'identity' },
  ];
  expect(specFromJson({ 'spec-id': 0, fields })).toEqual(spec);
});

test('the last partition id is the highest ever given, 999 without any', () => {
  expect(lastPartitionId([unpartitioned])).toBe(999);
  expect(lastPartitionId([])).toBe(999);
  expect(lastPartitionId([spec, { specId: 1, fields: [{ ...spec.fields[0]!, fieldId: 1007 }] }])).toBe(1007);
});

/** A value as partition tuples hold it. */
function partitionValue(type: PrimitiveType, value: Canonical): PartitionValue {
  if (value === null || typeof value === 'boolean') return value;
  const text = value as string;
  switch (type.kind) {
    case 'string':
      return text;
    case 'double':
      return Buffer.from(text, 'hex').readDoubleBE();
    case 'decimal':
      return unscaled(text);
    case 'uuid':
    case 'fixed':
    case 'binary':
      return Buffer.from(text.replaceAll('-', ''), 'hex');
    default:
      return BigInt(text);
  }
}

const javaPaths =
  goldenJson<{ type: string; name: string; value: Canonical; folder: string }[]>('java-partition-paths.json');

test.each(javaPaths)(
  'the $type $name=$value has the folder that Java gives it',
  ({ type, name, value, folder }) => {
    const parsed = parsePrimitiveType(type);
    const own: PartitionSpec = {
      specId: 0,
      fields: [{ sourceId: 1, fieldId: 1000, name, transform: 'identity' }],
    };
    expect(partitionPath(own, [parsed], [partitionValue(parsed, value)])).toBe(folder);
  },
);

interface Transformed {
  type: string;
  transform: string;
  value: Canonical;
  partition: Canonical;
  folder: string;
}

test.each(goldenJson<Transformed[]>('java-transforms.json'))(
  '$transform of the $type $value has the folder that Java gives it',
  ({ type, transform, partition, folder }) => {
    const own: PartitionSpec = {
      specId: 0,
      fields: [{ sourceId: 1, fieldId: 1000, name: 'p', transform }],
    };
    const column = { id: 1, name: 'c', required: false, type: parsePrimitiveType(type) };
    const [result] = partitionTypes(own, { schemaId: 0, fields: [column] });
    expect(partitionPath(own, [result!], [partitionValue(result!, partition)])).toBe(`p=${folder}`);
  },
);

test('folders of several fields stand in each other, and an unpartitioned table has none', () => {
  expect(partitionPath(spec, [{ kind: 'date' }, { kind: 'string' }], [19782, 'a/b'])).toBe(
    'day=2024-02-29/region=a%2Fb',
  );
  expect(partitionPath(spec, [{ kind: 'date' }, { kind: 'string' }], [null, '..'])).toBe(
    'day=null/region=..',
  );
  expect(partitionPath(unpartitioned, [], [])).toBe('');
});
