import { expect, test } from 'vitest';
import { FatalError } from '../../../src/base/errors.ts';
import {
  identitySpec,
  lastPartitionId,
  type PartitionSpec,
  type PartitionValue,
  partitionFieldsToJson,
  partitionPath,
  partitionTypes,
  specFromJson,
  specToJson,
  unpartitioned,
} from '../../../src/iceberg/partition-spec.ts';
import type { Schema } from '../../../src/iceberg/schema.ts';
import { type PrimitiveType, parsePrimitiveType, type Type } from '../../../src/iceberg/types.ts';
import type { Canonical } from '../../tools/canonical.ts';
import { unscaled } from '../arrow/rows.ts';
import { goldenJson } from './golden.ts';

const list: Type = { kind: 'list', elementId: 9, elementRequired: false, element: { kind: 'int' } };
const schema: Schema = {
  schemaId: 0,
  fields: [
    { id: 4, name: 'region', required: true, type: { kind: 'string' } },
    { id: 7, name: 'day', required: false, type: { kind: 'date' } },
    { id: 8, name: 'tags', required: false, type: list },
    { id: 10, name: 'code', required: false, type: { kind: 'fixed', length: 3 } },
    { id: 11, name: 'token', required: false, type: { kind: 'uuid' } },
  ],
};
const spec = identitySpec(schema, ['day', 'region']);

test('a table is divided by the columns that are named, in that order', () => {
  expect(spec).toEqual({
    specId: 0,
    fields: [
      { sourceId: 7, fieldId: 1000, name: 'day', transform: 'identity' },
      { sourceId: 4, fieldId: 1001, name: 'region', transform: 'identity' },
    ],
  });
  expect(identitySpec(schema, [])).toEqual(unpartitioned);
  expect(partitionTypes(spec, schema)).toEqual([{ kind: 'date' }, { kind: 'string' }]);
});

test.each([
  ['nothing', 'partitioning by nothing: the table has no such column'],
  ['tags', 'partitioning by tags: a list<int> cannot be a partition value'],
  ['code', 'partitioning by code: a fixed[3] cannot be a partition value'],
  ['token', 'partitioning by token: a uuid cannot be a partition value'],
])('a table cannot be divided by %s', (name, message) => {
  expect(() => identitySpec(schema, ['region', name])).toThrow(new FatalError(message));
});

test('a column divides a table once', () => {
  expect(() => identitySpec(schema, ['region', 'day', 'region'])).toThrow(
    'partitioning by region: it is named twice',
  );
});

test.each([
  ['day[0]', { sourceId: 7, transform: 'day' }, 'transform day is not supported, only identity'],
  [
    'bucket',
    { sourceId: 4, transform: 'bucket[16]' },
    'transform bucket[16] is not supported, only identity',
  ],
  ['gone', { sourceId: 99, transform: 'identity' }, 'its source column 99 is not a top-level column'],
  ['inner', { sourceId: 9, transform: 'identity' }, 'its source column 9 is not a top-level column'],
  ['tags', { sourceId: 8, transform: 'identity' }, 'a list<int> cannot be a partition value'],
  ['code', { sourceId: 10, transform: 'identity' }, 'a fixed[3] cannot be a partition value'],
])('a table divided by %s is refused before anything is written', (name, field, message) => {
  const foreign: PartitionSpec = { specId: 1, fields: [{ ...field, fieldId: 1000, name }] };
  expect(() => partitionTypes(foreign, schema)).toThrow(
    new FatalError(`partition field ${name}: ${message}`),
  );
});

test('a table that others have divided by uuids can be written', () => {
  const foreign: PartitionSpec = {
    specId: 1,
    fields: [{ sourceId: 11, fieldId: 1000, name: 'token', transform: 'identity' }],
  };
  expect(partitionTypes(foreign, schema)).toEqual([{ kind: 'uuid' }]);
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

test('folders of several fields stand in each other, and an unpartitioned table has none', () => {
  expect(partitionPath(spec, [{ kind: 'date' }, { kind: 'string' }], [19782, 'a/b'])).toBe(
    'day=2024-02-29/region=a%2Fb',
  );
  expect(partitionPath(spec, [{ kind: 'date' }, { kind: 'string' }], [null, '..'])).toBe(
    'day=null/region=..',
  );
  expect(partitionPath(unpartitioned, [], [])).toBe('');
});
