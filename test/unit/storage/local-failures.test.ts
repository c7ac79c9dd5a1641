import type { FileHandle } from 'node:fs/promises';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeEach, expect, test, vi } from 'vitest';
import { FatalError, TransientError } from '../../../src/base/errors.ts';
import { LocalStore } from '../../../src/storage/local.ts';

/** What the file system refuses, by operation. */
const faults = vi.hoisted(() => new Map<'writeFile' | 'sync' | 'link' | 'open' | 'readFile', string>());

vi.mock('node:fs/promises', async (importOriginal) => {
  const real = await importOriginal<typeof import('node:fs/promises')>();
  const check = (operation: 'writeFile' | 'sync' | 'link' | 'open' | 'readFile'): void => {
    const code = faults.get(operation);
    if (code) throw Object.assign(new Error(`${code}: refused, ${operation}`), { code });
  };
  return {
    ...real,
    open: async (...args: Parameters<typeof real.open>): Promise<FileHandle> => {
      check('open');
      const file = await real.open(...args);
      for (const operation of ['writeFile', 'sync'] as const) {
        const original = file[operation].bind(file) as (...given: unknown[]) => Promise<void>;
        file[operation] = async (...given: unknown[]) => {
          check(operation);
          await original(...given);
        };
      }
      return file;
    },
    link: async (...args: Parameters<typeof real.link>) => {
      check('link');
      return real.link(...args);
    },
    readFile: async (...args: Parameters<typeof real.readFile>) => {
      check('readFile');
      return real.readFile(...args);
    },
  };
});

const folder = await mkdtemp(join(tmpdir(), 'frazil-faults-'));
afterAll(() => rm(folder, { recursive: true, force: true }));
beforeEach(() => faults.clear());

const store = new LocalStore();
const part = Buffer.alloc(1_000);

test.each(['ENOSPC', 'EDQUOT', 'EMFILE', 'ENFILE', 'EIO', 'EBUSY', 'EAGAIN', 'ETIMEDOUT', 'ESTALE'])(
  '%s may pass',
  async (code) => {
    for (const operation of ['open', 'writeFile', 'sync', 'link'] as const) {
      faults.clear();
      faults.set(operation, code);
      const error = await store.put(join(folder, 'object'), [part]).catch((thrown: unknown) => thrown);
      expect(error).toBeInstanceOf(TransientError);
      expect((error as Error).message).toMatch(/^writing .*object: E/);
      faults.clear();
      expect(await readdir(folder)).toEqual([]);
    }
    faults.set('readFile', code);
    await expect(store.get(join(folder, 'object'))).rejects.toThrow(TransientError);
  },
);

test.each(['EACCES', 'EPERM', 'EROFS', 'ENOTDIR', 'ENAMETOOLONG', 'EFBIG', 'ELOOP'])(
  '%s does not pass by itself',
  async (code) => {
    for (const operation of ['open', 'writeFile', 'link'] as const) {
      faults.clear();
      faults.set(operation, code);
      await expect(store.put(join(folder, 'object'), [part])).rejects.toThrow(FatalError);
      faults.clear();
      expect(await readdir(folder)).toEqual([]);
    }
    faults.set('readFile', code);
    await expect(store.get(join(folder, 'object'))).rejects.toThrow(FatalError);
  },
);

test('a write that failed can be tried again at the same location', async () => {
  const path = join(folder, 'again');
  faults.set('sync', 'ENOSPC');
  await expect(store.put(path, [part])).rejects.toThrow(TransientError);
  faults.clear();
  await store.put(path, [part]);
  expect(await store.get(path)).toHaveLength(part.length);
  await store.delete(path);
});
