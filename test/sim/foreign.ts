import type { DataFile } from '../../src/iceberg/data-file.ts';
import { writeManifest } from '../../src/iceberg/manifest.ts';
import { addedManifest, type ManifestFile, writeManifestList } from '../../src/iceberg/manifest-list.ts';
import {
  branchHead,
  currentSchema,
  defaultSpec,
  type Snapshot,
  type TableMetadata,
} from '../../src/iceberg/metadata.ts';
import { schemaToJson } from '../../src/iceberg/schema.ts';
import { newSnapshotId } from '../../src/iceberg/snapshot.ts';
import type { Field } from '../../src/iceberg/types.ts';
import { applyUpdates, nextTimestampMs } from '../../src/iceberg/update.ts';
import { entriesOf, manifestsOf } from './check.ts';
import type { Draw } from './moment.ts';
import type { EncodedRow, SimObjects } from './storage.ts';

/** What others do to tables. Each makes the next metadata, or nothing when there is nothing to do. */

export interface ForeignJob {
  readonly objects: SimObjects;
  readonly random: Draw;
  readonly nowMs: number;
}

export type Change = (job: ForeignJob, metadata: TableMetadata) => TableMetadata | undefined;

/** All live rows into one file, by a job that knows nothing of us. */
export function compacted(job: ForeignJob, metadata: TableMetadata): TableMetadata | undefined {
  const head = branchHead(metadata, 'main');
  if (!head) return undefined;
  const rows = liveRows(job.objects, head);
  if (rows.length === 0) return undefined;
  return withSnapshot(job, metadata, 'main', { operation: 'replace', rows, kept: [] });
}

/** Rows of somebody else's, which are no records of any topic; to another branch they begin where `main` is. */
export function appended(job: ForeignJob, metadata: TableMetadata, branch: string): TableMetadata {
  const rows = Array.from({ length: 1 + job.random.below(3) }, (): EncodedRow => [-1, 0]);
  const head = branchHead(metadata, branch) ?? branchHead(metadata, 'main');
  const kept = head ? manifestsOf(job.objects, head) : [];
  return withSnapshot(job, metadata, branch, { operation: 'append', rows, kept });
}

/** A snapshot with one file of `rows` and the manifests that are `kept`, as the head of a branch. */
function withSnapshot(
  { objects, random, nowMs }: ForeignJob,
  metadata: TableMetadata,
  branch: string,
  {
    operation,
    rows,
    kept,
  }: { operation: string; rows: readonly EncodedRow[]; kept: readonly ManifestFile[] },
): TableMetadata {
  const head = branchHead(metadata, branch) ?? branchHead(metadata, 'main');
  const unique = `${metadata.location}/foreign-${random.below(1e9)}-${metadata['last-sequence-number']}`;
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
  const parentSnapshotId = head?.['snapshot-id'] ?? null;
  const list = writeManifestList(
    { snapshotId, parentSnapshotId, sequenceNumber },
    [row, ...kept],
    random.bytes(16),
  );
  objects.put(`${unique}-snap.avro`, list, nowMs);
  const total = (name: string): number => (operation === 'append' ? Number(head?.summary[name] ?? 0) : 0);
  const snapshot: Snapshot = {
    'snapshot-id': snapshotId,
    ...(parentSnapshotId === null ? {} : { 'parent-snapshot-id': parentSnapshotId }),
    'sequence-number': sequenceNumber,
    'timestamp-ms': nextTimestampMs(metadata, Math.round(nowMs)),
    'manifest-list': `${unique}-snap.avro`,
    summary: {
      operation,
      ...(operation === 'append' ? { 'added-records': String(rows.length) } : {}),
      'total-data-files': String(total('total-data-files') + 1),
      'total-records': String(total('total-records') + rows.length),
      'total-files-size': String(total('total-files-size') + bytes.length),
    },
  };
  const updates = [
    { action: 'add-snapshot', snapshot },
    { action: 'set-snapshot-ref', 'ref-name': branch, type: 'branch', 'snapshot-id': snapshotId },
  ] as const;
  return applyUpdates(metadata, 'foreign', updates, Math.round(nowMs));
}

/** ALTER TABLE ADD COLUMN. */
export function withColumn(metadata: TableMetadata): TableMetadata {
  const schema = currentSchema(metadata);
  const id = metadata['last-column-id'] + 1;
  const schemaId =
    Math.max(...metadata.schemas.map((json) => (json as { 'schema-id': number })['schema-id'])) + 1;
  const field: Field = { id, name: `extra${id}`, required: false, type: { kind: 'string' } };
  return {
    ...metadata,
    'last-column-id': id,
    schemas: [...metadata.schemas, schemaToJson({ schemaId, fields: [...schema.fields, field] })],
    'current-schema-id': schemaId,
  };
}

function liveRows(objects: SimObjects, head: Snapshot): EncodedRow[] {
  return manifestsOf(objects, head)
    .flatMap((manifest) => entriesOf(objects, manifest))
    .filter((entry) => entry.status !== 'deleted')
    .flatMap((entry) => JSON.parse(Buffer.from(objects.get(entry.path)).toString('utf8')) as EncodedRow[]);
}

export const emptyFile: Omit<DataFile, 'path' | 'recordCount' | 'fileSizeBytes'> = {
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
  for (const { 'snapshot-id': id } of Object.values(metadata.refs))
    if (!kept.includes(byId.get(id)!)) kept.unshift(byId.get(id)!);
  if (kept.length === 0 || kept.length === metadata.snapshots.length) return undefined;
  const log = metadata['snapshot-log'].filter((entry) => kept.includes(byId.get(entry['snapshot-id'])!));
  return { ...metadata, snapshots: kept, 'snapshot-log': log };
}

/** What expiry deletes besides: all files of metadata that only what has expired did name, and the metadata before. */
export function removeExpired({ objects }: ForeignJob, before: TableMetadata, after: TableMetadata): void {
  const kept = new Set(after.snapshots.flatMap((snapshot) => metadataFiles(objects, snapshot)));
  for (const snapshot of before.snapshots)
    for (const location of metadataFiles(objects, snapshot))
      if (!kept.has(location)) objects.objects.delete(location);
  for (const { 'metadata-file': location } of before['metadata-log']) objects.objects.delete(location);
}

function metadataFiles(objects: SimObjects, snapshot: Snapshot): string[] {
  return [snapshot['manifest-list'], ...manifestsOf(objects, snapshot).map(({ path }) => path)];
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
