import { messageOf, NotFoundError } from '../base/errors.ts';
import type { ManifestFile } from '../iceberg/manifest-list.ts';
import type { Snapshot } from '../iceberg/metadata.ts';
import type { RangedStore } from '../storage/store.ts';
import type { Claimed } from './claimed.ts';
import type { Findings } from './finding.ts';
import type { Lineage } from './lineage.ts';
import { manifestsOf, rowsIn } from './live-files.ts';

/** What others have done to a table, by the manifest lists of their snapshots. */
export interface Changes {
  /** Rows that snapshots of others have taken out, and not put back. */
  readonly removedRows: number;
  /** Rows that delete files mark as deleted; they are still in the data files. */
  readonly markedRows: number;
  /** Snapshots of others that have added rows. */
  readonly adders: ReadonlySet<bigint>;
  /** Those of them that have taken none out: no row of theirs was there before. */
  readonly appenders: ReadonlySet<bigint>;
  /** True when somebody has rewritten files. */
  readonly isRewritten: boolean;
}

/** The row counts of a snapshot and of its parent; `rows` is undefined when the manifest list is gone. */
interface Counted {
  readonly snapshot: Snapshot;
  readonly manifests: readonly ManifestFile[];
  readonly rows: number;
}

/**
 * Follows the number of rows from snapshot to snapshot: appends add what they say, rewrites keep it, and what else becomes
 * less was deleted. Of the pipelines' own snapshots the lists are read only where the sum does not come out.
 */
export async function readChanges(
  lineage: Lineage,
  claimed: Claimed,
  after: number,
  allowDeletes: boolean,
  store: RangedStore,
  findings: Findings,
): Promise<Changes> {
  const { snapshots } = lineage;
  const begin = firstIndex(snapshots, after);
  const read = (index: number): Promise<Counted | undefined> => readCounts(snapshots[index], store, findings);
  const adders = new Set<bigint>();
  const appenders = new Set<bigint>();
  let [removedRows, markedRows, isRewritten] = [0, 0, false];
  let expected = begin < snapshots.length ? (await read(begin))?.rows : undefined;
  if (begin < snapshots.length) {
    const first = snapshots[begin]!;
    const step = claimed.stepOf(first['snapshot-id']);
    if (!step && first['parent-snapshot-id'] === undefined) adders.add(first['snapshot-id']);
    if (
      step &&
      first['parent-snapshot-id'] === undefined &&
      lineage.isWhole &&
      expected !== undefined &&
      expected !== step.rows
    )
      findings.problem('row-count', rowsOfStep(first, step.rows, expected), {
        snapshot: first['snapshot-id'],
      });
  }
  for (let i = begin + 1; i < snapshots.length; i++) {
    const snapshot = snapshots[i]!;
    const step = claimed.stepOf(snapshot['snapshot-id']);
    if (step) {
      if (expected !== undefined) expected += step.rows;
      continue;
    }
    const [before, now] = [await read(i - 1), await read(i)];
    if (!before || !now) {
      expected = undefined;
      continue;
    }
    const change = changeOf(before, now);
    if (expected !== undefined) expected += now.rows - before.rows;
    markedRows += change.marked;
    isRewritten ||= change.operation === 'replace' || change.operation === 'overwrite';
    if (change.operation !== 'replace' && change.added > 0) adders.add(snapshot['snapshot-id']);
    if (change.operation === 'append') appenders.add(snapshot['snapshot-id']);
    removedRows += judge(snapshot, change, before, allowDeletes, findings);
  }
  const head = snapshots.length > begin ? await read(snapshots.length - 1) : undefined;
  if (head && expected !== undefined && head.rows !== expected)
    await findLostRows(snapshots.slice(begin), claimed, store, findings);
  return { removedRows, markedRows, adders, appenders, isRewritten };
}

/** The snapshot that verification begins at: the last one that was verified, or the oldest. */
function firstIndex(snapshots: readonly Snapshot[], after: number): number {
  const next = snapshots.findIndex((snapshot) => snapshot['sequence-number'] > after);
  if (next === -1) return snapshots.length;
  return Math.max(0, next - 1);
}

