import { parseKey, type TopicPartitionKey } from '../kafka/topic-partition.ts';
import type { Link, Step } from './chain.ts';
import type { Claimed } from './claimed.ts';
import type { Contents, Seen } from './contents.ts';
import type { ExceptionKind, Findings } from './finding.ts';
import type { LogPort, LogView, Record } from './log.ts';
import { countOf, extend, type OffsetRange, split } from './offset-set.ts';
import { keyName, Told, untold } from './told.ts';

/**
 * Offsets without a row: each is explained by what the table recorded, by the log, or by the row counts of the snapshot
 * that claims it; what is left is a gap.
 */
export interface HoleRules {
  /** Offsets that rollbacks took away and nobody landed again. */
  readonly rolledBack: ReadonlyMap<TopicPartitionKey, readonly OffsetRange[]>;
  /** Rows that others have deleted: as many holes are theirs. */
  readonly removedRows: number;
  readonly log:
    | { readonly port: LogPort; readonly view: LogView; readonly isSame: (topic: string) => boolean }
    | undefined;
  /** Undecodable records are left out (onError: skip): of snapshots that have expired nobody knows how many. */
  readonly skipsUndecodable: boolean;
  /** Count holes whose cause is not known any more as gaps. */
  readonly strict: boolean;
}

/** Ranges kept and offsets asked for; beyond that they are counted only. */
const rangesMax = 50_000;
const lookedAtMax = 2_000_000;

interface Hole {
  readonly key: TopicPartitionKey;
  /** Undefined where no pipeline claims the offsets: there every one is expected. */
  readonly step: Step | undefined;
  readonly ranges: OffsetRange[];
  /** Those beyond the bound on ranges. */
  more: number;
}

export async function explainHoles(
  claimed: Claimed,
  contents: Contents,
  rules: HoleRules,
  findings: Findings,
): Promise<void> {
  const holes = claimed.steps.length > 0 ? claimedHoles(claimed, contents) : plainHoles(contents);
  const told = new Told(findings);
  let removed = rules.removedRows;
  let lookedAt = 0;
  const byStep = new Map<Step | undefined, Hole[]>();
  for (const hole of holes) byStep.set(hole.step, [...(byStep.get(hole.step) ?? []), hole]);
  for (const [step, ofStep] of byStep) {
    const budget = new Budget(step, removed, rules);
    for (const hole of ofStep) {
      for (const range of hole.ranges) takeRecorded(hole, range, rules, budget, told);
      const open = budget.openOf(hole.key);
      const size = countOf(open);
      if (!rules.log || lookedAt + size <= lookedAtMax) {
        lookedAt += size;
        await takeLogged(hole, open, rules, budget, told);
      } else {
        findings.exception(
          'not-looked-at',
          `${keyName(hole.key)}: ${size} offsets without a row were not looked up in the log`,
          {
            ...parseKey(hole.key),
            count: size,
          },
        );
      }
    }
    budget.settle(ofStep, told);
    removed = budget.removed;
  }
  told.report();
}

function* claimedHoles(claimed: Claimed, contents: Contents): Generator<Hole> {
  for (const step of claimed.steps)
    for (const link of step.links) {
      const hole = holeOf(link, step, contents.seen.get(`${link.key}#${link.epoch}`));
      if (hole) yield hole;
    }
}

function holeOf({ key, from, next }: Link, step: Step, seen: Seen | undefined): Hole | undefined {
  const start = from ?? seen?.set.bounds()?.min ?? next;
  if (start >= next) return undefined;
  const hole: Hole = { key, step, ranges: [], more: 0 };
  for (const range of seen ? seen.set.holes({ from: start, next }) : [{ from: start, next }])
    keep(hole, range);
  return hole.ranges.length > 0 ? hole : undefined;
}

/** Without a ledger, all between the least and the greatest offset are expected. */
function* plainHoles(contents: Contents): Generator<Hole> {
  for (const { key, set } of contents.seen.values()) {
    const bounds = set.bounds();
    if (!bounds || bounds.max - bounds.min + 1 === set.size) continue;
    const hole: Hole = { key, step: undefined, ranges: [], more: 0 };
    for (const range of set.holes({ from: bounds.min, next: bounds.max + 1 })) keep(hole, range);
    yield hole;
  }
}

function keep(hole: Hole, range: OffsetRange): void {
  if (hole.ranges.length < rangesMax) hole.ranges.push(range);
  else hole.more += range.next - range.from;
}

/** What the table itself says: taken by retention, or by a rollback. */
function takeRecorded(
  { key, step }: Hole,
  range: OffsetRange,
  { rolledBack }: HoleRules,
  budget: Budget,
  told: Told,
): void {
  const lost = split(range, step?.lost.get(key) ?? []);
  for (const part of lost.inside) told.add('lost-by-retention', key, part);
  for (const rest of lost.outside) {
    const back = split(rest, rolledBack.get(key) ?? []);
    for (const part of back.inside) {
      told.add('removed-by-rollback', key, part);
      budget.expected -= part.next - part.from;
    }
    for (const part of back.outside) budget.open(key, part);
  }
}

