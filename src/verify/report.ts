import { parseKey, type TopicPartition, type TopicPartitionKey } from '../kafka/topic-partition.ts';
import type { Chain } from './chain.ts';
import type { Claimed } from './claimed.ts';
import type { Contents } from './contents.ts';
import {
  type ExceptionKind,
  type Finding,
  type Findings,
  type ProblemKind,
  summarizeProblems,
} from './finding.ts';
import { expectedHoles } from './holes.ts';
import type { Stand } from './log.ts';

/** How closely files are looked at. */
export type Depth = 'quick' | 'footers' | 'columns';

/** What was found of one table: plain data, for people and programs. */
export interface Report {
  readonly table: string;
  readonly verdict: 'sound' | 'unsound';
  /** The verdict in a line. */
  readonly summary: string;
  /** The head: what was verified up to. */
  readonly snapshot: bigint | null;
  /** Verified from here on, if not from the beginning. */
  readonly after?: bigint;
  readonly depth: Depth;
  /** Why columns were read though nobody has asked for it. */
  readonly columnsReadBecause?: string;
  readonly pipelines: readonly string[];
  readonly snapshots: number;
  readonly files: number;
  readonly rows: number;
  readonly partitions: readonly PartitionReport[];
  readonly problems: readonly Finding<ProblemKind>[];
  readonly exceptions: readonly Finding<ExceptionKind>[];
  /** All that were found, also those that are not listed. */
  readonly problemCounts: Readonly<Partial<Record<ProblemKind, number>>>;
  readonly exceptionCounts: Readonly<Partial<Record<ExceptionKind, number>>>;
  /** Why the logs were not looked at, if they were not. */
  readonly kafka?: string;
}

export interface PartitionReport extends TopicPartition {
  readonly pipeline?: string;
  /** Offsets [from, next) have landed. */
  readonly from: number | null;
  readonly next: number;
  /** Rows in the table, where columns were read. */
  readonly rows?: number;
  readonly logStart?: number;
  readonly logEnd?: number;
  readonly retained?: number;
  readonly toCome?: number;
}

/** A line for each topic-partition that a ledger or a row tells of. */
export function partitionReports(
  chains: readonly Chain[],
  contents: Contents | undefined,
  stands: ReadonlyMap<TopicPartitionKey, Stand>,
  isCompared: (pipeline: string) => boolean,
): PartitionReport[] {
  const reports: PartitionReport[] = [];
  for (const { pipeline, steps, ledger } of chains) {
    const compared = isCompared(pipeline) ? stands : new Map<TopicPartitionKey, Stand>();
    for (const key of new Set([...ledger.next.keys(), ...compared.keys()])) {
      const links = steps.flatMap((step) => step.links.filter((link) => link.key === key));
      const epoch = Math.max(0, ...links.map((link) => link.epoch));
      const from = links.find((link) => link.epoch === epoch)?.from ?? ledger.starts.get(key) ?? null;
      const rows = contents && (contents.seen.get(`${key}#${epoch}`)?.rows ?? 0);
      reports.push({
        ...parseKey(key),
        pipeline,
        from,
        next: ledger.next.get(key) ?? 0,
        ...(rows === undefined ? {} : { rows }),
        ...compared.get(key),
      });
    }
  }
  const claimed = new Set(reports.map(({ topic, partition }) => `${topic}-${partition}`));
  for (const { key, topic, partition, set, rows } of contents?.seen.values() ?? []) {
    const bounds = set.bounds();
    if (claimed.has(key) || !bounds) continue;
    reports.push({ topic, partition, from: bounds.min, next: bounds.max + 1, rows, ...stands.get(key) });
  }
  return reports.sort((a, b) => (a.topic < b.topic ? -1 : a.topic > b.topic ? 1 : a.partition - b.partition));
}

/** `sound: ...` or `unsound: 2 gaps, 1 duplicate in shop.orders`. */
export function summaryOf(
  table: string,
  { files, rows, partitions }: { files: number; rows: number; partitions: readonly PartitionReport[] },
  claimed: Claimed,
  findings: Findings,
): string {
  if (!findings.isSound) return `unsound: ${summarizeProblems(findings.problemCounts)} in ${table}`;
  const count = (n: number, what: string): string =>
    `${n.toLocaleString('en-US')} ${what}${n === 1 ? '' : 's'}`;
  const exceptions = [...findings.exceptionCounts.values()].reduce((sum, n) => sum + n, 0);
  const withoutRow = claimed.steps
    .filter((step) => step.isWhole)
    .reduce((sum, step) => sum + Math.max(0, expectedHoles(step)), 0);
  return [
    `sound: ${table}: ${count(rows, 'row')} in ${count(files, 'file')}, ${count(partitions.length, 'partition')}`,
    claimed.steps.length > 0 ? 'claims join without gap or overlap' : 'no gap, no duplicate',
    ...(withoutRow > 0 ? [`${count(withoutRow, 'offset')} without a row`] : []),
    ...(exceptions > 0 ? [count(exceptions, 'exception')] : []),
  ].join('; ');
}
