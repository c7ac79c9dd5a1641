import { gunzipSync, gzipSync } from 'node:zlib';
import type { Clock } from '../base/clock.ts';
import { FatalError, isRetryable, messageOf, NotFoundError, TransientError } from '../base/errors.ts';
import { type Random, uuid } from '../base/random.ts';
import { newTableMetadata, parseMetadata, type TableMetadata, writeMetadata } from '../iceberg/metadata.ts';
import { applyUpdates, type Requirement, type Update, unmetRequirement } from '../iceberg/update.ts';
import type { Store } from '../storage/store.ts';
import {
  type Catalog,
  type CommitOutcome,
  formatIdentifier,
  type Table,
  type TableCreation,
  type TableIdentifier,
} from './catalog.ts';

/** Where a metastore says a table's current metadata file is. */
export interface Pointer {
  location: string;
}

/** A metastore: it keeps one pointer per table and swaps it atomically. */
export interface Pointers {
  get(identifier: TableIdentifier): Promise<Pointer | undefined>;
  /**
   * Where a new table is to go, in metastores that have a word in it; its namespace is there then. Others have it at
   * `<warehouse>/<namespace>/<name>`.
   */
  place?(identifier: TableIdentifier, warehouse: string): Promise<string>;
  /**
   * Adds a table and its namespace. @returns false when the table exists already.
   * @throws {TransientError} when trying again may help; whether the table was added may be unknown then.
   */
  insert(identifier: TableIdentifier, location: string, metadata: TableMetadata): Promise<boolean>;
  /** Moves the pointer if it still is `from`. */
  swap(identifier: TableIdentifier, from: Pointer, to: string, metadata: TableMetadata): Promise<Swap>;
  /** Takes a table out; one that is not there is no error. */
  remove?(identifier: TableIdentifier): Promise<void>;
  close(): Promise<void>;
}

/** What became of a swap, as far as the metastore says. */
export type Swap =
  | { type: 'applied' }
  /**
   * `doubtful`: what is between us and the metastore may send a request again, and this may be the answer to the second
   * of two of which the first came through (apache/iceberg#7151).
   */
  | { type: 'rejected'; reason: string; doubtful?: true }
  | { type: 'unknown'; reason: string };

export interface MetastorePorts {
  store: Store;
  clock: Clock;
  random: Random;
}

/**
 * A catalog over a metastore (SQL, Glue, memory): the client writes each metadata.json, the metastore swaps the pointer
 * (protocol "Commit algorithm", step 5).
 */
export class MetastoreCatalog implements Catalog {
  readonly #pointers: Pointers;
  readonly #ports: MetastorePorts;
  readonly #warehouse: string;
  /** By table: metadata of doubtful commits, which a later load finds in the table or deletes. */
  readonly #refused = new Map<string, Refused[]>();
  /** By table: as it last was. What a location holds never changes, so it is read once. */
  readonly #known = new Map<string, Table>();

  /** `warehouse` is the URI below which new tables get their location. */
  constructor(pointers: Pointers, warehouse: string, ports: MetastorePorts) {
    this.#pointers = pointers;
    this.#warehouse = warehouse.replace(/\/+$/, '');
    this.#ports = ports;
  }

  async load(identifier: TableIdentifier): Promise<Table | undefined> {
    const pointer = await this.#pointers.get(identifier);
    if (!pointer) return undefined;
    const name = formatIdentifier(identifier);
    const known = this.#known.get(name);
    const table =
      known?.metadataLocation === pointer.location ? known : await this.#read(identifier, pointer, known);
    this.#known.set(name, table);
    await this.#settleRefused(table);
    return table;
  }

