import { parseKey, type TopicPartitionKey } from '../kafka/topic-partition.ts';
import type { Basis, Step } from './chain.ts';
import type { Changes } from './changes.ts';
import type { Claimed } from './claimed.ts';
import type { Contents } from './contents.ts';
import { type Findings, formatRange } from './finding.ts';
import { expectedHoles } from './holes.ts';
import type { Lineage } from './lineage.ts';
import { countOf, type OffsetRange } from './offset-set.ts';

/** What the numbers of rows and offsets say, without a look at the rows. */

/** By its own account a snapshot lands a row for each offset, or fewer. */
export function checkSteps(claimed: Claimed, findings: Findings): void {
  for (const step of claimed.steps) {
    tellTruncated(step, findings);
    if (!step.isWhole || step.links.some(({ from }) => from === undefined)) continue;
    const holes = expectedHoles(step);
    const leftOut = step.leftOut.tombstones + step.leftOut.undecodable;
    if (holes >= leftOut) continue;
    const id = step.snapshot!['snapshot-id'];
    findings.problem(
      'row-count',
      `snapshot ${id} of pipeline ${step.pipeline} says it has added ${step.rows} rows and left out ${leftOut} records, ` +
        `of ${holes + step.rows} offsets that its ledger moves on`,
      { snapshot: id, count: step.rows },
    );
  }
}

function tellTruncated({ snapshot, truncated }: Step, findings: Findings): void {
  for (const [key, ranges] of truncated)
    for (const range of ranges)
      findings.exception(
        'truncated',
        `${key} ${formatRange(range)}: rows of records that the log has lost since (onTruncation: skip)`,
        { ...parseKey(key), ...range, snapshot: snapshot!['snapshot-id'], count: range.next - range.from },
      );
}

/** Whether the history reaches back to where verification is to begin. */
export function checkHistory(
  lineage: Lineage,
  basis: Basis | undefined,
  hasLedger: boolean,
  findings: Findings,
): void {
  const { snapshots, isWhole } = lineage;
  if (basis && !goesOnFrom(basis, lineage))
    findings.problem(
      'rolled-back',
      `snapshot ${basis.snapshot}, up to which it was verified before, is not in the history any more: the table was rolled back`,
      { snapshot: basis.snapshot },
    );
  if (isWhole || basis || snapshots.length === 0 || !hasLedger) return;
  const oldest = snapshots[0]!['snapshot-id'];
  findings.exception(
    'history-expired',
    `the snapshots before ${oldest} have expired: what they landed is verified by counts, not by their claims`,
    { snapshot: oldest },
  );
}

/** The basis may have expired since. */
function goesOnFrom(basis: Basis, { snapshots, isWhole }: Lineage): boolean {
  if (snapshots.some((each) => each['snapshot-id'] === basis.snapshot)) return true;
  return !isWhole && (snapshots[0]?.['sequence-number'] ?? 0) > basis.sequenceNumber;
}

export interface Counted {
  readonly claimed: Claimed;
  readonly changes: Changes;
  /** Rows of files that no snapshot of others has added. */
  readonly ownRows: number;
  readonly rolledBack: ReadonlyMap<TopicPartitionKey, readonly OffsetRange[]>;
  /** Files below it were left out. */
  readonly basis: Basis | undefined;
  readonly isLogKnown: boolean;
}

/** What the numbers leave open, so that columns are to be read; undefined when they come out. */
export function questionOf(counted: Counted): string | undefined {
  const { claimed, changes, ownRows, rolledBack, basis, isLogKnown } = counted;
  if (changes.removedRows > 0) return 'others have removed rows';
  const { steps } = claimed;
  if (steps.some(({ links }) => links.some(({ from }) => from === undefined)))
    return 'where a pipeline began is not known any more';
  const holes = steps.filter((step) => step.isWhole).reduce((sum, step) => sum + expectedHoles(step), 0);
  const offsets = steps.reduce((sum, step) => sum + expectedHoles({ ...step, rows: 0 }), 0);
  const rest = offsets - holes - ownRows;
  // Files that were rewritten since hold rows from before the basis, too.
  const isComparable = !(basis && changes.isRewritten);
  if (isComparable && rest !== 0)
    return rest > 0 ? `${rest} offsets have no row` : `there are ${-rest} more rows than offsets`;
  if (holes > 0 && isLogKnown) return `${holes} offsets have no row, and the log may tell why`;
  if (holes > 0 && rolledBack.size > 0) return `${holes} offsets have no row, and there was a rollback`;
  return undefined;
}

/** Says what was not looked at, so that nobody takes it for proven. */
export function tellContents(contents: Contents, findings: Findings): void {
  const { withoutOffset, ambiguous, filesOpen } = contents;
  if (withoutOffset > 0)
    findings.exception('rows-of-others', `${withoutOffset} rows have no offset: they are of no record`, {
      count: withoutOffset,
    });
  if (ambiguous > 0)
    findings.exception(
      'not-looked-at',
      `${ambiguous} rows in rewritten files may be of a topic or of the one made anew under its name`,
      { count: ambiguous },
    );
  if (filesOpen > 0)
    findings.exception(
      'not-looked-at',
      `the footers of ${filesOpen} files leave open which offsets they have (--quick)`,
      { count: filesOpen },
    );
}

/** The question that was left, and what the snapshots themselves say of offsets without a row. */
export function tellCounts(
  claimed: Claimed,
  question: string | undefined,
  hasColumns: boolean,
  findings: Findings,
): void {
  if (question !== undefined) tellUnread(question, hasColumns, findings);
  for (const step of claimed.steps) if (step.isWhole) tellStep(step, findings);
}

function tellUnread(question: string, hasColumns: boolean, findings: Findings): void {
  const more = /^there are (\d+) more rows/.exec(question);
  if (more)
    findings.problem('duplicate', `${question}: some are there twice; which, only the columns tell`, {
      count: Number(more[1]),
    });
  else
    findings.exception(
      'not-looked-at',
      `${question}; ${hasColumns ? 'columns were not read (--quick)' : 'the table has no column of offsets'}`,
    );
}

function tellStep(step: Step, findings: Findings): void {
  const { tombstones, undecodable } = step.leftOut;
  const snapshot = step.snapshot!['snapshot-id'];
  if (tombstones + undecodable > 0)
    findings.exception(
      'left-out',
      `snapshot ${snapshot}: ${tombstones} tombstones and ${undecodable} undecodable records left out by policy`,
      { snapshot, count: tombstones + undecodable },
    );
  const rest = expectedHoles(step) - tombstones - undecodable;
  if (rest > 0)
    findings.exception(
      'no-row',
      `snapshot ${snapshot}: ${rest} offsets without a row: aborted, control or compacted away`,
      { snapshot, count: rest },
    );
  for (const [key, ranges] of step.lost)
    findings.exception(
      'lost-by-retention',
      `${key}: ${countOf(ranges)} offsets lost by retention (onGap: skip)`,
      { snapshot, from: ranges[0]!.from, next: ranges.at(-1)!.next, count: countOf(ranges) },
    );
}
