import type { RetryPolicy } from '../base/retry.ts';
import type { DataFile } from '../iceberg/data-file.ts';
import { mainBranch } from '../iceberg/metadata.ts';
import type { Assignment } from './assignment.ts';
import type { SinkContext, SinkEvent } from './context.ts';
import type { Ledger } from './ledger.ts';
import { readLedger } from './positions.ts';
import { commitFlush } from './table-commit.ts';
import type { TableWriter } from './table-writer.ts';

/** The catalog may be away this long before the pipeline gives up; records wait in Kafka meanwhile. */
const commitPolicy: RetryPolicy = {
  attemptsMax: 10_000,
  totalMs: 15 * 60_000,
  waitMinMs: 100,
  waitMaxMs: 10_000,
};

/** How long a table may go unseen. */
const lookIntervalMs = 5 * 60_000;

/** Flushes and commits: when they are due, and what becomes of them. */
export class LandingStage {
  readonly #context: SinkContext;
  readonly #assignment: Assignment;

  constructor(context: SinkContext, assignment: Assignment) {
    this.#context = context;
    this.#assignment = assignment;
  }

  /**
   * A table that was not committed for long is looked at: on a quiet topic nothing else would notice that it was rolled
   * back, dropped or made anew.
   */
  look(writer: TableWriter, nowMs: number): void {
    if (writer.broken || writer.phase !== 'ready' || writer.flush || writer.entries.size === 0) return;
    if (nowMs - writer.seenAtMs < lookIntervalMs) return;
    const { ports, options } = this.#context;
    writer.seenAtMs = nowMs;
    this.#context.task(writer, readLedger(writer.table!, writer.options, options, ports), (ledger) => ({
      type: 'looked',
      writer,
      atMs: nowMs,
      ledger,
    }));
  }

  onLooked(writer: TableWriter, atMs: number, ledger: Ledger | undefined): void {
    // A commit that began or ended meanwhile has asked the ledger itself.
    if (writer.seenAtMs !== atMs || writer.flush || writer.phase !== 'ready' || writer.agreesWith(ledger))
      return;
    this.#context.ports.log.warn('the ledger is not where it was left; starting over from it', {
      table: writer.name,
    });
    this.#assignment.drop(writer, 'its ledger moved behind our back');
  }

  /** Starts a flush if the table wants one and none is under way (I5). `final`: a run ends, its ledger should be whole. */
  advance(writer: TableWriter, nowMs: number, final: boolean): void {
    if (writer.broken || writer.phase !== 'ready' || writer.flush || !this.#isDue(writer, nowMs, final))
      return;
    const lanes = writer.beginFlush(this.#context.ports.random, nowMs);
    for (const lane of lanes)
      this.#context.inLane(
        lane,
        (to) => to.flush(writer.name),
        ({ files, heldBytes }) => ({ type: 'laneFlushed', writer, lane, files, heldBytes }),
      );
  }

  #isDue(writer: TableWriter, nowMs: number, final: boolean): boolean {
    const { state, budget, options } = this.#context;
    if (writer.rows > 0) {
      if (state === 'draining' || final || this.#assignment.awaits(writer)) return true;
      if (budget.isTight && this.#isLargest(writer)) return true;
    }
    if (final && writer.isQuiet && writer.hasProgress) return true;
    if (state === 'draining') return false;
    const dueAtMs = writer.dueAtMs(options.commit);
    return dueAtMs !== undefined && nowMs >= dueAtMs;
  }

  #isLargest(writer: TableWriter): boolean {
    return this.#context.writers.every((other) => other.flush || other.bytes <= writer.bytes);
  }

  onLaneFlushed(writer: TableWriter, lane: number, files: DataFile[], heldBytes: number): void {
    const { ports, budget, options } = this.#context;
    budget.laneHolds(lane, heldBytes);
    if (writer.flush!.abandoned) return this.#abandon(writer, lane, files);
    const closed = writer.laneFlushed(lane, files);
    if (!closed) return;
    const startedAtMs = ports.clock.monotonicMs();
    // Cleaners of orphans go by the time of day.
    const flush = { ...closed, createdAtMs: ports.clock.nowMs() - (startedAtMs - closed.createdAtMs) };
    const commitOptions = {
      pipeline: options.pipeline,
      worker: options.worker,
      branch: mainBranch,
      origin: { clusterId: this.#context.clusterId, topicIds: closed.topicIds },
      onRollback: writer.options.onRollback,
      engineVersion: options.engineVersion,
      policy: commitPolicy,
      leftAlone: writer.unmergeable,
    };
    this.#context.task(writer, commitFlush(flush, commitOptions, ports), (landing) => ({
      type: 'landing',
      writer,
      flush,
      landing,
      startedAtMs,
    }));
  }

  /** No attempt has named these files, so they are certainly nobody's (I4); nor those that other lanes closed before. */
  #abandon(writer: TableWriter, lane: number, files: readonly DataFile[]): void {
    for (const file of [...files, ...writer.flush!.files.splice(0)])
      void this.#context.ports.store.delete(file.path).catch(() => {});
    writer.laneAbandoned(lane);
  }

  /** The lane will not close its files; the table was dropped. */
  laneDied(writer: TableWriter, lane: number): void {
    if (writer.flush?.lanesPending.has(lane)) this.#abandon(writer, lane, []);
  }

  onLanding({ writer, flush, landing, startedAtMs }: Extract<SinkEvent, { type: 'landing' }>): void {
    const { ports, totals } = this.#context;
    const nowMs = ports.clock.monotonicMs();
    if (landing.type === 'landed') {
      writer.landed(flush);
      writer.seenAtMs = nowMs;
      totals.landed(flush, nowMs);
      ports.log.info('committed', {
        table: writer.name,
        snapshot: String(landing.snapshotId),
        rows: flush.files.reduce((sum, file) => sum + file.recordCount, 0),
        files: flush.files.length,
        attempts: landing.attempts,
        ms: nowMs - startedAtMs,
      });
      return;
    }
    writer.flush = undefined;
    totals.refused(landing);
    const reason =
      landing.type === 'fenced'
        ? 'fenced: others have landed these offsets; starting over from the ledger'
        : 'files are too old to be committed safely; their records are read again';
    ports.log.warn(reason, { table: writer.name, partitions: flush.claims.map((claim) => claim.key) });
    this.#assignment.drop(writer, landing.type);
  }
}
