import { expect, test } from 'vitest';
import { FatalError } from '../../../src/base/errors.ts';
import { describe } from '../../../src/lane/describe.ts';
import type { Described, DescribePlan } from '../../../src/lane/lane.ts';
import { type Given, lanePorts, setOf } from './lanes.ts';

const registry = { url: 'http://registry' };
const order = { schema: '{"type":"record","name":"Order","fields":[{"name":"n","type":"long"}]}' };
const wide = { schema: '{"type":"record","name":"Order","fields":[{"name":"wide","type":"string"}]}' };
const id = { schema: '{"type":"record","name":"Id","fields":[{"name":"id","type":"int"}]}' };
const answers = {
  '/schemas/ids/1': order,
  '/schemas/ids/2': wide,
  '/schemas/ids/3': id,
  '/schemas/ids/5': {},
  '/schemas/ids/4': {
    schema: '{"type":"record","name":"U","fields":[{"name":"u","type":["int","string"]}]}',
  },
};
const plan: DescribePlan = {
  value: { format: 'avro', registry },
  key: { format: 'string' },
  keyColumn: undefined,
  onError: 'skip',
  onTombstone: 'skip',
};

/** A value or key by the schema `schemaId`, whatever its body. */
const by = (schemaId: number): Buffer => Buffer.of(0, 0, 0, 0, schemaId, 2);
const value = (schemaId: number, key: string | Buffer | null = null): Given => ({ key, value: by(schemaId) });

const describing = (given: readonly Given[], change: Partial<DescribePlan> = {}): Promise<Described> =>
  describe(setOf(0, given), { ...plan, ...change }, lanePorts(answers), new Map());

async function columns(
  given: readonly Given[],
  change: Partial<DescribePlan> = {},
): Promise<string[] | undefined> {
  const described = await describing(given, change);
  if (described.type !== 'columns') return undefined;
  return described.fields.map(({ name, type, required }) => `${name} ${type.kind}${required ? '' : '?'}`);
}

test('the first record that has a schema tells the columns', async () => {
  expect(await columns([value(1), value(2)])).toEqual(['n long']);
});

test('tombstones and what is no Avro tell nothing; the next record does', async () => {
  expect(await columns([null, { key: null, value: 'x' }, { key: null, value: '{"n":1}' }, value(2)])).toEqual(
    ['wide string'],
  );
  expect(await columns([null, null])).toBeUndefined();
  expect(await columns([])).toBeUndefined();
});

test.each([
  ['bytes', 'k binary?'],
  ['string', 'k string?'],
  ['json', 'k string?'],
] as const)('a %s key has a column of its own, which may be null', async (format, column) => {
  expect(await columns([value(1)], { keyColumn: 'k', key: { format } })).toEqual(['n long', column]);
});

test('an Avro key tells its column by its schema, and a record without a key is passed over', async () => {
  const keyed = { keyColumn: 'k', key: { format: 'avro', registry } } as const;
  expect(await columns([value(2), value(1, by(3))], keyed)).toEqual(['n long', 'k struct?']);
  expect(await columns([value(1)], keyed)).toBeUndefined();
});

test('only Avro tells', async () => {
  const json = { value: { format: 'json', envelope: 'none', epoch: 'ms' } } as const;
  await expect(columns([value(1)], json)).rejects.toThrow(
    new FatalError('only Avro schemas tell the columns of a table'),
  );
});

const bad = { key: null, value: 'x' };
test.each([
  [
    'is not in the wire format',
    [null, bad, value(1)],
    'not in the Confluent wire format: expected a zero byte and a schema id, found 0x78',
  ],
  ['has a schema that the registry does not have', [null, value(9)], 'schema 9 is not in the registry'],
  [
    'has a schema that no table can hold',
    [null, value(4)],
    'schema 4: field u: union of int and string is not supported (null with one other type is)',
  ],
])('a record that %s stops the table, or is left out with onError: skip', async (_what, given, reason) => {
  const failure = { topic: 'orders', partition: 0, offset: 1, field: '', reason };
  expect(await describing(given, { onError: 'halt' })).toEqual({ type: 'failure', failure });
  const left = await describing(given.slice(0, 2));
  expect(left).toEqual({ type: 'nothing', undecodable: 1, first: failure });
  expect(await columns([...given.slice(0, 2), value(1)])).toEqual(['n long']);
});

test('a tombstone stops the table with onTombstone: halt', async () => {
  const failure = {
    topic: 'orders',
    partition: 0,
    offset: 0,
    field: '',
    reason: 'the record has no value (a tombstone)',
  };
  expect(await describing([null, value(1)], { onTombstone: 'halt' })).toEqual({ type: 'failure', failure });
});

test('what a registry answers wrongly is no fault of the records', async () => {
  await expect(describing([value(5)], { onError: 'skip' })).rejects.toThrow('the answer is not a schema');
});
