import type { Random } from '../base/random.ts';
import { uuid } from '../base/random.ts';
import type { DataFile } from './data-file.ts';
import type { Snapshot, TableMetadata } from './metadata.ts';

/** A new snapshot id: a random UUID folded to 63 bits, as Java's `SnapshotIdGeneratorUtil` does; never one in use. */
export function newSnapshotId(random: Random, metadata: TableMetadata): bigint {
  for (;;) {
    const hex = uuid(random).replaceAll('-', '');
    const id = (BigInt(`0x${hex.slice(0, 16)}`) ^ BigInt(`0x${hex.slice(16)}`)) & 0x7fff_ffff_ffff_ffffn;
    if (id !== 0n && !metadata.snapshots.some((snapshot) => snapshot['snapshot-id'] === id)) return id;
  }
}

const totals = [
  'total-data-files',
  'total-records',
  'total-files-size',
  'total-delete-files',
  'total-position-deletes',
  'total-equality-deletes',
] as const;

/**
 * The summary of an append onto `head` (spec "Snapshots", appendix F; Java `SnapshotProducer.updateTotal`).
 *
 * All six totals are written whenever the head has them or there is no head: a total left out once is gone for every
 * later writer, and Spark's planner then takes the table for endless.
 */
export function appendSummary(
  head: Snapshot | undefined,
  files: readonly DataFile[],
  manifests: { created: number; kept: number; replaced?: number },
  extra: Readonly<Record<string, string>>,
): Record<string, string> {
  const rows = files.reduce((sum, file) => sum + file.recordCount, 0);
  const bytes = files.reduce((sum, file) => sum + file.fileSizeBytes, 0);
  const summary: Record<string, string> = { operation: 'append', ...extra };
  if (files.length > 0) {
    summary['added-data-files'] = String(files.length);
    summary['added-records'] = String(rows);
    summary['added-files-size'] = String(bytes);
  }
  summary['changed-partition-count'] = String(countPartitions(files));
  summary['manifests-created'] = String(manifests.created);
  summary['manifests-kept'] = String(manifests.kept);
  summary['manifests-replaced'] = String(manifests.replaced ?? 0);
  const added: Partial<Record<(typeof totals)[number], number>> = {
    'total-data-files': files.length,
    'total-records': rows,
    'total-files-size': bytes,
  };
  for (const name of totals) {
    const before = head === undefined ? '0' : head.summary[name];
    if (before !== undefined) summary[name] = String(BigInt(before) + BigInt(added[name] ?? 0));
  }
  return summary;
}

function countPartitions(files: readonly DataFile[]): number {
  const key = (file: DataFile): string =>
    JSON.stringify(file.partition, (_name, value) => {
      // JSON has neither NaN nor infinities, and one zero only.
      if (typeof value === 'number') return Object.is(value, -0) ? '-0' : String(value);
      if (typeof value === 'bigint') return String(value);
      return value instanceof Uint8Array ? Buffer.from(value).toString('hex') : value;
    });
  return new Set(files.map(key)).size;
}
