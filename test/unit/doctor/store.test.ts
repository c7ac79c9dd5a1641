import { expect, test } from 'vitest';
import { FatalError } from '../../../src/base/errors.ts';
import { seededRandom } from '../../../src/base/random.ts';
import type { Outcome } from '../../../src/doctor/check.ts';
import { storeCheck } from '../../../src/doctor/store.ts';
import { MemoryStore } from '../../../src/storage/memory.ts';

const run = async (store: MemoryStore, ...places: string[]): Promise<Outcome> =>
  storeCheck(
    async () => places,
    async () => store,
    seededRandom(1),
  ).run();

test('a store that does what it must; nothing is left in it', async () => {
  const store = new MemoryStore();
  expect(await run(store, 'file:///wh')).toEqual({
    status: 'ok',
    found: 'file:///wh: objects can be written, not overwritten, read and deleted',
  });
  expect(store.objects.size).toBe(0);
});

test('on S3 an object is written that needs several parts', async () => {
  const sizes: number[] = [];
  const store = new (class extends MemoryStore {
    override async put(location: string, parts: readonly Uint8Array[]): Promise<void> {
      sizes.push(parts.reduce((sum, part) => sum + part.length, 0));
      // Only its name is kept.
      await super.put(location, parts.length > 1 ? [] : parts);
    }
  })();
  expect((await run(store, 's3://lake/wh')).status).toBe('ok');
  expect(sizes.at(-1)).toBe(65 * 1024 * 1024);
  expect(store.objects.size).toBe(0);
});

test('each place is looked at; without any it is skipped', async () => {
  const store = new MemoryStore();
  expect((await run(store, 'file:///a', 'file:///b')).found).toMatch(/^file:\/\/\/a, file:\/\/\/b: /);
  expect((await run(store)).status).toBe('skipped');
});

test('a store that overwrites is refused, and cleaned up', async () => {
  const store = new MemoryStore();
  store.put = async (location, parts) =>
    void store.objects.set(location, new Uint8Array(Buffer.concat(parts)));
  const outcome = await run(store, 'file:///wh');
  expect(outcome.status).toBe('failed');
  expect(outcome.found).toMatch(/was overwritten: the store takes no notice of If-None-Match$/);
  expect(store.objects.size).toBe(0);
});

test('a store that gives back something else has failed, and is cleaned up', async () => {
  const store = new MemoryStore();
  store.get = async () => new Uint8Array(32);
  expect(await run(store, 'file:///wh')).toMatchObject({
    status: 'failed',
    found: expect.stringMatching(/does not come back as it was written$/),
  });
  expect(store.objects.size).toBe(0);
});

test('a store that cannot be written has failed with its own message', async () => {
  const store = new MemoryStore();
  store.put = () => Promise.reject(new FatalError('writing s3://lake/x: Access Denied'));
  await expect(run(store, 's3://lake')).rejects.toThrow('writing s3://lake/x: Access Denied');
});

test('objects that cannot be deleted are named, and are no failure', async () => {
  const store = new MemoryStore();
  store.delete = () => Promise.reject(new FatalError('deleting: Access Denied'));
  const outcome = await run(store, 'file:///wh');
  expect(outcome).toMatchObject({ status: 'warning', found: 'deleting: Access Denied' });
  expect(outcome.fix).toContain([...store.objects.keys()][0]);
});
