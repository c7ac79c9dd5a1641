import { describe, expect, test } from 'vitest';
import { FatalError } from '../../../src/base/errors.ts';
import { formatPartitionTerms, newSpec } from '../../../src/iceberg/partition-by.ts';
import { partitionTypes, unpartitioned } from '../../../src/iceberg/partition-spec.ts';
import { assignFieldIds, type Schema } from '../../../src/iceberg/schema.ts';
import { type Field, parsePrimitiveType, type Type } from '../../../src/iceberg/types.ts';

const field = (name: string, type: string | Type): Field => ({
  id: 0,
  name,
  required: false,
  type: typeof type === 'string' ? parsePrimitiveType(type) : type,
});
const schema: Schema = {
  schemaId: 0,
  fields: assignFieldIds([
    field('region', 'string'),
    field('order_id', 'long'),
    field('event_time', 'timestamptz'),
    field('day', 'date'),
    field('day_month', 'int'),
    field('odd (name)', 'int'),
    field('code', 'fixed[3]'),
    field('token', 'uuid'),
    field('tags', { kind: 'list', elementId: 0, elementRequired: false, element: { kind: 'int' } }),
    field('address', { kind: 'struct', fields: [field('city', 'string'), field('since', 'date')] }),
  ]).fields,
};
const specBy = (...partitionBy: string[]): [string, string, number][] =>
  newSpec(schema, partitionBy).fields.map(({ name, transform, sourceId }) => [name, transform, sourceId]);

describe('a new table is divided by', () => {
  test('nothing, unless it is said', () => {
    expect(newSpec(schema, [])).toEqual(unpartitioned);
  });

  test('columns and transforms of them, named as Spark names them, numbered in their order', () => {
    const spec = newSpec(schema, ['day', 'hour(event_time)', 'bucket(16, order_id)', 'truncate(4, region)']);
    expect(spec).toEqual({
      specId: 0,
      fields: [
        { sourceId: 4, fieldId: 1000, name: 'day', transform: 'identity' },
        { sourceId: 3, fieldId: 1001, name: 'event_time_hour', transform: 'hour' },
        { sourceId: 2, fieldId: 1002, name: 'order_id_bucket', transform: 'bucket[16]' },
        { sourceId: 1, fieldId: 1003, name: 'region_trunc', transform: 'truncate[4]' },
      ],
    });
    expect(partitionTypes(spec, schema)).toEqual([
      { kind: 'date' },
      { kind: 'int' },
      { kind: 'int' },
      { kind: 'string' },
    ]);
  });

  test.each([
    ['days(event_time)', 'event_time_day', 'day'],
    ['Months( event_time )', 'event_time_month', 'month'],
    ['years(event_time)', 'event_time_year', 'year'],
    ['hours(event_time)', 'event_time_hour', 'hour'],
    ['BUCKET(order_id, 8)', 'order_id_bucket', 'bucket[8]'],
    ['truncate(order_id,100)', 'order_id_trunc', 'truncate[100]'],
  ])('%s, as Spark, Athena or Trino have it', (text, name, transform) => {
    expect(specBy(text).map(([n, t]) => [n, t])).toEqual([[name, transform]]);
  });

  test('fields of structs', () => {
    expect(specBy('address.city', 'month(address.since)')).toEqual([
      ['address.city', 'identity', 12],
      ['address.since_month', 'month', 13],
    ]);
  });

  test('a column whose name looks like a transform', () => {
    expect(specBy('odd (name)')).toEqual([['odd (name)', 'identity', 6]]);
  });
});

test.each([
  ['nothing', 'there is no column nothing'],
  ['day(nothing)', 'there is no column nothing'],
  ['days(event_time', 'expected a column or a transform, such as day(event_time) or bucket(16, order_id)'],
  ['week(event_time)', 'there is no transform week; known are year, month, day, hour, bucket and truncate'],
  ['bucket(order_id)', 'bucket needs a number and a column: bucket(16, code)'],
  ['truncate(x, region)', 'truncate needs a number and a column: truncate(4, code)'],
  ['bucket(0, order_id)', 'transform bucket[0]: the number must be between 1 and 2147483647'],
  ['day(region)', 'day takes date, timestamp or timestamptz, and the column is a string'],
  ['hour(day)', 'hour takes timestamp or timestamptz, and the column is a date'],
  ['tags', 'a list<int> cannot be a partition value'],
  ['bucket(4, tags)', 'a list<int> cannot be a partition value'],
  ['code', 'a fixed[3] cannot be a partition value'],
  ['token', 'a uuid cannot be a partition value'],
  ['month(day)', 'its partition field would be named day_month, as a column is'],
])('a table cannot be divided by %s', (text, message) => {
  expect(() => newSpec(schema, ['region', text])).toThrow(
    new FatalError(`partitioning by ${text}: ${message}`),
  );
});

test.each([
  [['region', 'day', 'region'], 'region: it is named twice'],
  [['bucket(4, token)', 'bucket(8, token)'], 'bucket(8, token): it is named twice'],
  [
    ['day(event_time)', 'hour(event_time)'],
    'hour(event_time): the day of event_time divides the table already',
  ],
])('a table cannot be divided by %s', (partitionBy, message) => {
  expect(() => newSpec(schema, partitionBy)).toThrow(new FatalError(`partitioning by ${message}`));
});

test('what a table is divided by is shown in the same words', () => {
  const words = ['day', 'hour(event_time)', 'bucket(16, order_id)', 'truncate(4, region)', 'address.city'];
  const spec = newSpec(schema, words);
  expect(formatPartitionTerms(spec, schema)).toEqual(words);
  const gone = { sourceId: 99, fieldId: 1000, name: 'old', transform: 'void' };
  expect(formatPartitionTerms({ specId: 1, fields: [gone] }, schema)).toEqual(['void(old)']);
});
