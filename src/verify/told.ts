import { parseKey, type TopicPartitionKey } from '../kafka/topic-partition.ts';
import { type ExceptionKind, type Findings, formatRange } from './finding.ts';
import { extend, type OffsetRange } from './offset-set.ts';

/** Joins neighbouring offsets of one cause into one finding, however many there are. */
export class Told {
  readonly #findings: Findings;
  readonly #causes = new Map<
    string,
    { kind: ExceptionKind; key: TopicPartitionKey; cause: string; told: Ranges }
  >();
  /** The gap of each topic-partition that may go on. */
  readonly #gaps = new Map<TopicPartitionKey, { range: OffsetRange; why: string }>();

  constructor(findings: Findings) {
    this.#findings = findings;
  }

  add(kind: ExceptionKind, key: TopicPartitionKey, range: OffsetRange, cause = causes[kind] ?? kind): void {
    const id = `${kind} ${key} ${cause}`;
    const known = this.#causes.get(id) ?? { kind, key, cause, told: new Ranges() };
    known.told.add(range);
    this.#causes.set(id, known);
  }

  gap(key: TopicPartitionKey, range: OffsetRange, why: string): void {
    const open = this.#gaps.get(key);
    const goesOn = open?.range.next === range.from && open.why === why;
    if (open && !goesOn) this.#tellGap(key, open);
    this.#gaps.set(key, { range: goesOn ? { from: open.range.from, next: range.next } : range, why });
  }

  more(key: TopicPartitionKey, count: number): void {
    this.#findings.exception(
      'not-looked-at',
      `${keyName(key)}: ${count} further offsets without a row were not looked at`,
      { ...parseKey(key), count },
    );
  }

  report(): void {
    for (const [key, open] of this.#gaps) this.#tellGap(key, open);
    for (const { kind, key, cause, told } of this.#causes.values()) {
      const { from, next, count } = told;
      const offsets = `${count} offset${count === 1 ? '' : 's'}`;
      this.#findings.exception(kind, `${keyName(key)}: ${offsets} without a row, ${cause}: ${told.text()}`, {
        ...parseKey(key),
        from,
        next,
        count,
      });
    }
  }

  #tellGap(key: TopicPartitionKey, { range, why }: { range: OffsetRange; why: string }): void {
    this.#findings.problem('gap', `${keyName(key)} ${formatRange(range)}: no row; ${why}`, {
      ...parseKey(key),
      ...range,
      count: range.next - range.from,
    });
  }
}

const shownMax = 5;

/** Some ranges, and how many more there are. */
class Ranges {
  count = 0;
  from = Number.POSITIVE_INFINITY;
  next = Number.NEGATIVE_INFINITY;
  readonly #shown: OffsetRange[] = [];
  #last: OffsetRange | undefined;
  #more = 0;

  add(range: OffsetRange): void {
    this.count += range.next - range.from;
    this.from = Math.min(this.from, range.from);
    this.next = Math.max(this.next, range.next);
    const goesOn = this.#last?.next === range.from;
    if (this.#more === 0 && (goesOn || this.#shown.length < shownMax)) extend(this.#shown, range);
    else if (!goesOn) this.#more++;
    this.#last = range;
  }

  text(): string {
    const shown = this.#shown.toSorted((a, b) => a.from - b.from).map(formatRange);
    return shown.join(', ') + (this.#more > 0 ? ` and ${this.#more} more ranges` : '');
  }
}

const causes: Partial<globalThis.Record<ExceptionKind, string>> = {
  'lost-by-retention': 'lost by retention and accepted (onGap: skip)',
  'removed-by-rollback': 'removed by a rollback and left out (onRollback: skip)',
  'deleted-rows': 'deleted by others',
  tombstone: 'tombstones',
  'left-out': 'left out by policy (onError, onTombstone)',
  aborted: 'of aborted transactions',
  control: 'markers of transactions',
  'compacted-away': 'compacted away in the log',
  'no-row': 'aborted, control or compacted away (its snapshot landed as many rows less)',
};

export const untold = 'and nothing that is left tells why';

/** Without a topic column a key has no topic. */
export function keyName(key: TopicPartitionKey): string {
  return key.startsWith('-') ? `partition ${key.slice(1)}` : key;
}
