import { expect, test } from 'vitest';
import { type Config, parseConfig } from '../../../src/config/config.ts';
import { tableOptions } from '../../../src/worker/worker.ts';

function config(table: object, decode: object): Config {
  const all = {
    pipeline: 'shop',
    source: { brokers: ['kafka:9092'], topics: ['orders'] },
    catalog: { type: 'sqlite', path: 'catalog.db', warehouse: 'lake' },
    decode,
    tables: [
      {
        table: 'shop.orders',
        topics: ['orders'],
        create: true,
        schema: [{ name: 'n', type: 'long' }],
        onRollback: 'replay',
        ...table,
      },
    ],
  };
  return parseConfig(JSON.stringify(all), {}, '/etc/frazil');
}

test('a table is written as the configuration says', () => {
  const decode = { value: { format: 'json' }, onError: 'skip', onTombstone: 'skip' };
  const plain = config({ partitionBy: ['n'], metadataColumns: false }, decode);
  expect(tableOptions(plain, plain.tables[0]!)).toMatchObject({
    table: 'shop.orders',
    topics: ['orders'],
    create: true,
    fields: [{ name: 'n', type: { kind: 'long' } }],
    partitionBy: ['n'],
    metadataColumns: false,
    keyColumn: undefined,
    value: { format: 'json' },
    onError: 'skip',
    onTombstone: 'skip',
    onRollback: 'replay',
  });
});

test('a key column that is not Avro is one of the columns of a table to be created', () => {
  const decode = {
    value: { format: 'json' },
    key: { format: 'string' },
    onError: 'skip',
    onTombstone: 'skip',
  };
  const keyed = config({ keyColumn: 'k' }, decode);
  const options = tableOptions(keyed, keyed.tables[0]!);
  expect(options.fields).toMatchObject([
    { name: 'n', type: { kind: 'long' } },
    { name: 'k', required: false, type: { kind: 'string' } },
  ]);
  expect(options).toMatchObject({
    keyColumn: 'k',
    onError: 'skip',
    onTombstone: 'skip',
    key: { format: 'string' },
  });
});

test('a table whose columns are not given has none until a record tells: not the key’s alone', () => {
  const decode = {
    value: { format: 'avro', registry: { url: 'http://registry' } },
    key: { format: 'string' },
  };
  const keyed = config({ keyColumn: 'k', schema: [] }, decode);
  expect(tableOptions(keyed, keyed.tables[0]!).fields).toEqual([]);
});
