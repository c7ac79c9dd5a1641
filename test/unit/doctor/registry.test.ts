import { expect, test } from 'vitest';
import { FatalError, NotFoundError } from '../../../src/base/errors.ts';
import type { Outcome } from '../../../src/doctor/check.ts';
import { registryChecks } from '../../../src/doctor/registry.ts';

const registry = { url: 'http://registry' };
const config = {
  decode: { value: { format: 'avro', registry }, key: { format: 'bytes' } },
  source: { topics: ['orders'] },
  tables: [{ table: 'shop.orders', topics: ['orders'], keyColumn: 'id' }],
};

/** Checks against a registry that has these subjects. */
async function check(subjects: Record<string, object>, more: object = {}): Promise<Outcome[]> {
  const checks = registryChecks({ ...config, ...more } as never, async (_options, path) => {
    const subject = /^\/subjects\/(.+)\/versions\/latest$/.exec(path)![1]!;
    const found = subjects[subject];
    if (!found) throw new NotFoundError('asking');
    return found;
  });
  return Promise.all(checks.map((each) => each.run()));
}

test('the schemas of the topics are there', async () => {
  expect(await check({ 'orders-value': { version: 3 } })).toEqual([
    { status: 'ok', found: 'http://registry answers; orders-value has version 3' },
  ]);
  const keyed = { decode: { ...config.decode, key: { format: 'avro', registry } } };
  const [both] = await check({ 'orders-value': { version: 3 }, 'orders-key': { version: 1 } }, keyed);
  expect(both!.found).toBe('http://registry answers; orders-value has version 3; orders-key has version 1');
});

test('a subject that is missing is a warning: producers may name theirs otherwise', async () => {
  expect(await check({})).toMatchObject([
    { status: 'warning', found: 'http://registry answers; it has no subject orders-value' },
  ]);
});

test('a schema that is not Avro cannot be landed', async () => {
  expect(await check({ 'orders-value': { version: 1, schemaType: 'PROTOBUF' } })).toMatchObject([
    { status: 'failed', found: 'subject orders-value is PROTOBUF, not AVRO' },
  ]);
});

test('a registry that refuses has failed, and without Avro none is asked', async () => {
  const [refused] = registryChecks(config as never, () => Promise.reject(new FatalError('HTTP 401')));
  await expect(refused!.run()).rejects.toThrow('HTTP 401');
  expect(await check({}, { decode: { value: { format: 'json' }, key: { format: 'bytes' } } })).toEqual([]);
});

test('a registry is asked something also where only a pattern tells the topics', async () => {
  const found = { ...config, source: { topics: [] }, tables: [] };
  const [refused] = registryChecks(found as never, () => Promise.reject(new FatalError('HTTP 401')));
  await expect(refused!.run()).rejects.toThrow('HTTP 401');
  const [answering] = registryChecks(found as never, async () => []);
  expect(await answering!.run()).toEqual({ status: 'ok', found: 'http://registry answers' });
});
