import type { AppendedTable } from '../lane/lane.ts';
import type { Flush, Landing } from './table-commit.ts';

/** What a run has done: the JSON summary of bounded runs. */
export interface SinkTotals {
  /** Records that were read and belonged to a table, once per table. */
  records: number;
  rows: number;
  tombstones: number;
  undecodable: number;
  /** Key and value bytes of the rows read. */
  bytes: number;
  files: number;
  fileBytes: number;
  snapshots: number;
  /** Flushes given up because others had landed their offsets. */
  fenced: number;
  seconds: number;
  /** Of a bounded run: whether everything up to its ends has landed, or it was stopped before. */
  caughtUp?: boolean;
}

export class Totals {
  readonly #startedAtMs: number;
  readonly counts: Omit<SinkTotals, 'seconds' | 'caughtUp'> = {
    records: 0,
    rows: 0,
    tombstones: 0,
    undecodable: 0,
    bytes: 0,
    files: 0,
    fileBytes: 0,
    snapshots: 0,
    fenced: 0,
  };
  /** When a commit last succeeded. */
  landedAtMs: number | undefined;

  constructor(startedAtMs: number) {
    this.#startedAtMs = startedAtMs;
  }

  read(result: AppendedTable): void {
    this.counts.records += result.records;
    this.counts.tombstones += result.tombstones;
    this.counts.undecodable += result.undecodable;
    this.counts.bytes += result.bytes;
  }

  landed(flush: Flush, nowMs: number): void {
    this.counts.snapshots++;
    this.counts.files += flush.files.length;
    for (const file of flush.files) {
      this.counts.rows += file.recordCount;
      this.counts.fileBytes += file.fileSizeBytes;
    }
    this.landedAtMs = nowMs;
  }

  refused(landing: Landing): void {
    if (landing.type === 'fenced') this.counts.fenced++;
  }

  summary(nowMs: number): SinkTotals {
    return { ...this.counts, seconds: Math.round(nowMs - this.#startedAtMs) / 1000 };
  }
}
