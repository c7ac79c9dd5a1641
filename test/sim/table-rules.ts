import type { ManifestEntry } from '../../src/iceberg/manifest.ts';
import type { ManifestFile } from '../../src/iceberg/manifest-list.ts';
import { branchHead, type Snapshot, type TableMetadata } from '../../src/iceberg/metadata.ts';
import { entriesOf, type Live, manifestsOf } from './check.ts';
import type { SimObjects } from './storage.ts';

/** What the table format asks of a commit, however right its rows are. @returns what is broken. */
export function brokenRule(
  objects: SimObjects,
  before: Before,
  now: TableMetadata,
  live: Live,
): string | undefined {
  const head = branchHead(now, 'main')!;
  return (
    brokenIdentity(before.base, now, head) ??
    (before.isHistoryShown ? brokenHistory(before.base, now, head) : undefined) ??
    brokenTime(before.base, now, head) ??
    (before.isHistoryShown ? brokenLogs(before.baseLocation, now, head) : undefined) ??
    brokenSums(objects, head, live) ??
    brokenManifests(objects, branchHead(before.base, 'main'), head)
  );
}

/** What a commit was made on. */
export interface Before {
  readonly base: TableMetadata;
  readonly baseLocation: string;
  /** Whether this catalog shows more of a table than its newest snapshot. */
  readonly isHistoryShown: boolean;
}

function brokenIdentity(base: TableMetadata, now: TableMetadata, head: Snapshot): string | undefined {
  if (now['table-uuid'] !== base['table-uuid']) return 'the table has another uuid';
  const sequenceNumber = base['last-sequence-number'] + 1;
  if (head['sequence-number'] !== sequenceNumber || now['last-sequence-number'] !== sequenceNumber)
    return `its sequence number is ${head['sequence-number']}, the next one was ${sequenceNumber}`;
  if (now['current-snapshot-id'] !== head['snapshot-id'])
    return 'the current snapshot is not the head of main';
  return undefined;
}

function brokenHistory(base: TableMetadata, now: TableMetadata, head: Snapshot): string | undefined {
  const parent = branchHead(base, 'main')?.['snapshot-id'];
  if (head['parent-snapshot-id'] !== parent)
    return `its parent is ${head['parent-snapshot-id']}, the head was ${parent}`;
  const ids = now.snapshots.map((snapshot) => snapshot['snapshot-id']);
  if (new Set(ids).size !== base.snapshots.length + 1)
    return 'not all snapshots are still there, and one more';
  return undefined;
}

/** Java refuses to load metadata whose logs are not sorted (`TableMetadata`: by more than a minute; here at all). */
function brokenTime(base: TableMetadata, now: TableMetadata, head: Snapshot): string | undefined {
  if (now['last-updated-ms'] <= base['last-updated-ms']) return 'last-updated-ms does not move on';
  if (head['timestamp-ms'] <= base['last-updated-ms']) return 'the snapshot is older than the table was';
  for (const log of [now['snapshot-log'], now['metadata-log']]) {
    const times = [...log.map((entry) => entry['timestamp-ms']), now['last-updated-ms']];
    if (times.some((time, i) => i > 0 && time < times[i - 1]!))
      return `its logs are not sorted: ${times.join()}`;
  }
  return undefined;
}

function brokenLogs(baseLocation: string, now: TableMetadata, head: Snapshot): string | undefined {
  if (now['snapshot-log'].at(-1)?.['snapshot-id'] !== head['snapshot-id'])
    return 'the snapshot log does not end with the snapshot';
  const before = now['metadata-log'].at(-1);
  if (before?.['metadata-file'] !== baseLocation)
    return 'the metadata log does not end with the former metadata';
  return undefined;
}

function brokenSums(objects: SimObjects, head: Snapshot, live: Live): string | undefined {
  const { summary } = head;
  const totals = {
    'total-data-files': live.files,
    'total-records': live.rows,
    'total-files-size': live.bytes,
  };
  for (const [name, sum] of Object.entries(totals))
    if (summary[name] !== String(sum)) return `${name} is ${summary[name]}, not ${sum}`;
  const added = manifestsOf(objects, head).filter(
    (manifest) => manifest.addedSnapshotId === head['snapshot-id'],
  );
  const records = added.reduce((sum, manifest) => sum + manifest.addedRows, 0);
  if (Number(summary['added-records'] ?? 0) !== records)
    return `added-records is ${summary['added-records']}, its manifests say ${records}`;
  if (added.some((manifest) => manifest.sequenceNumber !== head['sequence-number']))
    return 'a manifest it adds has another sequence number';
  return undefined;
}

/** Who counts deletes, or rows since a snapshot, goes by these numbers: whatever is done to manifests, they stay. */
function brokenManifests(
  objects: SimObjects,
  before: Snapshot | undefined,
  head: Snapshot,
): string | undefined {
  const known = new Map<string, string>();
  for (const { entry, row } of before ? liveEntries(objects, before) : [])
    known.set(entry.path, numbersOf(entry, row).join());
  for (const { entry, row } of liveEntries(objects, head)) {
    const numbers = numbersOf(entry, row);
    if ((known.get(entry.path) ?? numbers.join()) !== numbers.join())
      return `${entry.path} was of ${known.get(entry.path)}, and is now of ${numbers}`;
    if (numbers[1] < row.minSequenceNumber)
      return `${row.path} has sequence number ${numbers[1]}, below its least`;
  }
  for (const row of manifestsOf(objects, head)) {
    const entries = entriesOf(objects, row);
    for (const status of ['added', 'existing', 'deleted'] as const) {
      const those = entries.filter((entry) => entry.status === status);
      const rows = those.reduce((sum, { recordCount }) => sum + recordCount, 0);
      if (those.length !== row[`${status}Files`] || rows !== row[`${status}Rows`])
        return `${row.path} has ${those.length} files (${status}) with ${rows} rows, its list says otherwise`;
    }
  }
  return undefined;
}

function liveEntries(objects: SimObjects, snapshot: Snapshot): { entry: ManifestEntry; row: ManifestFile }[] {
  return manifestsOf(objects, snapshot).flatMap((row) =>
    entriesOf(objects, row)
      .filter(({ status }) => status !== 'deleted')
      .map((entry) => ({ entry, row })),
  );
}

/** Who added a file, and its two sequence numbers: those of new files are the manifest's (spec "Sequence Number Inheritance"). */
function numbersOf(entry: ManifestEntry, row: ManifestFile): readonly [bigint, number, number] {
  return [
    entry.snapshotId ?? row.addedSnapshotId,
    entry.sequenceNumber ?? row.sequenceNumber,
    entry.fileSequenceNumber ?? row.sequenceNumber,
  ];
}
