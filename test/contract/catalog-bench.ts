import { randomUUID } from 'node:crypto';
import { afterAll, afterEach, beforeAll, beforeEach, expect } from 'vitest';
import { systemClock } from '../../src/base/clock.ts';
import { systemRandom } from '../../src/base/random.ts';
import {
  type Catalog,
  type CommitOutcome,
  formatIdentifier,
  type Table,
  type TableCreation,
  type TableIdentifier,
} from '../../src/catalog/catalog.ts';
import { unpartitioned } from '../../src/iceberg/partition-spec.ts';
import type { Store } from '../../src/storage/store.ts';
import { type AppendPorts, imaginaryFile, tryAppend } from './appends.ts';
import { liveFiles, objectsOf, WatchedStore } from './watched-store.ts';

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

/** What the common suite needs besides. */
export interface CatalogUnderTest extends TestedCatalog {
  /** Drops a table, by other means than ours; its files stay. */
  drop(identifier: TableIdentifier): Promise<void>;
  /** Adds an optional column of strings, by other means than ours. */
  addColumn(identifier: TableIdentifier, name: string): Promise<void>;
  /** How the Java tools open the catalog, where they can: what {@link javaSuite} needs. */
  readonly java?: { readonly name: string; readonly catalog: Readonly<Record<string, string>> };
}

/** A namespace of the levels that a catalog allows, in letters that all of them allow. */
export function freshNamespace(levels: 1 | 2): string[] {
  const name = `n${randomUUID().replaceAll('-', '').slice(0, 12)}`;
  return levels === 1 ? [name] : [name, 'eu'];
}

export const creation: TableCreation = {
  fields: [
    { id: 0, name: 'id', required: true, type: { kind: 'long' } },
    { id: 0, name: 'region', required: false, type: { kind: 'string' } },
  ],
  spec: () => unpartitioned,
  properties: { owner: 'me' },
};

/** Opens the catalog once for the tests of a `describe`; each test has clients and tables of its own. */
export function benchFor<T extends TestedCatalog>(open: () => Promise<T>): CatalogBench<T> {
  const bench = new CatalogBench<T>();
  beforeAll(async () => {
    bench.under = await open();
  });
  afterAll(() => bench.under?.close());
  beforeEach(() => bench.begin());
  afterEach(() => bench.end());
  return bench;
}

/** A catalog under test, a client of it and the name of a table that is not there. */
export class CatalogBench<T extends TestedCatalog> {
  under!: T;
  store!: WatchedStore;
  ports!: AppendPorts;
  catalog!: Catalog;
  orders!: TableIdentifier;
  readonly #clients: Catalog[] = [];

  async begin(): Promise<void> {
    this.store = new WatchedStore(this.under.store);
    this.ports = { store: this.store, clock: systemClock, random: systemRandom };
    this.catalog = await this.client();
    this.orders = { namespace: this.under.namespace(), name: 'orders' };
  }

  async end(): Promise<void> {
    await Promise.all(this.#clients.splice(0).map((client) => client.close()));
  }

  async client(): Promise<Catalog> {
    const client = await this.under.catalog(this.store);
    this.#clients.push(client);
    return client;
  }

  async load(identifier: TableIdentifier = this.orders): Promise<Table> {
    const table = await this.catalog.load(identifier);
    if (!table) throw new Error(`there is no table ${formatIdentifier(identifier)}`);
    return table;
  }

  /** One attempt to append a file of this name. */
  append(table: Table, file: string, by: Catalog = this.catalog): Promise<CommitOutcome> {
    return tryAppend(by, table, [imaginaryFile(file)], this.ports);
  }

  /** Whether a first commit to a table applies though somebody has changed that in another way. */
  get firstIsFree(): boolean {
    const { serverWritesMetadata, firstCommitIsStrict } = this.under.capabilities;
    return serverWritesMetadata && !firstCommitIsStrict;
  }

  /** The table of a commit as it must look when it is loaded. */
  asLoaded(table: Table): Table {
    return this.under.capabilities.locationVaries
      ? { ...table, metadataLocation: expect.stringMatching(/\.metadata\.json$/) }
      : table;
  }

  /** The metadata files that clients have written and not deleted. */
  metadataFiles(): string[] {
    return this.store.kept('.metadata.json');
  }

  /** The table has exactly these files and as many snapshots in one line; nothing that it names was deleted (I4). */
  async check(files: readonly string[], snapshots: number = files.length): Promise<Table> {
    const table = await this.load();
    const { metadata } = table;
    expect(await liveFiles(table, this.under.store)).toEqual(pathsOf(files));
    expect(metadata['last-sequence-number']).toBe(snapshots);
    checkHistory(table, snapshots, this.under.capabilities.history);
    const named = [table.metadataLocation, ...(await objectsOf(metadata.snapshots, this.under.store))];
    expect(named.filter((location) => this.store.deleted.has(location))).toEqual([]);
    return table;
  }
}

export function pathsOf(files: readonly string[]): string[] {
  return files.map((file) => imaginaryFile(file).path).sort();
}

/** The table of a commit that must have been applied. */
export function applied(outcome: CommitOutcome): Table {
  if (outcome.type === 'applied') return outcome.table;
  throw new Error(`expected the commit to be applied; it is ${outcome.type}: ${outcome.reason}`);
}

/** The snapshots are in one line of parents, numbered on, from the first (where the catalog shows it) to the head. */
export function checkHistory({ metadata }: Table, count: number, history: Capabilities['history']): void {
  const { snapshots } = metadata;
  const shown = history === 'all' ? count : Math.min(count, 1);
  expect(snapshots).toHaveLength(shown);
  expect(snapshots.map((snapshot) => snapshot['sequence-number'])).toEqual(
    Array.from({ length: shown }, (_, i) => count - shown + i + 1),
  );
  const ids = snapshots.map((snapshot) => snapshot['snapshot-id']);
  expect(new Set(ids).size).toBe(shown);
  for (const [i, snapshot] of snapshots.entries())
    if (i > 0 || history === 'all') expect(snapshot['parent-snapshot-id']).toBe(ids[i - 1]);
  expect(metadata['current-snapshot-id'] ?? undefined).toBe(ids.at(-1));
}
