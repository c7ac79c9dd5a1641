/** What is wrong with a table. Any of these makes it unsound. */
export type ProblemKind =
  | 'gap'
  | 'duplicate'
  | 'broken-chain'
  | 'ledger-copy'
  | 'missing-file'
  | 'damaged-file'
  | 'row-count'
  | 'outside-claim'
  | 'wrong-bounds'
  | 'file-twice'
  | 'lost-rows'
  | 'deleted-rows'
  | 'rolled-back'
  | 'missing-metadata'
  | 'not-retained'
  | 'topic-made-anew'
  | 'ledger-ahead';

/** What departs from "each offset has one row", and why that is in order. */
export type ExceptionKind =
  | 'lost-by-retention'
  | 'truncated'
  | 'removed-by-rollback'
  | 'landed-again'
  | 'tombstone'
  | 'left-out'
  | 'aborted'
  | 'control'
  | 'compacted-away'
  | 'no-row'
  | 'rows-of-others'
  | 'deleted-rows'
  | 'topic-made-anew'
  | 'history-expired'
  | 'not-looked-at';

/** Where it is, as far as that can be said. */
export interface Place {
  readonly topic?: string;
  readonly partition?: number;
  /** Offsets from here up to, not including, `next`. */
  readonly from?: number;
  readonly next?: number;
  readonly snapshot?: bigint;
  readonly file?: string;
  /** Of offsets or rows that it is about. */
  readonly count?: number;
}

export interface Finding<K = ProblemKind | ExceptionKind> extends Place {
  readonly kind: K;
  readonly message: string;
}

/** As many of a kind are kept; the others are counted. */
const keptMax = 100;

/** Collects what was found, in bounded memory. */
export class Findings {
  readonly problems: Finding<ProblemKind>[] = [];
  readonly exceptions: Finding<ExceptionKind>[] = [];
  readonly problemCounts: Map<ProblemKind, number> = new Map();
  readonly exceptionCounts: Map<ExceptionKind, number> = new Map();

  problem(kind: ProblemKind, message: string, place: Place = {}): void {
    keep(this.problems, this.problemCounts, { kind, message, ...place });
  }

  exception(kind: ExceptionKind, message: string, place: Place = {}): void {
    keep(this.exceptions, this.exceptionCounts, { kind, message, ...place });
  }

  get isSound(): boolean {
    return this.problemCounts.size === 0;
  }

  /** By kind and place: files are looked at side by side, in no order. */
  sort(): void {
    // Causes first, then what is missing or doubled through them.
    this.problems.sort(inOrder(Object.keys(nouns).reverse()));
    this.exceptions.sort(inOrder([...this.exceptionCounts.keys()]));
  }
}

function inOrder(kinds: readonly string[]): (a: Finding, b: Finding) => number {
  const text = (a = '', b = ''): number => (a < b ? -1 : a > b ? 1 : 0);
  return (a, b) =>
    kinds.indexOf(a.kind) - kinds.indexOf(b.kind) ||
    text(a.topic, b.topic) ||
    (a.partition ?? -1) - (b.partition ?? -1) ||
    (a.from ?? -1) - (b.from ?? -1) ||
    text(a.file, b.file);
}

function keep<K>(found: Finding<K>[], counts: Map<K, number>, finding: Finding<K>): void {
  const count = (counts.get(finding.kind) ?? 0) + 1;
  counts.set(finding.kind, count);
  if (count <= keptMax) found.push(finding);
}

const nouns: Record<ProblemKind, readonly [one: string, many: string]> = {
  gap: ['gap', 'gaps'],
  duplicate: ['duplicate', 'duplicates'],
  'broken-chain': ['broken claim', 'broken claims'],
  'ledger-copy': ['ledger copy that differs', 'ledger copies that differ'],
  'missing-file': ['missing file', 'missing files'],
  'damaged-file': ['damaged file', 'damaged files'],
  'row-count': ['wrong row count', 'wrong row counts'],
  'outside-claim': ['file outside its claim', 'files outside their claims'],
  'wrong-bounds': ['wrong bound', 'wrong bounds'],
  'file-twice': ['file listed twice', 'files listed twice'],
  'lost-rows': ['commit that lost rows', 'commits that lost rows'],
  'deleted-rows': ['deletion by others', 'deletions by others'],
  'rolled-back': ['rollback not replayed', 'rollbacks not replayed'],
  'missing-metadata': ['missing metadata file', 'missing metadata files'],
  'not-retained': ['partition behind retention', 'partitions behind retention'],
  'topic-made-anew': ['topic made anew', 'topics made anew'],
  'ledger-ahead': ['ledger ahead of the log', 'ledgers ahead of the log'],
};

/** `2 gaps, 1 duplicate` */
export function summarizeProblems(counts: ReadonlyMap<ProblemKind, number>): string {
  const kinds = Object.keys(nouns) as ProblemKind[];
  return kinds
    .filter((kind) => counts.has(kind))
    .map((kind) => `${counts.get(kind)} ${nouns[kind][counts.get(kind) === 1 ? 0 : 1]}`)
    .join(', ');
}

/** `[5, 9)`, or `offset 5` for one. */
export function formatRange({ from, next }: { from: number; next: number }): string {
  return next - from === 1 ? `offset ${from}` : `offsets [${from}, ${next})`;
}
