import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { systemClock } from '../../src/base/clock.ts';
import { systemRandom } from '../../src/base/random.ts';
import type { Table, TableCreation } from '../../src/catalog/catalog.ts';
import type { MetastoreCatalog } from '../../src/catalog/metastore.ts';
import { sqliteCatalog } from '../../src/catalog/sqlite.ts';
import { currentSchema } from '../../src/iceberg/metadata.ts';
import type { Schema } from '../../src/iceberg/schema.ts';
import type { PartitionValue } from '../../src/iceberg/transforms.ts';
import { LocalStore, localLocation } from '../../src/storage/local.ts';
import { type AppendPorts, append, writeDataFile } from '../contract/appends.ts';
import { type Canonical, type Row, sorted } from '../tools/canonical.ts';
import { java } from '../tools/java.ts';
import { python } from '../tools/python.ts';
import type { Repl } from '../tools/repl.ts';

/** What the tools' planFiles answers of a data file. */
export interface Planned {
  specId: number;
  content: string;
  path: string;
  partition: Row;
  recordCount: string;
  fileSizeBytes: string;
  columnSizes: Record<string, string>;
  valueCounts: Record<string, string>;
  nullCounts: Record<string, string>;
  nanCounts: Record<string, string>;
  lowerBounds: Record<string, Canonical>;
  upperBounds: Record<string, Canonical>;
  splitOffsets: number[];
  sortOrderId: number | null;
  dataSequenceNumber?: string;
  fileSequenceNumber?: string;
  deletes: string[];
}

/** What the tools answer of a table. */
export interface Described {
  schema: object;
  spec: object;
  formatVersion: number;
  uuid: string;
  properties: Record<string, string>;
  currentSnapshotId: string | null;
  refs: Record<string, string>;
  snapshots: {
    id: string;
    parentId: string | null;
    sequenceNumber: string;
    operation: string;
    summary: Record<string, string>;
  }[];
  rows: Row[];
}

export const readers: [string, Repl][] = [
  ['Java', java],
  ['PyIceberg', python],
];

/** A SQLite catalog with its warehouse, as we and the others see it. */
export class Lake implements AsyncDisposable {
  readonly folder: string;
  readonly catalog: MetastoreCatalog;
  /** The rows of each data file of ours. */
  readonly written: Map<string, readonly Row[]> = new Map();
  readonly ports: AppendPorts = { store: new LocalStore(), clock: systemClock, random: systemRandom };

  private constructor(folder: string) {
    this.folder = folder;
    const path = join(folder, 'catalog.db');
    const warehouse = localLocation(join(folder, 'warehouse'));
    this.catalog = sqliteCatalog({ path, name: 'lake', warehouse }, this.ports);
  }

  /** In a new folder below the system's, whose name begins with `prefix`. */
  static async open(prefix = 'frazil-lake-'): Promise<Lake> {
    return new Lake(await mkdtemp(join(tmpdir(), prefix)));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.catalog.close();
    await rm(this.folder, { recursive: true, force: true });
  }

  /** The arguments with which a tool finds a table in this catalog. */
  at(tool: Repl, table: string): { name: string; table: string; catalog: object } {
    const path = join(this.folder, 'catalog.db');
    const warehouse = localLocation(join(this.folder, 'warehouse'));
    const catalog =
      tool === java
        ? { type: 'jdbc', uri: `jdbc:sqlite:${path}`, warehouse, 'jdbc.schema-version': 'V1' }
        : { type: 'sql', uri: `sqlite:////${encodeURI(path.slice(1))}`, warehouse };
    return { name: 'lake', table, catalog };
  }

  async create(
    name: string,
    creation: Partial<TableCreation> & Pick<TableCreation, 'fields'>,
  ): Promise<Table> {
    const identifier = { namespace: ['db'], name };
    return this.catalog.create(identifier, {
      spec: () => ({ specId: 0, fields: [] }),
      properties: {},
      ...creation,
    });
  }

  async load(name: string): Promise<Table> {
    return (await this.catalog.load({ namespace: ['db'], name }))!;
  }

  /** Appends each of the lists of rows as one file of an unpartitioned table, in one snapshot. */
  async append(table: Table, ...files: readonly Row[][]): Promise<Table> {
    return this.appendPartitions(
      table,
      files.map((rows) => [[], rows]),
    );
  }

  async appendPartitions(
    table: Table,
    files: readonly (readonly [readonly PartitionValue[], readonly Row[]])[],
    chunkRows?: number,
  ): Promise<Table> {
    const dataFiles = [];
    for (const [partition, rows] of files) {
      const file = await writeDataFile(table, rows, partition, this.ports, chunkRows);
      this.written.set(file.path, rows);
      dataFiles.push(file);
    }
    return append(this.catalog, table, dataFiles, this.ports);
  }
}

/** The rows of a table as a tool reads them, in an order of their own. */
export async function rowsBy(tool: Repl, table: Table | string, rest: object = {}): Promise<Row[]> {
  const metadata = typeof table === 'string' ? table : table.metadataLocation;
  return sorted((await tool.call<Described>('readTable', { metadata, ...rest })).rows);
}

export async function duckRows(table: Table, sql = 'SELECT * FROM t'): Promise<Row[]> {
  const { rows } = await python.call<{ rows: Row[] }>('duckdb', { sql, metadata: table.metadataLocation });
  return sorted(rows);
}

export async function plannedBy(tool: Repl, table: Table, rest: object = {}): Promise<Planned[]> {
  const { files } = await tool.call<{ files: Planned[] }>('planFiles', {
    metadata: table.metadataLocation,
    ...rest,
  });
  return files;
}

export const schemaOf = (table: Table): Schema => currentSchema(table.metadata);