  async #read(identifier: TableIdentifier, { location }: Pointer, known: Table | undefined): Promise<Table> {
    const doing = `loading table ${formatIdentifier(identifier)}`;
    let bytes: Uint8Array;
    try {
      bytes = await this.#ports.store.get(location);
    } catch (error) {
      if (!(error instanceof NotFoundError)) throw error;
      const now = await this.#pointers.get(identifier);
      if (now?.location !== location)
        throw new TransientError(`${doing}: it moved on while it was read`, { cause: error });
      throw new FatalError(`${doing}: the catalog points at ${location}, which is missing`, {
        cause: error,
      });
    }
    const view = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    const text = location.endsWith('.gz.metadata.json') ? gunzipSync(view) : view;
    const metadata = parseMetadata(text.toString('utf8'), location, known?.metadata);
    return { identifier, metadataLocation: location, metadata };
  }

  async create(identifier: TableIdentifier, creation: TableCreation): Promise<Table> {
    const metadata = newTableMetadata({
      uuid: uuid(this.#ports.random),
      location: await this.#place(identifier),
      fields: creation.fields,
      spec: creation.spec,
      properties: creation.properties,
      nowMs: this.#ports.clock.nowMs(),
    });
    const location = await this.#writeMetadata(metadata, 0);
    // What it throws may leave open whether the table is there: then so is its metadata.
    const inserted = await this.#pointers.insert(identifier, location, metadata);
    // Whether ours or another worker's: what the catalog says now is the table.
    const table = await this.load(identifier);
    if (!inserted && table?.metadata['table-uuid'] !== metadata['table-uuid'])
      await this.#deleteQuietly(location);
    if (!table)
      throw new TransientError(`creating table ${formatIdentifier(identifier)}: it was dropped meanwhile`);
    return table;
  }

  async commit(
    base: Table,
    requirements: readonly Requirement[],
    updates: readonly Update[],
  ): Promise<CommitOutcome> {
    const unmet = unmetRequirement(base.metadata, requirements);
    if (unmet !== undefined) return { type: 'rejected', reason: unmet };
    const metadata = applyUpdates(base.metadata, base.metadataLocation, updates, this.#ports.clock.nowMs());
    let location: string;
    try {
      location = await this.#writeMetadata(metadata, metadataVersion(base.metadataLocation) + 1);
    } catch (error) {
      // The pointer was not touched: whatever became of the file, the commit is not in the table.
      if (!isRetryable(error)) throw error;
      return { type: 'rejected', reason: messageOf(error) };
    }
    const from = { location: base.metadataLocation };
    const outcome = await this.#pointers.swap(base.identifier, from, location, metadata);
    if (outcome.type === 'rejected' && outcome.doubtful) this.#keepRefused(base, location);
    else if (outcome.type === 'rejected') await this.#deleteQuietly(location);
    if (outcome.type !== 'applied') return { type: outcome.type, reason: outcome.reason };
    const table = { identifier: base.identifier, metadataLocation: location, metadata };
    this.#known.set(formatIdentifier(base.identifier), table);
    this.#prune(base.metadata, metadata);
    return { type: 'applied', table };
  }

  /**
   * Deletes the metadata versions that an applied commit has put out of the log, where the table asks for it (Java
   * `CatalogUtil.deleteRemovedMetadataFiles`). Nobody waits for it: an orphan more is no harm.
   */
  #prune(before: TableMetadata, after: TableMetadata): void {
    if (after.properties['write.metadata.delete-after-commit.enabled'] !== 'true') return;
    const kept = new Set(after['metadata-log'].map((entry) => entry['metadata-file']));
    for (const { 'metadata-file': file } of before['metadata-log'])
      if (!kept.has(file)) void this.#deleteQuietly(file);
  }

  async drop(identifier: TableIdentifier): Promise<boolean> {
    if (!this.#pointers.remove) return false;
    await this.#pointers.remove(identifier);
    this.#known.delete(formatIdentifier(identifier));
    return true;
  }

  close(): Promise<void> {
    return this.#pointers.close();
  }

  #keepRefused(base: Table, location: string): void {
    const name = formatIdentifier(base.identifier);
    this.#refused.set(name, [...(this.#refused.get(name) ?? []), { after: base.metadataLocation, location }]);
  }

  /** Deletes the metadata of doubtful commits of which the table's log shows that another came in their place. */
  async #settleRefused({ identifier, metadata, metadataLocation }: Table): Promise<void> {
    const name = formatIdentifier(identifier);
    const history = [...metadata['metadata-log'].map((entry) => entry['metadata-file']), metadataLocation];
    const open: Refused[] = [];
    for (const refused of this.#refused.get(name) ?? []) {
      const base = history.indexOf(refused.after);
      if (base === history.length - 1) open.push(refused);
      else if (base >= 0 && history[base + 1] !== refused.location)
        await this.#deleteQuietly(refused.location);
    }
    this.#refused.set(name, open);
  }

  async #place(identifier: TableIdentifier): Promise<string> {
    const place = await this.#pointers.place?.(identifier, this.#warehouse);
    return place ?? [this.#warehouse, ...identifier.namespace, identifier.name].join('/');
  }

  async #writeMetadata(metadata: TableMetadata, version: number): Promise<string> {
    const folder = metadata.properties['write.metadata.path'] ?? `${metadata.location}/metadata`;
    const gzip = metadata.properties['write.metadata.compression-codec'] === 'gzip';
    const name = `${String(version).padStart(5, '0')}-${uuid(this.#ports.random)}${gzip ? '.gz' : ''}.metadata.json`;
    const location = `${folder.replace(/\/+$/, '')}/${name}`;
    const bytes = Buffer.from(writeMetadata(metadata));
    await this.#ports.store.put(location, [gzip ? gzipSync(bytes) : bytes]);
    return location;
  }

  /** For a metadata file that certainly nothing points at; an orphan more is no harm. */
  async #deleteQuietly(location: string): Promise<void> {
    await this.#ports.store.delete(location).catch(() => {});
  }
}

/** A metadata file, and the one that it was to follow. */
interface Refused {
  readonly after: string;
  readonly location: string;
}

/** The version in a metadata file's name (`00012-...`), 0 when it has none. */
function metadataVersion(location: string): number {
  return Number(/\/(\d+)-[^/]*\.metadata\.json$/.exec(location)?.[1] ?? 0);
}
