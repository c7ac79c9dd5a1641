import { branchHead, type Snapshot, type TableMetadata } from '../iceberg/metadata.ts';

/** The history of a branch, as far as it is kept. */
export interface Lineage {
  /** Oldest first; the last is the head. */
  readonly snapshots: readonly Snapshot[];
  /** True when it goes back to the table's first snapshot; false when what was before has expired. */
  readonly isWhole: boolean;
}

/** Walks from a branch's head to its oldest snapshot that is kept. */
export function lineageOf(metadata: TableMetadata, branch: string): Lineage {
  const byId = new Map(metadata.snapshots.map((snapshot) => [snapshot['snapshot-id'], snapshot]));
  const walked: Snapshot[] = [];
  let snapshot = branchHead(metadata, branch);
  // No history is longer than the list: a circle ends the walk too.
  while (snapshot && walked.length < metadata.snapshots.length) {
    walked.push(snapshot);
    const parent = snapshot['parent-snapshot-id'];
    if (parent === undefined) return { snapshots: walked.reverse(), isWhole: !isCut(metadata, snapshot) };
    snapshot = byId.get(parent);
  }
  return { snapshots: walked.reverse(), isWhole: walked.length === 0 && metadata.refs[branch] === undefined };
}

/** Nessie shows the newest snapshot only, and without its parent: as if all before it had expired. */
function isCut(metadata: TableMetadata, oldest: Snapshot): boolean {
  return metadata.properties['nessie.commit.id'] !== undefined && oldest['sequence-number'] > 1;
}

/** A stretch of history that the branch does not have any more, though its snapshots are still listed. */
export interface Abandoned {
  /** Where it left the present history; undefined: before its oldest snapshot. */
  readonly fork: Snapshot | undefined;
  /** Its newest snapshot. */
  readonly tip: Snapshot;
}

/** What rollbacks have left behind: snapshots that main once led to and does not now. */
export function abandonedBy(metadata: TableMetadata, lineage: Lineage): Abandoned[] {
  const kept = new Set(lineage.snapshots.map((snapshot) => snapshot['snapshot-id']));
  const byId = new Map(metadata.snapshots.map((snapshot) => [snapshot['snapshot-id'], snapshot]));
  const wasHead = new Set(metadata['snapshot-log'].map((entry) => entry['snapshot-id']));
  const lost = metadata.snapshots.filter(
    (snapshot) => !kept.has(snapshot['snapshot-id']) && wasHead.has(snapshot['snapshot-id']),
  );
  const parents = new Set(lost.map((snapshot) => snapshot['parent-snapshot-id']));
  // Those that another goes on from are part of its stretch.
  return lost
    .filter((snapshot) => !parents.has(snapshot['snapshot-id']))
    .map((tip) => {
      let at: Snapshot | undefined = tip;
      for (let steps = 0; at && !kept.has(at['snapshot-id']) && steps < metadata.snapshots.length; steps++)
        at = byId.get(at['parent-snapshot-id'] ?? -1n);
      return { fork: at, tip };
    })
    .filter(({ fork, tip }) => fork || !isBefore(tip, lineage));
}

/** Snapshots before the oldest that is kept were not left behind: they are kept by a tag, or about to expire. */
function isBefore(tip: Snapshot, lineage: Lineage): boolean {
  const oldest = lineage.snapshots[0];
  return !!oldest && !lineage.isWhole && tip['sequence-number'] < oldest['sequence-number'];
}
