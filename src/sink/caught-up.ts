import type { Clock } from '../base/clock.ts';
import { type Catalog, parseIdentifier } from '../catalog/catalog.ts';
import { mainBranch } from '../iceberg/metadata.ts';
import type { Source } from '../kafka/source.ts';
import { parseKey, type TopicPartitionKey } from '../kafka/topic-partition.ts';
import { type Origin, sameTopic } from './claims.ts';
import { emptyLedger } from './ledger.ts';
import { ledgerOf } from './positions.ts';
import { loadTable } from './table-commit.ts';
import type { TableWriter } from './table-writer.ts';

/** A member of a bounded run that is done looks this often whether the others are. */
const intervalMs = 2_000;
/** Nothing having been read for so long, it is asked whether the logs still reach that far (I8). */
const stallMs = 30_000;

/** The end of a bounded run: the offsets at which the logs ended when it started. */
export class CaughtUp {
  readonly #targets: Map<TopicPartitionKey, number>;
  readonly #writers: readonly TableWriter[];
  #dueAtMs = 0;
  /** Offsets still to be read when that changed last. */
  #left = { offsets: -1, sinceMs: 0 };

  constructor(targets: ReadonlyMap<TopicPartitionKey, number>, writers: readonly TableWriter[]) {
    this.#targets = new Map(targets);
    this.#writers = writers;
  }

  /** Topics that are gone: nobody gets to where they ended. */
  forget(topics: readonly string[]): void {
    for (const key of this.#targets.keys())
      if (topics.includes(parseKey(key).topic)) this.#targets.delete(key);
  }

  /** Whether every one of these topic-partitions was read (not: landed) up to its target, for every table. */
  isReached(keys: Iterable<TopicPartitionKey>): boolean {
    for (const key of keys) if (this.#leftOf(key) > 0) return false;
    return true;
  }

  /** Offsets of a topic-partition that some table has not read yet. */
  #leftOf(key: TopicPartitionKey): number {
    const target = this.#targets.get(key) ?? 0;
    let left = 0;
    for (const writer of this.#writers) {
      if (!writer.takes(parseKey(key).topic)) continue;
      const entry = writer.entries.get(key);
      const read = entry && (writer.phase === 'absent' ? entry.seen : entry.next);
      if (read === undefined || read < target) left = Math.max(left, target - (read ?? 0), 1);
    }
    return left;
  }

  /** True when nothing of these topic-partitions has been read for a while. */
  isStalled(keys: Iterable<TopicPartitionKey>, nowMs: number): boolean {
    let offsets = 0;
    for (const key of keys) offsets += this.#leftOf(key);
    const { offsets: before, sinceMs } = this.#left;
    if (offsets === before && nowMs - sinceMs < stallMs) return false;
    this.#left = { offsets, sinceMs: nowMs };
    return offsets === before && offsets > 0;
  }

  /** Those logs that end before their targets now: what they had there is gone. */
  cutBelowTarget(ends: ReadonlyMap<TopicPartitionKey, number>): TopicPartitionKey[] {
    return [...ends].filter(([key, end]) => end < (this.#targets.get(key) ?? 0)).map(([key]) => key);
  }

  /** Whether every one of these topic-partitions has landed up to its target, in every table. */
  isLanded(keys: Iterable<TopicPartitionKey>): boolean {
    for (const key of keys) {
      const target = this.#targets.get(key) ?? 0;
      for (const writer of this.#writers)
        if (writer.takes(parseKey(key).topic) && (writer.mirrorOffset(key) ?? -1) < target) return false;
    }
    return true;
  }

  /** True when a member that has landed its own should ask after the others' again. */
  isDue(nowMs: number): boolean {
    if (nowMs < this.#dueAtMs) return false;
    this.#dueAtMs = nowMs + intervalMs;
    return true;
  }

  /**
   * Whether what is not ours has landed too: the tables themselves say so or, of what they have never heard (nothing has
   * come of it), the group's offsets (I3). @throws {FatalError} when one was rolled back and the policy is to halt.
   */
  async haveOthersLanded(
    ours: ReadonlySet<TopicPartitionKey>,
    pipeline: string,
    origin: Origin,
    ports: { catalog: Catalog; clock: Clock; source: Source },
  ): Promise<boolean> {
    const others = [...this.#targets].filter(([key, target]) => !ours.has(key) && target > 0);
    if (others.length === 0) return true;
    const group = await ports.source.committedOffsets(others.map(([key]) => parseKey(key)));
    for (const writer of this.#writers) {
      const table = await loadTable(parseIdentifier(writer.name), ports);
      // Where whoever opens it would go on: after a rollback nobody may ever have to commit again.
      const ledger = (table && ledgerOf(table, writer.options, pipeline, mainBranch)) ?? emptyLedger;
      for (const [key, target] of others) {
        const { topic } = parseKey(key);
        // Of a topic that was made anew the ledger may still tell the old one's offsets.
        const isSame = sameTopic(ledger, origin, topic);
        const reached = isSame ? (ledger.next.get(key) ?? group.get(key)?.offset ?? 0) : 0;
        if (writer.takes(topic) && reached < target) return false;
      }
    }
    return true;
  }
}