/** What the log says, of offsets that it still has. */
async function takeLogged(
  { key }: Hole,
  open: readonly OffsetRange[],
  { log }: HoleRules,
  budget: Budget,
  told: Told,
): Promise<void> {
  const topicPartition = parseKey(key);
  const range = log?.isSame(topicPartition.topic) ? log.view.ranges.get(key) : undefined;
  if (!log || !range) return;
  const kept = open.flatMap((each) => split(each, [{ from: range.start, next: range.end }]).inside);
  if (kept.length === 0) return;
  const found = await log.port.look(topicPartition, kept);
  for (const { from, next } of kept)
    for (let offset = from; offset < next; offset++) {
      const one = { from: offset, next: offset + 1 };
      const kind = found.get(offset);
      budget.takeOffset(key, offset);
      if (kind === 'record') takeRecord(key, one, budget, told);
      else {
        budget.expected--;
        if (kind === 'tombstone') budget.tombstones--;
        told.add(kindOf[kind ?? 'nothing'], key, one);
      }
    }
}

const kindOf: globalThis.Record<Exclude<Record, 'record'> | 'nothing', ExceptionKind> = {
  tombstone: 'tombstone',
  aborted: 'aborted',
  control: 'control',
  nothing: 'compacted-away',
};

/** The log has a record with a value there, which every reader sees, and the table has no row. */
function takeRecord(key: TopicPartitionKey, one: OffsetRange, budget: Budget, told: Told): void {
  if (budget.undecodable > 0) {
    budget.undecodable--;
    budget.expected--;
    told.add('left-out', key, one);
  } else if (budget.removed > 0) {
    budget.removed--;
    told.add('deleted-rows', key, one);
  } else {
    told.gap(key, one, 'the log has a record there');
  }
}

/** How many holes of a step are in order, and which are still open. */
class Budget {
  /** Holes that the row count of the step itself explains: it has landed so much fewer rows than offsets. */
  expected: number;
  undecodable: number;
  tombstones: number;
  removed: number;
  readonly #isKnown: boolean;
  readonly #strict: boolean;
  readonly #open = new Map<TopicPartitionKey, OffsetRange[]>();
  readonly #taken = new Map<TopicPartitionKey, Set<number>>();

  constructor(step: Step | undefined, removed: number, rules: HoleRules) {
    const isKnown =
      step === undefined || (step.isWhole && step.links.every(({ from }) => from !== undefined));
    this.expected = step && isKnown ? expectedHoles(step) : isKnown ? 0 : Number.POSITIVE_INFINITY;
    this.undecodable =
      !isKnown && rules.skipsUndecodable ? Number.POSITIVE_INFINITY : (step?.leftOut.undecodable ?? 0);
    this.tombstones = step?.leftOut.tombstones ?? 0;
    this.removed = removed;
    this.#isKnown = isKnown;
    this.#strict = rules.strict;
  }

  open(key: TopicPartitionKey, range: OffsetRange): void {
    const ranges = this.#open.get(key) ?? [];
    extend(ranges, range);
    this.#open.set(key, ranges);
  }

  openOf(key: TopicPartitionKey): OffsetRange[] {
    return this.#open.get(key) ?? [];
  }

  takeOffset(key: TopicPartitionKey, offset: number): void {
    const taken = this.#taken.get(key) ?? new Set();
    taken.add(offset);
    this.#taken.set(key, taken);
  }

  /** What nothing has explained: as many as the step's own counts allow are in order, others were deleted, the rest are gaps. */
  settle(holes: readonly Hole[], told: Told): void {
    const rest = [...this.#open].flatMap(([key, ranges]) =>
      ranges.flatMap((range) => this.#untaken(key, range).map((part) => ({ key, part }))),
    );
    const total = rest.reduce((sum, { part }) => sum + part.next - part.from, 0);
    const excess = this.#isKnown ? Math.max(0, total - Math.max(0, this.expected)) : 0;
    const deleted = Math.min(this.#isKnown ? excess : total, this.removed);
    const isGap = this.#isKnown ? excess > deleted : this.#strict && total > deleted;
    this.removed -= deleted;
    for (const { key, part } of rest) {
      if (isGap) told.gap(key, part, this.#reason(excess - deleted, total));
      else if (deleted > 0 && deleted >= total) told.add('deleted-rows', key, part);
      else
        told.add(
          this.#isPolicy(total) ? 'left-out' : 'no-row',
          key,
          part,
          this.#isKnown ? undefined : untold,
        );
    }
    for (const { key, more } of holes) if (more > 0) told.more(key, more);
  }

  /** All that is open was left out by policy, if it is as many as that. */
  #isPolicy(total: number): boolean {
    return total > 0 && total === this.undecodable + this.tombstones;
  }

  #reason(gaps: number, total: number): string {
    if (!this.#isKnown) return 'nothing that is left tells why';
    return gaps === total
      ? 'every offset should have one here'
      : `${gaps} of ${total} such offsets of its snapshot should have one`;
  }

  #untaken(key: TopicPartitionKey, range: OffsetRange): OffsetRange[] {
    const taken = this.#taken.get(key);
    if (!taken) return [range];
    const rest: OffsetRange[] = [];
    for (let offset = range.from; offset < range.next; offset++)
      if (!taken.has(offset)) extend(rest, { from: offset, next: offset + 1 });
    return rest;
  }
}

/** Offsets that a step has claimed and, by its own account, landed no row of. */
export function expectedHoles(step: Step): number {
  const claimed = step.links.reduce((sum, { from, next }) => sum + next - (from ?? next), 0);
  const lost = [...step.lost.values()].reduce((sum, ranges) => sum + countOf(ranges), 0);
  return claimed - lost - step.rows;
}
