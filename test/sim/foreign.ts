import type { Random } from '../../src/base/random.ts';
import type { DataFile } from '../../src/iceberg/data-file.ts';
import { writeManifest } from '../../src/iceberg/manifest.ts';
import { addedManifest, writeManifestList } from '../../src/iceberg/manifest-list.ts';
import {
  branchHead,
  currentSchema,
  defaultSpec,
  type Snapshot,
  type TableMetadata,
} from '../../src/iceberg/metadata.ts';
import { newSnapshotId } from '../../src/iceberg/snapshot.ts';
import { applyUpdates } from '../../src/iceberg/update.ts';
import { entriesOf, manifestsOf } from './check.ts';
import type { EncodedRow, SimObjects } from './storage.ts';

/** What others do to tables. Each makes the next metadata, or nothing when there is nothing to do. */

export interface ForeignJob {
  readonly objects: SimObjects;
  readonly random: Random & { below(n: number): number };
  readonly nowMs: number;
}

/** All live rows into one file, by a job that knows nothing of us. */
export function compacted(job: ForeignJob, metadata: TableMetadata): TableMetadata | undefined {
  const head = branchHead(metadata, 'main');
  if (!head) return undefined;
  const { objects, random, nowMs } = job;
  const rows = liveRows(objects, head);
  if (rows.length === 0) return undefined;
  const unique = `${metadata.location}/compacted-${random.below(1e9)}-${metadata['last-sequence-number']}`;
  const bytes = Buffer.from(JSON.stringify(rows));
  const file = {
    ...emptyFile,
    path: `${unique}.parquet`,
    recordCount: rows.length,
    fileSizeBytes: bytes.length,
  };
  objects.put(file.path, bytes, nowMs);
  const spec = defaultSpec(metadata);
  const manifest = writeManifest(currentSchema(metadata), spec, [], [file], random.bytes(16));
  objects.put(`${unique}-m0.avro`, manifest, nowMs);
  const snapshotId = newSnapshotId(random, metadata);
  const sequenceNumber = metadata['last-sequence-number'] + 1;
  const row = addedManifest(
    { path: `${unique}-m0.avro`, length: manifest.length },
    { snapshotId, sequenceNumber },
    spec,
    [],
    [file],
  );
  const header = { snapshotId, parentSnapshotId: head['snapshot-id'], sequenceNumber };
  objects.put(`${unique}-snap.avro`, writeManifestList(header, [row], random.bytes(16)), nowMs);
  const snapshot: Snapshot = {
    'snapshot-id': snapshotId,
    'parent-snapshot-id': head['snapshot-id'],
    'sequence-number': sequenceNumber,
    'timestamp-ms': Math.round(nowMs),
    'manifest-list': `${unique}-snap.avro`,
    summary: {
      operation: 'replace',
      'total-data-files': '1',
      'total-records': String(rows.length),
      'total-files-size': String(bytes.length),
    },
  };
  const update = { action: 'set-snapshot-ref', 'ref-name': 'main', type: 'branch' } as const;
  return applyUpdates(
    metadata,
    'foreign',
    [
      { action: 'add-snapshot', snapshot },
      { ...update, 'snapshot-id': snapshotId },
    ],
    Math.round(nowMs),
  );
}

function liveRows(objects: SimObjects, head: Snapshot): EncodedRow[] {
  return manifestsOf(objects, head)
    .flatMap((manifest) => entriesOf(objects, manifest))
    .filter((entry) => entry.status !== 'deleted')
    .flatMap((entry) => JSON.parse(Buffer.from(objects.get(entry.path)).toString('utf8')) as EncodedRow[]);
}

const emptyFile: Omit<DataFile, 'path' | 'recordCount' | 'fileSizeBytes'> = {
  format: 'PARQUET',
  partition: [],
  columnSizes: new Map(),
  valueCounts: new Map(),
  nullValueCounts: new Map(),
  nanValueCounts: new Map(),
  lowerBounds: new Map(),
  upperBounds: new Map(),
  splitOffsets: [],
};

/** Only the newest snapshots of the branch are kept: the ledger in older summaries is gone. */
export function expired(metadata: TableMetadata, keep: number): TableMetadata | undefined {
  const byId = new Map(metadata.snapshots.map((snapshot) => [snapshot['snapshot-id'], snapshot]));
  const kept: Snapshot[] = [];
  let snapshot = branchHead(metadata, 'main');
  for (; snapshot && kept.length < keep; snapshot = byId.get(snapshot['parent-snapshot-id'] ?? 0n))
    kept.unshift(snapshot);
  if (kept.length === 0 || kept.length === metadata.snapshots.length) return undefined;
  const log = metadata['snapshot-log'].filter((entry) => kept.includes(byId.get(entry['snapshot-id'])!));
  return { ...metadata, snapshots: kept, 'snapshot-log': log };
}

/** Back to one of the snapshots in which `name` stands, as an operator undoes a bad load: no snapshot is made. */
export function rolledBack(
  { random }: ForeignJob,
  metadata: TableMetadata,
  name: string,
): TableMetadata | undefined {
  const own = metadata.snapshots.filter((snapshot) => snapshot.summary[name] !== undefined);
  const back = own[random.below(Math.max(1, own.length - 1))];
  if (!back || back === branchHead(metadata, 'main')) return undefined;
  return {
    ...metadata,
    'current-snapshot-id': back['snapshot-id'],
    refs: { ...metadata.refs, main: { 'snapshot-id': back['snapshot-id'], type: 'branch' } },
  };
}

/** CREATE OR REPLACE TABLE: the same table with the same properties begins anew, without a snapshot. */
export function replaced(_job: ForeignJob, metadata: TableMetadata): TableMetadata {
  return { ...metadata, 'current-snapshot-id': null, refs: {}, 'snapshot-log': [] };
}

/** A cleaner of orphans: what no table names and is older than `ageMs` is deleted. @returns how much. */
export function cleanOrphans(
  { objects, nowMs }: ForeignJob,
  named: ReadonlySet<string>,
  ageMs: number,
): number {
  let deleted = 0;
  for (const location of [...objects.objects.keys()]) {
    if (named.has(location) || nowMs - objects.sentAtMs.get(location)! < ageMs) continue;
    objects.objects.delete(location);
    deleted++;
  }
  return deleted;
}
