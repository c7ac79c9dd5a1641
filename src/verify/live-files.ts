import { createHash } from 'node:crypto';
import { messageOf, NotFoundError } from '../base/errors.ts';
import { integerBound, type ManifestEntry, readManifest } from '../iceberg/manifest.ts';
import { type ManifestFile, readManifestList } from '../iceberg/manifest-list.ts';
import type { Snapshot } from '../iceberg/metadata.ts';
import type { RangedStore } from '../storage/store.ts';
import type { OffsetColumns } from './columns.ts';
import type { Findings } from './finding.ts';

/** A data file that readers of the head see, as its manifest describes it. */
export interface LiveFile {
  readonly path: string;
  readonly rows: number;
  readonly sizeBytes: number;
  /** The snapshot that added it. */
  readonly adder: bigint;
  /** Of that snapshot. */
  readonly sequenceNumber: number;
  /** Truncated: texts between them may be meant. */
  readonly topic: Bounds<Uint8Array> | undefined;
  readonly partition: Bounds<number> | undefined;
  readonly offset: Bounds<number> | undefined;
}

export interface Bounds<T> {
  readonly min: T;
  readonly max: T;
}

/** The manifests of a snapshot. @throws {NotFoundError} when the list is gone. */
export async function manifestsOf(store: RangedStore, snapshot: Snapshot): Promise<ManifestFile[]> {
  const location = snapshot['manifest-list'];
  return readManifestList(await store.get(location), location);
}

/** Rows of the data files that a snapshot has, by its manifest list. */
export function rowsIn(manifests: readonly ManifestFile[]): number {
  return manifests
    .filter(({ content }) => content === 0)
    .reduce((sum, { addedRows, existingRows }) => sum + addedRows + existingRows, 0);
}

/** Gives the live files of a snapshot, one manifest at a time, and checks that manifests say what their list says. */
export async function* liveFiles(
  manifests: readonly ManifestFile[],
  store: RangedStore,
  columns: OffsetColumns | undefined,
  findings: Findings,
): AsyncGenerator<LiveFile> {
  for (const manifest of manifests) {
    if (manifest.content !== 0) continue;
    const entries = await readEntries(manifest, store, findings);
    if (!entries) continue;
    checkCounts(manifest, entries, findings);
    for (const entry of entries) if (entry.status !== 'deleted') yield liveFile(entry, manifest, columns);
  }
}

async function readEntries(
  { path, addedSnapshotId }: ManifestFile,
  store: RangedStore,
  findings: Findings,
): Promise<ManifestEntry[] | undefined> {
  try {
    return readManifest(await store.get(path), path);
  } catch (error) {
    const reason = error instanceof NotFoundError ? 'it is gone' : messageOf(error);
    findings.problem('missing-metadata', `manifest ${path} cannot be read: ${reason}`, {
      snapshot: addedSnapshotId,
      file: path,
    });
    return undefined;
  }
}

function checkCounts(manifest: ManifestFile, entries: readonly ManifestEntry[], findings: Findings): void {
  const { path, addedSnapshotId } = manifest;
  const count = (status: ManifestEntry['status']): string => {
    const those = entries.filter((entry) => entry.status === status);
    return `${those.length} files with ${those.reduce((sum, { recordCount }) => sum + recordCount, 0)} rows`;
  };
  const told = {
    added: `${manifest.addedFiles} files with ${manifest.addedRows} rows`,
    existing: `${manifest.existingFiles} files with ${manifest.existingRows} rows`,
  };
  for (const status of ['added', 'existing'] as const)
    if (count(status) !== told[status])
      findings.problem(
        'row-count',
        `manifest ${path} of snapshot ${addedSnapshotId} has ${count(status)} (${status}), its manifest list says ${told[status]}`,
        { snapshot: addedSnapshotId, file: path },
      );
}

function liveFile(
  entry: ManifestEntry,
  manifest: ManifestFile,
  columns: OffsetColumns | undefined,
): LiveFile {
  const bounds = (id: number | undefined): Bounds<Uint8Array> | undefined => {
    const [min, max] = id === undefined ? [] : [entry.lowerBounds.get(id), entry.upperBounds.get(id)];
    return min && max ? { min, max } : undefined;
  };
  const numbers = (id: number | undefined): Bounds<number> | undefined => {
    const found = bounds(id);
    return found && { min: Number(integerBound(found.min)), max: Number(integerBound(found.max)) };
  };
  // What is added takes both from the manifest list (spec "Sequence Number Inheritance").
  const isAdded = entry.status === 'added';
  return {
    path: entry.path,
    rows: entry.recordCount,
    sizeBytes: entry.fileSizeBytes,
    adder: entry.snapshotId ?? manifest.addedSnapshotId,
    sequenceNumber: entry.fileSequenceNumber ?? (isAdded ? manifest.sequenceNumber : 0),
    topic: bounds(columns?.topic?.id),
    partition: numbers(columns?.partition?.id),
    offset: numbers(columns?.offset.id),
  };
}

/** Finds paths that come twice, at some bytes a file: by hashes first, of which two may be alike. */
export class Paths {
  readonly #hashes = new Set<number>();
  readonly suspects: Set<string> = new Set();

  add(path: string): void {
    const hash = createHash('sha1').update(path).digest().readUIntBE(0, 6);
    if (this.#hashes.has(hash)) this.suspects.add(path);
    this.#hashes.add(hash);
  }
}
