import type { Table } from '../../src/catalog/catalog.ts';
import { readManifest } from '../../src/iceberg/manifest.ts';
import { readManifestList } from '../../src/iceberg/manifest-list.ts';
import { branchHead, mainBranch, type Snapshot } from '../../src/iceberg/metadata.ts';
import type { Store } from '../../src/storage/store.ts';

/** A store that remembers what was written to it and what was deleted. */
export class WatchedStore implements Store {
  readonly written: Set<string> = new Set();
  readonly deleted: Set<string> = new Set();
  readonly #store: Store;

  constructor(store: Store) {
    this.#store = store;
  }

  async put(location: string, parts: readonly Uint8Array[]): Promise<void> {
    this.written.add(location);
    await this.#store.put(location, parts);
  }

  get(location: string): Promise<Uint8Array> {
    return this.#store.get(location);
  }

  async delete(location: string): Promise<void> {
    this.deleted.add(location);
    await this.#store.delete(location);
  }

  /** What was written and is still there, as far as one can see from here. */
  kept(part = ''): string[] {
    return [...this.written].filter((location) => location.includes(part) && !this.deleted.has(location));
  }
}

/** The manifest list of a snapshot, its manifests and their data files. */
export async function objectsOf(snapshot: Snapshot, store: Store): Promise<string[]> {
  const list = snapshot['manifest-list'];
  return [list, ...(await manifestsOf(snapshot, store)), ...(await dataFilesOf(snapshot, store))];
}

/** The data files of the newest snapshot, as a reader finds them: one that is in the table twice is there twice. */
export async function liveFiles(table: Table, store: Store): Promise<string[]> {
  const head = branchHead(table.metadata, mainBranch);
  return head ? (await dataFilesOf(head, store)).sort() : [];
}

async function manifestsOf(snapshot: Snapshot, store: Store): Promise<string[]> {
  const list = snapshot['manifest-list'];
  return readManifestList(await store.get(list), list).map(({ path }) => path);
}

async function dataFilesOf(snapshot: Snapshot, store: Store): Promise<string[]> {
  const files: string[] = [];
  for (const path of await manifestsOf(snapshot, store))
    for (const entry of readManifest(await store.get(path), path)) files.push(entry.path);
  return files;
}
