import { randomUUID } from 'node:crypto';
import { constants } from 'node:fs';
import { type FileHandle, link, mkdir, open, readFile, unlink } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { AlreadyExistsError, FatalError, NotFoundError, TransientError } from '../base/errors.ts';
import type { RangedStore } from './store.ts';

/** Files on this machine, named by `file:` URIs (or plain paths, as some writers put them into metadata). */
export class LocalStore implements RangedStore {
  async put(location: string, parts: readonly Uint8Array[]): Promise<void> {
    const path = localPath(location);
    try {
      await writeNew(path, parts);
    } catch (error) {
      throw failure(`writing ${location}`, error);
    }
  }

  async get(location: string): Promise<Uint8Array> {
    try {
      return await readFile(localPath(location));
    } catch (error) {
      throw failure(`reading ${location}`, error);
    }
  }

  async getRange(location: string, start: number, end: number): Promise<Uint8Array> {
    try {
      return await readRange(localPath(location), start, end);
    } catch (error) {
      throw failure(`reading ${location}`, error);
    }
  }

  async delete(location: string): Promise<void> {
    try {
      await unlink(localPath(location));
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw failure(`deleting ${location}`, error);
    }
  }
}

/**
 * The path of a `file:` URI in any of its spellings (`file:/a`, `file:///a`), or a plain path as it is.
 *
 * Non-obvious: nothing is percent-decoded, for no reader of Iceberg tables does (Hadoop, PyArrow, DuckDB): to all of them
 * `file:///a/day=%C3%A9` is a folder whose name has percent signs.
 */
export function localPath(location: string): string {
  return location.replace(/^file:\/*/, '/');
}

/** The `file:///` URI of an absolute path: the spelling every reader takes. */
export function localLocation(path: string): string {
  return `file://${path}`.replace(/\/+$/, '');
}

async function readRange(path: string, start: number, end: number): Promise<Uint8Array> {
  const file = await open(path, constants.O_RDONLY);
  try {
    const bytes = new Uint8Array(Math.max(0, end - start));
    let length = 0;
    while (length < bytes.length) {
      const { bytesRead } = await file.read(bytes, length, bytes.length - length, start + length);
      if (bytesRead === 0) break;
      length += bytesRead;
    }
    return bytes.subarray(0, length);
  } finally {
    await file.close();
  }
}

/**
 * Writes beside the name and then links: nobody ever finds half a file under the name, whatever happens to the writer,
 * and what is there already stays.
 */
async function writeNew(path: string, parts: readonly Uint8Array[]): Promise<void> {
  const folder = dirname(path);
  const draft = join(folder, `.${randomUUID()}.part`);
  const file = await openNew(draft, folder);
  try {
    try {
      for (const part of parts) await file.writeFile(part);
      // A catalog must never point at a file that a power cut takes away.
      await file.sync();
    } finally {
      await file.close();
    }
    await link(draft, path);
  } finally {
    await unlink(draft).catch(() => {});
  }
  await syncFolder(folder);
}

async function openNew(path: string, folder: string): Promise<FileHandle> {
  const flags = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL;
  try {
    return await open(path, flags, 0o644);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
  }
  const first = await mkdir(folder, { recursive: true });
  // Each new folder is an entry of the one above it.
  if (first !== undefined)
    for (let made = folder; made.length >= first.length; made = dirname(made))
      await syncFolder(dirname(made));
  return open(path, flags, 0o644);
}

async function syncFolder(path: string): Promise<void> {
  const folder = await open(path, constants.O_RDONLY);
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
}

// A full disk, too many open files and I/O errors may pass; a missing right or a wrong path will not.
const transientCodes = new Set([
  'ENOSPC',
  'EDQUOT',
  'EMFILE',
  'ENFILE',
  'EIO',
  'EBUSY',
  'EAGAIN',
  'ETIMEDOUT',
  'ESTALE',
]);

function failure(doing: string, error: unknown): Error {
  const code = (error as NodeJS.ErrnoException).code ?? '';
  if (code === 'EEXIST') return new AlreadyExistsError(`${doing}: it exists already`, { cause: error });
  if (code === 'ENOENT') return new NotFoundError(`${doing}: no such file`, { cause: error });
  if (transientCodes.has(code))
    return new TransientError(`${doing}: ${(error as Error).message}`, { cause: error });
  return new FatalError(`${doing}: ${(error as Error).message}`, { cause: error });
}
