import { mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { AlreadyExistsError, FatalError, isRetryable, NotFoundError } from '../../../src/base/errors.ts';
import { LocalStore, localLocation, localPath } from '../../../src/storage/local.ts';
import { openStore } from '../../../src/storage/open.ts';

const folder = await mkdtemp(join(tmpdir(), 'frazil-local-'));
afterAll(() => rm(folder, { recursive: true, force: true }));

const store = new LocalStore();

test.each([
  ['file:///warehouse/a', '/warehouse/a'],
  ['file:/warehouse/a', '/warehouse/a'],
  ['file://warehouse/a', '/warehouse/a'],
  ['/warehouse/a', '/warehouse/a'],
  ['relative/a', 'relative/a'],
  ['file:///my warehouse/é/100%/x=a%2Fb#?', '/my warehouse/é/100%/x=a%2Fb#?'],
])('%s is the file %s', (location, path) => {
  expect(localPath(location)).toBe(path);
});

test.each([
  ['/warehouse/a', 'file:///warehouse/a'],
  ['/warehouse/a//', 'file:///warehouse/a'],
  ['/my warehouse/é/100%/a%20b', 'file:///my warehouse/é/100%/a%20b'],
])('the file %s is written as %s', (path, location) => {
  expect(localLocation(path)).toBe(location);
  expect(localPath(location)).toBe(path.replace(/\/+$/, ''));
});

test('every spelling of a location names the same file', async () => {
  const path = join(folder, 'spellings', 'a b é %41');
  await store.put(`file://${path}`, [Buffer.from('x')]);
  expect((await readFile(path)).toString()).toBe('x');
  for (const location of [`file://${path}`, `file:${path}`, path]) {
    expect(Buffer.from(await store.get(location)).toString()).toBe('x');
    await expect(store.put(location, [])).rejects.toThrow(AlreadyExistsError);
  }
});

test('folders are made as they are needed, by many at once', async () => {
  const base = join(folder, 'deep', 'x=1', 'y=2');
  await Promise.all(
    Array.from({ length: 20 }, (_, i) =>
      store.put(`file://${base}/z=${i % 3}/${i}`, [Buffer.from(String(i))]),
    ),
  );
  expect(await readdir(base)).toEqual(['z=0', 'z=1', 'z=2']);
});

test('nothing of a failed write is left behind', async () => {
  const path = join(folder, 'failed', 'object');
  const parts = [Buffer.alloc(100_000), 'not bytes' as unknown as Uint8Array, Buffer.alloc(10)];
  Object.defineProperty(parts, 1, {
    get: () => {
      throw new Error('the disk is gone');
    },
  });
  await expect(store.put(path, parts)).rejects.toThrow(FatalError);
  await expect(store.put(path, parts)).rejects.toThrow(`writing ${path}: the disk is gone`);
  expect(await readdir(join(folder, 'failed'))).toEqual([]);
  await store.put(path, [Buffer.from('now it works')]);
  expect(await readdir(join(folder, 'failed'))).toEqual(['object']);
});

test('a refused write leaves nothing but what was there', async () => {
  const path = join(folder, 'refused', 'object');
  await store.put(path, [Buffer.from('first')]);
  await expect(store.put(path, [Buffer.from('second')])).rejects.toThrow(AlreadyExistsError);
  expect(await readdir(join(folder, 'refused'))).toEqual(['object']);
});

test('a name that is taken by a folder or a dead link is taken', async () => {
  await mkdir(join(folder, 'taken', 'folder'), { recursive: true });
  await symlink('/nowhere', join(folder, 'taken', 'link'));
  await expect(store.put(join(folder, 'taken', 'folder'), [])).rejects.toThrow(AlreadyExistsError);
  await expect(store.put(join(folder, 'taken', 'link'), [])).rejects.toThrow(AlreadyExistsError);
});

test('what trying again cannot mend is fatal and names the location', async () => {
  await writeFile(join(folder, 'plain'), '');
  const cases: [() => Promise<unknown>, RegExp][] = [
    [() => store.put(join(folder, 'plain', 'below'), []), /^writing .*plain\/below: ENOTDIR/],
    [() => store.get(folder), /^reading .*: EISDIR/],
    [() => store.delete(folder), /^deleting .*: (EPERM|EISDIR)/],
    // Nobody may make files there, whoever runs this.
    [() => store.put('file:///sys/frazil', []), /^writing file:\/\/\/sys\/frazil: (EACCES|EPERM|EROFS)/],
  ];
  for (const [failing, message] of cases) {
    const error = await failing().catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(FatalError);
    expect((error as Error).message).toMatch(message);
    expect(isRetryable(error)).toBe(false);
  }
  await expect(store.get(join(folder, 'nothing', 'here'))).rejects.toThrow(NotFoundError);
});

test('a store takes every spelling of a local file, and names a scheme that it does not know', async () => {
  const store = openStore({ s3: {} });
  const path = join(folder, 'spelled');
  await store.put(localLocation(path), [Buffer.from('here')]);
  for (const location of [`file://${path}`, `file:${path}`, path])
    expect(Buffer.from(await store.get(location)).toString()).toBe('here');
  await store.delete(path);
  await expect(store.get(path)).rejects.toThrow(NotFoundError);
  await expect(store.get('gopher://lake/a')).rejects.toThrow(
    'opening the store of gopher://lake/a: scheme gopher is not supported (file and s3 are)',
  );
});
