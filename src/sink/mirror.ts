import { messageOf } from '../base/errors.ts';
import type { Log } from '../base/log.ts';
import type { Source } from '../kafka/source.ts';
import type { TopicPartitionKey } from '../kafka/topic-partition.ts';

/** Group offsets follow the tables this often at most. */
const intervalMs = 1_000;
/** A stop does not wait longer than this many failed attempts: the tables are the ledger. */
const finalTriesMax = 3;
/** Marks group offsets as a mirror of tables. */
const metadata = 'frazil';

/** The leader epoch of the record before an offset, where it is known. */
type EpochOf = (key: TopicPartitionKey, offset: number) => number | undefined;

/**
 * The group's offsets as a mirror of the tables, for lag tools and for tables that are added later (I3). One commit is
 * under way at a time; one that fails is told, and made good by the next.
 */
export class Mirror {
  readonly #source: Source;
  readonly #log: Log;
  readonly #done: () => void;
  readonly #epochOf: EpochOf;
  readonly #mirrored = new Map<TopicPartitionKey, number>();
  /** What commits under way will have mirrored, without what was forgotten meanwhile. */
  readonly #underWay = new Set<Map<TopicPartitionKey, number>>();
  #dueAtMs = 0;
  #failures = 0;

  /** `done` is called after each commit. */
  constructor(source: Source, log: Log, done: () => void, epochOf: EpochOf = () => undefined) {
    this.#source = source;
    this.#log = log;
    this.#done = done;
    this.#epochOf = epochOf;
  }

  /** Starts a commit of those `offsets` that have moved, unless one is under way or was just made. */
  follow(offsets: ReadonlyMap<TopicPartitionKey, number>, nowMs: number): void {
    if (this.#isBusy || nowMs < this.#dueAtMs || !this.isBehind(offsets)) return;
    this.#dueAtMs = nowMs + intervalMs;
    this.push(offsets);
  }

  /** As {@link follow}, at once: before topic-partitions are given away. */
  push(offsets: ReadonlyMap<TopicPartitionKey, number>): void {
    const moved = new Map([...offsets].filter(([key, offset]) => offset > (this.#mirrored.get(key) ?? -1)));
    if (moved.size === 0) return;
    const underWay = new Map(moved);
    this.#underWay.add(underWay);
    const epochs = new Map(
      [...moved].flatMap(([key, offset]) => {
        const epoch = this.#epochOf(key, offset);
        return epoch === undefined ? [] : [[key, epoch] as const];
      }),
    );
    this.#source.commitOffsets(moved, metadata, epochs).then(
      () => this.#finish(underWay, true),
      (error) => {
        this.#log.warn('the group offsets could not follow the tables; trying again', {
          error: messageOf(error),
        });
        this.#finish(underWay, false);
      },
    );
  }

  #finish(offsets: Map<TopicPartitionKey, number>, isMade: boolean): void {
    this.#underWay.delete(offsets);
    if (isMade) for (const [key, offset] of offsets) this.#mirrored.set(key, offset);
    this.#failures = isMade ? 0 : this.#failures + 1;
    this.#done();
  }

  get #isBusy(): boolean {
    return this.#underWay.size > 0;
  }

  isBehind(offsets: ReadonlyMap<TopicPartitionKey, number>): boolean {
    for (const [key, offset] of offsets) if (offset > (this.#mirrored.get(key) ?? -1)) return true;
    return false;
  }

  /** Whether a stop has nothing to wait for here; starts what is missing. */
  finish(offsets: ReadonlyMap<TopicPartitionKey, number>): boolean {
    if (this.#isBusy) return false;
    if (!this.isBehind(offsets) || this.#failures >= finalTriesMax) return true;
    this.push(offsets);
    return false;
  }

  /** It is others' now, or will be another topic's: what is under way says nothing of what comes. */
  forget(key: TopicPartitionKey): void {
    this.#mirrored.delete(key);
    for (const underWay of this.#underWay) underWay.delete(key);
  }
}
