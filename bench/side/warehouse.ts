import { mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { systemClock } from '../../src/base/clock.ts';
import { systemRandom } from '../../src/base/random.ts';
import { parseIdentifier } from '../../src/catalog/catalog.ts';
import { sqliteCatalog } from '../../src/catalog/sqlite.ts';
import { readManifest } from '../../src/iceberg/manifest.ts';
import { readManifestList } from '../../src/iceberg/manifest-list.ts';
import {
  branchHead,
  mainBranch,
  parseMetadata,
  type Snapshot,
  type TableMetadata,
} from '../../src/iceberg/metadata.ts';
import { newSpec } from '../../src/iceberg/partition-by.ts';
import type { Field } from '../../src/iceberg/types.ts';
import { LocalStore, localLocation, localPath } from '../../src/storage/local.ts';

export const catalogName = 'bench';
export const namespace = 'bench';

/** A file of a table, and when a reader could first see it. */
export interface SeenFile {
  readonly path: string;
  readonly bytes: number;
  readonly seenAtMs: number;
}

/**
 * The tables of one contestant in one run: a folder with files, and a catalog in SQLite as Java's JdbcCatalog has it. The
 * tables are made here, alike for all. Readers see a snapshot once the catalog names the metadata that has it: that is
 * what is watched, from outside.
 */
export class Warehouse {
  readonly database: string;
  readonly location: string;
  readonly #path: string;
  readonly #tables = new Map<string, { location: string; metadata: TableMetadata }>();
  /** By snapshot id: when it was first seen. */
  readonly #seenAtMs = new Map<bigint, number>();
  #reader: DatabaseSync | undefined;

  constructor(folder: string) {
    this.#path = join(folder, 'lake');
    mkdirSync(this.#path, { recursive: true });
    this.database = join(folder, 'catalog.db');
    this.location = localLocation(this.#path);
  }

  /** Makes an empty table, its files to be compressed with zstd. */
  async create(name: string, fields: readonly Field[], partitionBy: readonly string[]): Promise<void> {
    const catalog = sqliteCatalog(
      { path: this.database, name: catalogName, warehouse: this.location },
      { store: new LocalStore(), clock: systemClock, random: systemRandom },
    );
    try {
      await catalog.create(parseIdentifier(`${namespace}.${name}`), {
        fields,
        spec: (schema) => newSpec(schema, partitionBy),
        properties: { 'write.parquet.compression-codec': 'zstd' },
      });
    } finally {
      await catalog.close();
    }
  }

  /** Sees what the catalog names now. */
  look(): void {
    this.#reader ??= new DatabaseSync(this.database, { readOnly: true, timeout: 5_000 });
    const rows = this.#reader
      .prepare('SELECT table_name, metadata_location FROM iceberg_tables WHERE catalog_name = ?')
      .all(catalogName) as { table_name: string; metadata_location: string }[];
    const nowMs = Date.now();
    for (const { table_name: name, metadata_location: location } of rows) {
      if (this.#tables.get(name)?.location === location) continue;
      const metadata = parseMetadata(readFileSync(localPath(location), 'utf8'), location);
      this.#tables.set(name, { location, metadata });
      for (const snapshot of metadata.snapshots)
        if (!this.#seenAtMs.has(snapshot['snapshot-id'])) this.#seenAtMs.set(snapshot['snapshot-id'], nowMs);
    }
  }

  /** Rows that were visible at the last look, of the tables together. */
  rows(names: readonly string[]): number {
    return names.reduce((rows, name) => rows + Number(this.#head(name)?.summary['total-records'] ?? 0), 0);
  }

  snapshots(names: readonly string[]): number {
    return names.reduce((count, name) => count + (this.#tables.get(name)?.metadata.snapshots.length ?? 0), 0);
  }

  /** The data files of a table at the last look. */
  files(name: string): SeenFile[] {
    const head = this.#head(name);
    if (!head) return [];
    const read = (location: string): Uint8Array => readFileSync(localPath(location));
    return readManifestList(read(head['manifest-list']), head['manifest-list'])
      .filter(({ content }) => content === 0)
      .flatMap(({ path, addedSnapshotId }) =>
        readManifest(read(path), path)
          .filter(({ status }) => status !== 'deleted')
          .map((entry) => ({
            path: localPath(entry.path),
            bytes: entry.fileSizeBytes,
            // An entry inherits the snapshot of the manifest it was added in (spec "Manifest Entry Fields").
            seenAtMs: this.#seenAtMs.get(entry.snapshotId ?? addedSnapshotId)!,
          })),
      );
  }

  close(): void {
    this.#reader?.close();
  }

  #head(name: string): Snapshot | undefined {
    const table = this.#tables.get(name);
    return table && branchHead(table.metadata, mainBranch);
  }
}
