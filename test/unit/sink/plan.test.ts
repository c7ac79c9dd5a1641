import { describe, expect, test } from 'vitest';
import { FatalError } from '../../../src/base/errors.ts';
import type { Table } from '../../../src/catalog/catalog.ts';
import type { TableMetadata } from '../../../src/iceberg/metadata.ts';
import type { Field } from '../../../src/iceberg/types.ts';
import { creationOf, planTable, unheeded } from '../../../src/sink/plan.ts';
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

  test('spreads them over folders where the table wants that', () => {
    const properties = { 'write.object-storage.enabled': 'true', 'write.data.path': 'file:///elsewhere' };
    expect(planTable(table({}, properties), options, sink)).toMatchObject({
      dataLocation: 'file:///elsewhere',
      hashed: { context: 'shop/orders', byPartition: true },
    });
  });

  test.each([
    [1, '; upgrade it by setting the table property format-version to 2'],
    [3, ''],
  ])('is refused for format version %d, before anything is written', (version, advice) => {
    expect(() => planTable(table({ 'format-version': version }), options, sink)).toThrow(
      new FatalError(
        `opening table shop.orders: its format-version is ${version}, only version 2 can be written${advice}`,
      ),
    );
  });

  test('is refused for an encrypted table: our files would lie there in the clear', () => {
    expect(() => planTable(table({}, { 'encryption.key-id': 'k' }), options, sink)).toThrow(
      new FatalError(
        'opening table shop.orders: it is encrypted (encryption.key-id), which is not supported',
      ),
    );
  });

  test('is refused for a partition transform that cannot be written', () => {
    const field = { 'source-id': 1, 'field-id': 1000, name: 'id_z', transform: 'zorder' };
    const change = { 'partition-specs': [{ 'spec-id': 0, fields: [field] }] };
    expect(() => planTable(table(change), options, sink)).toThrow(
      new FatalError(
        'opening table shop.orders: partition field id_z: transform zorder is not known to Iceberg format version 2',
      ),
    );
  });

  test('takes the default spec only: what older ones hold, nobody writes', () => {
    const old = { 'source-id': 99, 'field-id': 1000, name: 'gone', transform: 'zorder' };
    const now = { 'source-id': 1, 'field-id': 1001, name: 'id_bucket', transform: 'bucket[16]' };
    const change = {
      'partition-specs': [
        { 'spec-id': 0, fields: [old] },
        { 'spec-id': 1, fields: [now] },
      ],
      'default-spec-id': 1,
    };
    expect(planTable(table(change), options, sink).spec).toMatchObject({
      specId: 1,
      fields: [{ transform: 'bucket[16]' }],
    });
  });

  test('is refused for a table without the column that the key is to go into', () => {
    expect(() => planTable(table(), { ...options, keyColumn: 'k' }, sink)).toThrow(
      new FatalError('opening table shop.orders: it has no column k for the key (keyColumn)'),
    );
    expect(planTable(table(), { ...options, keyColumn: 'region' }, sink).keyColumn).toBe('region');
  });
});

test.each<[string, Partial<TableMetadata>, Record<string, string>, string[]]>([
  ['nothing', {}, { 'write.format.default': 'Parquet', 'write.distribution-mode': 'hash' }, []],
  [
    'the format of files',
    {},
    { 'write.format.default': 'orc' },
    ['write.format.default is orc: files are written as Parquet'],
  ],
  [
    'a sort order',
    { 'default-sort-order-id': 1 },
    {},
    ['it has a sort order: files are written unsorted, and are marked so'],
  ],
  [
    'a class that says where files go',
    {},
    { 'write.location-provider.impl': 'org.example.Places' },
    [
      'write.location-provider.impl names a class of Java: files go where the other properties say, write.data.path first',
    ],
  ],
])(
  'of what a table asks of its writers, %s is told to be unheeded',
  (_what, change, properties, expected) => {
    expect(unheeded(table(change, properties))).toEqual(expected);
  },
);

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
    const creation = creationOf(fields, {
      ...options,
      partitionBy: ['bucket(4, n)'],
      properties: { a: 'b' },
    });
    const spec = creation.spec({ schemaId: 0, fields: [{ ...fields[0]!, id: 1 }] });
    expect(spec.fields).toMatchObject([{ sourceId: 1, name: 'n_bucket', transform: 'bucket[4]' }]);
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
