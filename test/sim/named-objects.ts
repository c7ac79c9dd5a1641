import type { Snapshot, TableMetadata } from '../../src/iceberg/metadata.ts';
import type { CatalogServer, CommitRequest } from './catalog-server.ts';
import { entriesOf, manifestsOf } from './check.ts';
import type { SimObjects } from './storage.ts';

/**
 * Which objects somebody relies on, or may come to (I4): all that a table has ever named and has not let go of, and all
 * that is named in a commit whose outcome is not known, or not yet. And what each flush has written (I7).
 */
export class NamedObjects {
  readonly #objects: SimObjects;
  readonly #broken: (what: string) => void;
  readonly #named = new Set<string>();
  readonly #letGo = new Set<string>();
  readonly #pending = new Map<CommitRequest, readonly string[]>();
  readonly #flushes = new Map<string, string>();
  readonly #flushName: string;

  constructor(
    objects: SimObjects,
    catalog: CatalogServer,
    flushName: string,
    broken: (what: string) => void,
  ) {
    this.#objects = objects;
    this.#flushName = flushName;
    this.#broken = broken;
    objects.onDelete = (location, worker) => this.#checkDelete(location, worker);
    catalog.onRequest = (request) => this.#onRequest(request);
    catalog.onAnswer = (request, heard) => {
      const names = this.#pending.get(request)!;
      this.#pending.delete(request);
      if (heard !== 'rejected') for (const name of names) this.#named.add(name);
    };
  }

  /** A table has this snapshot now. */
  add(location: string, snapshot: Snapshot | undefined): void {
    this.#named.add(location);
    if (snapshot) for (const name of this.namesOf(snapshot)) this.#named.add(name);
  }

  /** Metadata versions that were in the table's log and are not any more are nobody's, whoever has heard of them. */
  letGo(before: TableMetadata, now: TableMetadata): void {
    const kept = new Set(now['metadata-log'].map((entry) => entry['metadata-file']));
    for (const { 'metadata-file': file } of before['metadata-log'])
      if (!kept.has(file)) this.#letGo.add(file);
  }

  /** The objects of a snapshot that those before it do not have. */
  namesOf(snapshot: Snapshot): string[] {
    const names = [snapshot['manifest-list']];
    for (const manifest of manifestsOf(this.#objects, snapshot)) {
      if (manifest.addedSnapshotId !== snapshot['snapshot-id']) continue;
      names.push(manifest.path);
      for (const { path } of entriesOf(this.#objects, manifest)) names.push(path);
    }
    return names;
  }

  /** Manifests of new files, and these: what was there before may be merged, or not, by each attempt. */
  addedBy(snapshot: Snapshot): string[] {
    return manifestsOf(this.#objects, snapshot)
      .filter((manifest) => manifest.addedSnapshotId === snapshot['snapshot-id'] && manifest.addedFiles > 0)
      .flatMap((manifest) => [manifest.path, ...entriesOf(this.#objects, manifest).map(({ path }) => path)]);
  }

  #onRequest(request: CommitRequest): void {
    const { snapshot, location } = request;
    let names: string[];
    try {
      names = this.namesOf(snapshot);
    } catch (error) {
      return this.#broken(`I4: ${request.worker} asks for a commit of what is not there: ${String(error)}`);
    }
    this.#pending.set(request, location === undefined ? names : [location, ...names]);
    const flush = snapshot.summary[this.#flushName];
    const written = this.addedBy(snapshot).join();
    if (flush === undefined || written === '') return;
    const before = this.#flushes.get(flush) ?? written;
    this.#flushes.set(flush, written);
    if (before !== written)
      this.#broken(`I7: flush ${flush} was written again: first ${before}, now ${written}`);
  }

  #checkDelete(location: string, worker: string): void {
    if (this.#letGo.has(location)) return;
    const isPending = [...this.#pending.values()].some((names) => names.includes(location));
    if (this.#named.has(location)) this.#broken(`I4: ${worker} deletes ${location}, which is named`);
    else if (isPending) this.#broken(`I4: ${worker} deletes ${location}, which a commit under way names`);
  }
}
