import { describe, expect, test } from 'vitest';
import { FatalError } from '../../../src/base/errors.ts';
import type { Table } from '../../../src/catalog/catalog.ts';
import type { TableMetadata } from '../../../src/iceberg/metadata.ts';
import type { Field } from '../../../src/iceberg/types.ts';
import { creationOf, planTable } from '../../../src/sink/plan.ts';
import { newTable } from '../iceberg/tables.ts';
import { tableOptions } from './options.ts';

const options = tableOptions({ table: 'shop.orders' });
const sink = { pipeline: 'shop', worker: 'w1' };

function table(change: Partial<TableMetadata> = {}, properties: Record<string, string> = {}): Table {
  const metadata = { ...newTable(properties), ...change };
  return { identifier: { namespace: ['shop'], name: 'orders' }, metadataLocation: 'm', metadata };
}

describe('a plan for lanes', () => {
  test('has all that a lane must know, as plain data', () => {
    const plan = planTable(table(), { ...options, onError: 'skip', onTombstone: 'skip' }, sink);
    expect(plan).toMatchObject({
      table: 'shop.orders',
      schema: { schemaId: 0 },
      spec: { specId: 0 },
      dataLocation: 'file:///warehouse/shop/orders/data',
      filePrefix: 'frazil-shop-w1',
      onError: 'skip',
      onTombstone: 'skip',
      keyColumn: undefined,
    });
    expect(plan.schema.fields.map((field) => field.name)).toEqual(['id', 'region']);
    expect(structuredClone(plan)).toEqual(plan);
  });

  test('puts files where the table wants them', () => {
    const properties = { 'write.data.path': 'file:///elsewhere//' };
    expect(planTable(table({}, properties), options, sink).dataLocation).toBe('file:///elsewhere');
  });

  test.each([1, 3])('is refused for format version %d, before anything is written', (version) => {
    expect(() => planTable(table({ 'format-version': version }), options, sink)).toThrow(
      new FatalError(
        `opening table shop.orders: its format-version is ${version}, only version 2 can be written`,
      ),
    );
  });

  test('is refused for a partition transform that cannot be written', () => {
    const field = { 'source-id': 1, 'field-id': 1000, name: 'id_bucket', transform: 'bucket[16]' };
    const change = { 'partition-specs': [{ 'spec-id': 0, fields: [field] }] };
    expect(() => planTable(table(change), options, sink)).toThrow(FatalError);
    expect(() => planTable(table(change), options, sink)).toThrow(
      /^opening table shop\.orders: .*bucket\[16\]/,
    );
  });

  test('is refused for a table without the column that the key is to go into', () => {
    expect(() => planTable(table(), { ...options, keyColumn: 'k' }, sink)).toThrow(
      new FatalError('opening table shop.orders: it has no column k for the key (keyColumn)'),
    );
    expect(planTable(table(), { ...options, keyColumn: 'region' }, sink).keyColumn).toBe('region');
  });
});

describe('a table to be created', () => {
  const fields: Field[] = [{ id: 0, name: 'n', required: true, type: { kind: 'long' } }];

  test('has the given columns, then the metadata columns where they are asked for', () => {
    const names = (metadataColumns: boolean): string[] =>
      creationOf(fields, { ...options, metadataColumns }).fields.map((field) => field.name);
    expect(names(true)).toEqual([
      'n',
      '_kafka_topic',
      '_kafka_partition',
      '_kafka_offset',
      '_kafka_timestamp',
    ]);
    expect(names(false)).toEqual(['n']);
  });

  test('is partitioned as configured and has the configured properties', () => {
    const creation = creationOf(fields, { ...options, partitionBy: ['n'], properties: { a: 'b' } });
    const spec = creation.spec({ schemaId: 0, fields: [{ ...fields[0]!, id: 1 }] });
    expect(spec.fields).toMatchObject([{ sourceId: 1, name: 'n', transform: 'identity' }]);
    expect(creation.properties).toEqual({ a: 'b' });
  });

  test('must not have two columns that differ in case only: most engines could not read it', () => {
    const twice = [...fields, { ...fields[0]!, name: 'N' }];
    expect(() => creationOf(twice, options)).toThrow(
      new FatalError('creating table shop.orders: columns n and N have the same name for most engines'),
    );
    const taken = [{ ...fields[0]!, name: '_Kafka_Offset' }];
    expect(() => creationOf(taken, { ...options, metadataColumns: true })).toThrow(
      'columns _Kafka_Offset and _kafka_offset have the same name',
    );
    expect(() => creationOf(taken, { ...options, metadataColumns: false })).not.toThrow();
  });
});
