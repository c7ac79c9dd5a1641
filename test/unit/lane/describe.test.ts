import { expect, test } from 'vitest';
import { FatalError } from '../../../src/base/errors.ts';
import type { Field } from '../../../src/iceberg/types.ts';
import { describe } from '../../../src/lane/describe.ts';
import type { DescribePlan } from '../../../src/lane/lane.ts';
import { type Given, lanePorts, setOf } from './lanes.ts';

const registry = { url: 'http://registry' };
const order = { schema: '{"type":"record","name":"Order","fields":[{"name":"n","type":"long"}]}' };
const wide = { schema: '{"type":"record","name":"Order","fields":[{"name":"wide","type":"string"}]}' };
const id = { schema: '{"type":"record","name":"Id","fields":[{"name":"id","type":"int"}]}' };
const answers = { '/schemas/ids/1': order, '/schemas/ids/2': wide, '/schemas/ids/3': id };
const plan: DescribePlan = {
  value: { format: 'avro', registry },
  key: { format: 'string' },
  keyColumn: undefined,
};

/** A value or key by the schema `schemaId`, whatever its body. */
const by = (schemaId: number): Buffer => Buffer.of(0, 0, 0, 0, schemaId, 2);
const value = (schemaId: number, key: string | Buffer | null = null): Given => ({ key, value: by(schemaId) });

async function columns(
  given: readonly Given[],
  change: Partial<DescribePlan> = {},
): Promise<string[] | undefined> {
  const fields = await describe(setOf(0, given), { ...plan, ...change }, lanePorts(answers), new Map());
  return fields?.map(({ name, type, required }: Field) => `${name} ${type.kind}${required ? '' : '?'}`);
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

test('a schema that the registry does not have stops the pipeline', async () => {
  await expect(columns([value(9)])).rejects.toThrow(/9/);
});
