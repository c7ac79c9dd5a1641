import { type ManifestEntry, readManifest } from '../../src/iceberg/manifest.ts';
import { type ManifestFile, readManifestList } from '../../src/iceberg/manifest-list.ts';
import { branchHead, parseMetadata, type Snapshot, type TableMetadata } from '../../src/iceberg/metadata.ts';
import type { SimRecord } from './partition-log.ts';
import type { EncodedRow, SimObjects } from './storage.ts';

/** What a reader sees: the table through its bytes, never through a writer's memory. */
export function readMetadata(objects: SimObjects, location: string): TableMetadata {
  return parsed(objects.get(location), (bytes) =>
    parseMetadata(Buffer.from(bytes).toString('utf8'), location),
  );
}

export function manifestsOf(objects: SimObjects, snapshot: Snapshot): ManifestFile[] {
  const location = snapshot['manifest-list'];
  return parsed(objects.get(location), (bytes) => readManifestList(bytes, location));
}

export function entriesOf(objects: SimObjects, { path }: ManifestFile): ManifestEntry[] {
  return parsed(objects.get(path), (bytes) => readManifest(bytes, path));
}

/** What a reader of the branch's head finds. */
export interface Live {
  /** Numbers of records by log, in the order found: a doubled one is there twice. */
  numbers: Map<string, number[]>;
  /** Rows of others. */
  foreign: number;
  files: number;
  rows: number;
  bytes: number;
}

/** @throws when an object is missing, or a row is not the record it says it is. */
export function readLive(objects: SimObjects, metadata: TableMetadata, records: readonly SimRecord[]): Live {
  const live: Live = { numbers: new Map(), foreign: 0, files: 0, rows: 0, bytes: 0 };
  const head = branchHead(metadata, 'main');
  for (const manifest of head ? manifestsOf(objects, head) : []) {
    for (const entry of entriesOf(objects, manifest)) {
      if (entry.status === 'deleted') continue;
      live.files++;
      live.rows += entry.recordCount;
      live.bytes += entry.fileSizeBytes;
      const rows = parsed(objects.get(entry.path), (bytes) => rowsOf(bytes, entry.path, records));
      if (rows.length !== entry.recordCount)
        throw new Error(`${entry.path} has ${rows.length} rows, its manifest says ${entry.recordCount}`);
      for (const row of rows) {
        if (row === undefined) {
          live.foreign++;
          continue;
        }
        const { id } = records[row]!.log;
        const numbers = live.numbers.get(id);
        if (numbers) numbers.push(row);
        else live.numbers.set(id, [row]);
      }
    }
  }
  return live;
}

/** The numbers of the records that the rows are, and nothing for those of others. */
function rowsOf(bytes: Uint8Array, path: string, records: readonly SimRecord[]): (number | undefined)[] {
  return (JSON.parse(Buffer.from(bytes).toString('utf8')) as EncodedRow[]).map(([partition, offset, n]) => {
    if (partition === -1) return undefined;
    const record = records[n!];
    if (!record || record.log.partition !== partition || record.offset !== offset)
      throw new Error(`${path}: row ${n} says it is partition ${partition} offset ${offset}`);
    return n!;
  });
}

const known = new WeakMap<Uint8Array, unknown>();

/** Objects never change, and most are looked at after every commit: each is parsed once. One that is gone is still an error. */
function parsed<T>(bytes: Uint8Array, parse: (bytes: Uint8Array) => T): T {
  if (!known.has(bytes)) known.set(bytes, parse(bytes));
  return known.get(bytes) as T;
}
