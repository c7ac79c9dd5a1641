import { constants } from 'node:fs';
import { type FileHandle, mkdir, open, readFile, unlink } from 'node:fs/promises';
import { dirname } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { AlreadyExistsError, FatalError, NotFoundError, TransientError } from '../base/errors.ts';
import type { Store } from './store.ts';

/** Files on this machine, named by `file://` URIs (or plain paths, as some writers put them into metadata). */
export class LocalStore implements Store {
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

  async delete(location: string): Promise<void> {
    try {
      await unlink(localPath(location));
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw failure(`deleting ${location}`, error);
    }
  }
}

/** The path of a `file:` URI in any of its spellings (`file:/a`, `file:///a`), or a plain path as it is. */
export function localPath(location: string): string {
  if (!location.startsWith('file:')) return location;
  return fileURLToPath(location.replace(/^file:\/*/, 'file:///'));
}

/** The `file:///` URI of an absolute path: the spelling every reader takes. */
export function localLocation(path: string): string {
  return pathToFileURL(path).href.replace(/\/+$/, '');
}

async function writeNew(path: string, parts: readonly Uint8Array[]): Promise<void> {
  const flags = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL;
  let file: FileHandle;
  try {
    file = await open(path, flags, 0o644);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    await mkdir(dirname(path), { recursive: true });
    file = await open(path, flags, 0o644);
  }
  try {
    for (const part of parts) await file.writeFile(part);
    // A catalog must never point at a file that a power cut takes away.
    await file.sync();
  } catch (error) {
    // Half a file must not block the next attempt at this location.
    await unlink(path).catch(() => {});
    throw error;
  } finally {
    await file.close();
  }
  await syncFolder(dirname(path));
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