async function readCounts(
  snapshot: Snapshot | undefined,
  store: RangedStore,
  findings: Findings,
): Promise<Counted | undefined> {
  if (!snapshot) return undefined;
  try {
    const manifests = await manifestsOf(store, snapshot);
    return { snapshot, manifests, rows: rowsIn(manifests) };
  } catch (error) {
    const id = snapshot['snapshot-id'];
    const reason = error instanceof NotFoundError ? 'it is gone' : messageOf(error);
    findings.problem('missing-metadata', `the manifest list of snapshot ${id} cannot be read: ${reason}`, {
      snapshot: id,
      file: snapshot['manifest-list'],
    });
    return undefined;
  }
}

interface Change {
  readonly operation: string;
  readonly added: number;
  /** Rows that are less, beyond those added. */
  readonly removed: number;
  readonly marked: number;
}

function changeOf(before: Counted, now: Counted): Change {
  const id = now.snapshot['snapshot-id'];
  const own = now.manifests.filter((manifest) => manifest.addedSnapshotId === id);
  const sum = (content: number): number =>
    own
      .filter((manifest) => manifest.content === content)
      .reduce((rows, { addedRows }) => rows + addedRows, 0);
  const added = sum(0);
  return {
    operation: now.snapshot.summary['operation'] ?? '',
    added,
    removed: before.rows + added - now.rows,
    marked: sum(1),
  };
}

/** @returns how many rows it has taken out without putting them back. */
function judge(
  snapshot: Snapshot,
  { operation, added, removed, marked }: Change,
  before: Counted,
  allowDeletes: boolean,
  findings: Findings,
): number {
  const id = snapshot['snapshot-id'];
  const engine = snapshot.summary['engine-name'] ?? snapshot.summary['app-id'];
  const who = `snapshot ${id} (${operation}${engine === undefined ? '' : `, ${engine}`})`;
  const place = { snapshot: id };
  const deleted = (rows: number, how: string): void => {
    const message = `${who} ${how} ${rows} row${rows === 1 ? '' : 's'}`;
    if (allowDeletes) findings.exception('deleted-rows', message, { ...place, count: rows });
    else findings.problem('deleted-rows', message, { ...place, count: rows });
  };
  if (marked > 0) deleted(marked, 'marks in delete files');
  const isMarked = before.manifests.some(({ content }) => content === 1);
  if (operation === 'replace') {
    // A compaction leaves out rows that delete files had marked.
    if (added > removed || (added < removed && !isMarked))
      findings.problem('lost-rows', `${who} has rewritten ${removed} rows as ${added}`, {
        ...place,
        count: removed - added,
      });
    return Math.max(0, removed - added);
  }
  if (removed < 0 || (operation === 'append' && removed > 0))
    findings.problem(
      'lost-rows',
      `${who} adds ${added} rows, and the table has ${added - removed} more`,
      place,
    );
  else if (removed > 0) deleted(removed, added > 0 ? `adds ${added} rows and removes` : 'removes');
  if (operation !== 'replace' && added > 0)
    findings.exception('rows-of-others', `${who} adds ${added} rows that no pipeline here has landed`, {
      ...place,
      count: added,
    });
  return Math.max(0, removed);
}

const rowsOfStep = (snapshot: Snapshot, told: number, found: number): string =>
  `snapshot ${snapshot['snapshot-id']} says it has added ${told} rows, its manifest list has ${found} more`;

/** The number of rows does not come out: which of the pipelines' own commits is to blame? */
async function findLostRows(
  snapshots: readonly Snapshot[],
  claimed: Claimed,
  store: RangedStore,
  findings: Findings,
): Promise<void> {
  let before: Counted | undefined;
  for (const snapshot of snapshots) {
    const now = await readCounts(snapshot, store, findings);
    const step = claimed.stepOf(snapshot['snapshot-id']);
    if (step && before && now && now.rows - before.rows !== step.rows)
      findings.problem('lost-rows', rowsOfStep(snapshot, step.rows, now.rows - before.rows), {
        snapshot: snapshot['snapshot-id'],
        count: Math.abs(step.rows - (now.rows - before.rows)),
      });
    before = now;
  }
}
