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

/** All that the snapshots name: manifest lists, manifests and data files. */
export async function objectsOf(snapshots: readonly Snapshot[], store: Store): Promise<Set<string>> {
  const objects = new Set<string>();
  for (const { 'manifest-list': list } of snapshots) {
    objects.add(list);
    for (const { path } of readManifestList(await store.get(list), list)) {
      if (objects.has(path)) continue;
      objects.add(path);
      for (const entry of readManifest(await store.get(path), path)) objects.add(entry.path);
    }
  }
  return objects;
}

/** The data files of the newest snapshot, as a reader finds them: one that is in the table twice is there twice. */
export async function liveFiles(table: Table, store: Store): Promise<string[]> {
  const head = branchHead(table.metadata, mainBranch);
  if (!head) return [];
  const list = head['manifest-list'];
  const files: string[] = [];
  for (const { path } of readManifestList(await store.get(list), list))
    for (const entry of readManifest(await store.get(path), path)) files.push(entry.path);
  return files.sort();
}
