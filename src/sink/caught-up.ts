import type { Clock } from '../base/clock.ts';
import { type Catalog, parseIdentifier } from '../catalog/catalog.ts';
import { mainBranch } from '../iceberg/metadata.ts';
import { parseKey, type TopicPartitionKey } from '../kafka/topic-partition.ts';
import { resolveLedger } from './ledger.ts';
import { loadTable } from './table-commit.ts';
import type { TableWriter } from './table-writer.ts';

/** An idle member of a bounded run looks this often whether the others have finished. */
const intervalMs = 2_000;

/** The end of a bounded run: the offsets at which the logs ended when it started. */
export class CaughtUp {
  readonly #targets: ReadonlyMap<TopicPartitionKey, number>;
  readonly #writers: readonly TableWriter[];
  #dueAtMs = 0;

  constructor(targets: ReadonlyMap<TopicPartitionKey, number>, writers: readonly TableWriter[]) {
    this.#targets = targets;
    this.#writers = writers;
  }

  /** Whether every one of these topic-partitions was read (not: landed) up to its target, for every table. */
  isReached(keys: Iterable<TopicPartitionKey>): boolean {
    for (const key of keys) {
      const target = this.#targets.get(key) ?? 0;
      for (const writer of this.#writers) {
        if (!writer.takes(parseKey(key).topic)) continue;
        const entry = writer.entries.get(key);
        if (!entry || (writer.phase === 'absent' ? entry.seen : entry.next) < target) return false;
      }
    }
    return true;
  }

  /** Those of the topic-partitions whose records up to the target have not all landed in every table. */
  unlanded(keys: Iterable<TopicPartitionKey>): TopicPartitionKey[] {
    const hasLanded = (key: TopicPartitionKey, writer: TableWriter): boolean => {
      const offset = writer.phase === 'absent' ? writer.entries.get(key)?.seen : writer.mirrorOffset(key);
      return offset !== undefined && offset >= (this.#targets.get(key) ?? 0);
    };
    return [...keys].filter((key) =>
      this.#writers.some((writer) => writer.takes(parseKey(key).topic) && !hasLanded(key, writer)),
    );
  }

  /** True when a member that was given nothing should ask the tables again. */
  isDue(nowMs: number): boolean {
    if (nowMs < this.#dueAtMs) return false;
    this.#dueAtMs = nowMs + intervalMs;
    return true;
  }

  /** Whether the tables themselves say that everything has landed. */
  async isLanded(pipeline: string, ports: { catalog: Catalog; clock: Clock }): Promise<boolean> {
    for (const writer of this.#writers) {
      const table = await loadTable(parseIdentifier(writer.name), ports);
      const resolution = table && resolveLedger(table.metadata, pipeline, mainBranch);
      const next = resolution?.type === 'known' ? resolution.ledger.next : undefined;
      for (const [key, target] of this.#targets)
        if (writer.takes(parseKey(key).topic) && (next?.get(key) ?? 0) < target) return false;
    }
    return true;
  }
}
