import { randomUUID } from 'node:crypto';
import type { Catalog } from '../../src/catalog/catalog.ts';
import type { Store } from '../../src/storage/store.ts';

/** In what catalogs may differ, and what each of them really does. */
export interface Capabilities {
  /**
   * The server writes metadata files and applies a commit to the table as it is then, if it meets the requirements
   * (REST). Else the client writes them, and a commit applies to exactly the table it was made from.
   */
  readonly serverWritesMetadata: boolean;
  /** Whether a loaded table lists all its snapshots or only the newest. */
  readonly history: 'all' | 'newest';
  /** How many levels a namespace may have, up to the 2 that the suite tries. */
  readonly namespaceLevels: 1 | 2;
  /** A commit to a table without snapshots applies to exactly the table it was made from, whoever writes the metadata. */
  readonly firstCommitIsStrict?: boolean;
  /** The location that a commit answers is another than that of the loaded table. */
  readonly locationVaries?: boolean;
  /** Who drops a table drops its files. */
  readonly dropPurges?: boolean;
  /** Of several that make a table at the same time the last may replace what the others were given. */
  readonly lastCreatorWins?: boolean;
}

/** A catalog that tests open. */
export interface TestedCatalog {
  /** A further client, that keeps what it writes itself in `store`. */
  catalog(store: Store): Catalog | Promise<Catalog>;
  /** Where the files of its tables are. */
  readonly store: Store;
  /** A namespace that nobody has used. */
  namespace(): readonly string[];
  readonly capabilities: Capabilities;
  close(): Promise<void>;
}

/** A namespace of the levels that a catalog allows, in letters that all of them allow. */
export function freshNamespace(levels: 1 | 2): string[] {
  const name = `n${randomUUID().replaceAll('-', '').slice(0, 12)}`;
  return levels === 1 ? [name] : [name, 'eu'];
}
