import { assert } from '../base/assert.ts';
import { uuid } from '../base/random.ts';
import { parseIdentifier, type Table, type TableIdentifier } from '../catalog/catalog.ts';
import type { DataFile } from '../iceberg/data-file.ts';
import { epochAt } from '../kafka/leader-epochs.ts';
import type { AssignedPartition, RecordSet } from '../kafka/source.ts';
import { keyOf, type TopicPartitionKey } from '../kafka/topic-partition.ts';
import { isChosen } from '../kafka/topic-pattern.ts';
import type { AppendedTable } from '../lane/lane.ts';
import { type Claim, type TopicIdentity, topicIdentity } from './claims.ts';
import type { Ledger } from './ledger.ts';
import type { CommitTriggers, TableOptions } from './options.ts';
import type { Position } from './positions.ts';
import type { Flush, OffsetRange } from './table-commit.ts';

/**
 * What a worker knows of one table: where each topic-partition stands, what is filling and what is being committed.
 * Pure bookkeeping: no call in here waits for anything. The sink decides when to act on it.
 *
 * A topic-partition moves through a table like this (offsets grow to the right):
 *
 *     landed         in the flush        in the filling files      in the lane
 *     ------- claim start -------- entry.start ------- entry.next ------- entry.handed
 */
export interface Entry {
  readonly topicPartition: AssignedPartition;
  readonly lane: number;
  /** Where the claim that is filling takes up. */
  start: number;
  startEpoch: number | undefined;
  /** True while the table does not know the topic-partition. */
  initial: boolean;
  readonly replaces: TopicIdentity | undefined;
  /** Everything below is in files or was left out by policy. */
  next: number;
  /** Leader epoch of the record before `next`, where it is known. */
  epoch: number | undefined;
  /** Everything below was given to the lane. */
  handed: number;
  handedEpoch: number | undefined;
  /** Rows between `start` and `next`, their bytes, and when the first of them was received. */
  rowsFilling: number;
  bytesFilling: number;
  /** Records between `start` and `next` that policy left out. */
  tombstones: number;
  undecodable: number;
  oldestAtMs: number | undefined;
  /** Rows of the flush under way. */
  rowsFlushing: number;
  /** Everything below is in the table. */
  landed: number;
  landedEpoch: number | undefined;
  timestampMaxMs: number;
  /** While the table is absent: records below are being asked for its columns, and records below have told nothing. */
  asked: number;
  seen: number;
  seenEpoch: number | undefined;
}

export type Phase =
  /** Being loaded; nothing is handed to lanes. */
  | 'opening'
  /** It does not exist; the first record that has a schema makes it. */
  | 'absent'
  | 'ready';

/** A flush while lanes close their files, then while it is committed. */
export interface FlushUnderWay {
  readonly id: string;
  /** When its oldest row was received (monotonic). */
  readonly createdAtMs: number;
  readonly lanesPending: Set<number>;
  readonly files: DataFile[];
  readonly claims: Claim[];
  /** Of the claims' topics, as they were assigned. */
  readonly topicIds: Map<string, string>;
  readonly lost: OffsetRange[];
  /** Records of the claims that policy left out: `[key, tombstones, undecodable]`. */
  readonly leftOut: [TopicPartitionKey, number, number][];
  readonly truncated: OffsetRange[];
  watermarkMs: number | undefined;
  /** Dropped while lanes were still closing its files: it will not be committed. */
  abandoned: boolean;
}

/** A flush whose files are all closed, with the ids of the topics that it is about: later ones may have their names. */
export interface ClosedFlush extends Flush {
  readonly topicIds: ReadonlyMap<string, string>;
}

/** Position-only progress (control records, tombstones) goes into the table this seldom: it costs a snapshot. */
const quietFlushMs = 10 * 60_000;

export class TableWriter {
  readonly options: TableOptions;
  readonly identifier: TableIdentifier;
  phase: Phase = 'opening';
  /** The table as the lanes know it: schema and spec of staged files are its. */
  table: Table | undefined;
  readonly entries: Map<TopicPartitionKey, Entry> = new Map();
  flush: FlushUnderWay | undefined;
  /** Changes when everything unlanded is dropped: answers to what was asked before are for nobody. */
  generation = 0;
  /** It must be asked where to go on, as soon as no commit is under way. */
  reopen = false;
  /** It failed for good: nothing more is asked of it. */
  broken = false;
  /** Topic-partitions that are being opened. */
  readonly opening: Map<TopicPartitionKey, AssignedPartition> = new Map();
  /** When the table was last seen to agree with us: by a commit, or by looking. */
  seenAtMs = 0;
  /** Manifests of the table that cannot be merged with others. */
  readonly unmergeable: Set<string> = new Set();
  rows = 0;
  bytes = 0;
  #oldestAtMs: number | undefined;
  #quietSinceMs: number | undefined;
  #lost: OffsetRange[] = [];
  #truncated: OffsetRange[] = [];

  constructor(options: TableOptions) {
    this.options = options;
    this.identifier = parseIdentifier(options.table);
  }

  get name(): string {
    return this.options.table;
  }

  takes(topic: string): boolean {
    return isChosen(topic, this.options);
  }

  /** A topic-partition is ours and its position known. */
  place(topicPartition: AssignedPartition, lane: number, position: Position): void {
    const key = keyOf(topicPartition);
    const { offset, epoch, initial, replaces, truncatedAt } = position;
    if (truncatedAt !== undefined) this.#truncated.push([key, truncatedAt, offset]);
    this.opening.delete(key);
    this.entries.set(key, {
      topicPartition,
      lane,
      start: offset,
      startEpoch: epoch,
      initial,
      replaces,
      next: offset,
      epoch,
      handed: offset,
      handedEpoch: epoch,
      rowsFilling: 0,
      bytesFilling: 0,
      tombstones: 0,
      undecodable: 0,
      oldestAtMs: undefined,
      rowsFlushing: 0,
      landed: offset,
      landedEpoch: epoch,
      timestampMaxMs: -1,
      asked: offset,
      seen: offset,
      seenEpoch: epoch,
    });
  }

  /** A record set has gone into the lane; `epoch` is its last record's. */
  handed(key: TopicPartitionKey, next: number, epoch?: number): void {
    const entry = this.entries.get(key);
    if (!entry || next <= entry.handed) return;
    entry.handed = next;
    entry.handedEpoch = epoch;
  }

  /**
   * Whether a record set that passes the position has the very record before it that was read there: another table, which
   * is behind, may have it read again from a log that was cut meanwhile.
   */
  joins(key: TopicPartitionKey, { from, next, epochs }: RecordSet): boolean {
    const { handed, handedEpoch } = this.entries.get(key)!;
    if (handed <= from || handed > next || handedEpoch === undefined) return true;
    return (epochAt(epochs, handed - 1) ?? handedEpoch) === handedEpoch;
  }

  /** The lane has appended a record set that was received at `receivedAtMs`; `epoch` is its last record's. */
  appended(key: TopicPartitionKey, result: AppendedTable, receivedAtMs: number, epoch?: number): void {
    const entry = this.entries.get(key);
    if (!entry) return;
    const { records, rows, tombstones, undecodable } = result;
    assert(records === rows + tombstones + undecodable, `I10: records of ${key} are all accounted for`);
    assert(result.next >= entry.next, `I2: ${key} moves forward only`);
    const moved = result.next > entry.next;
    if (moved) entry.epoch = result.failure ? undefined : epoch;
    entry.next = result.next;
    // Behind a record that stopped the table nothing was taken, whatever was handed over.
    if (result.failure || result.next > entry.handed) {
      entry.handed = result.next;
      entry.handedEpoch = entry.epoch;
    }
    entry.rowsFilling += rows;
    entry.bytesFilling += result.bytes;
    entry.tombstones += tombstones;
    entry.undecodable += undecodable;
    entry.timestampMaxMs = Math.max(entry.timestampMaxMs, result.timestampMaxMs);
    this.rows += rows;
    this.bytes += result.bytes;
    if (rows > 0) {
      entry.oldestAtMs ??= receivedAtMs;
      this.#oldestAtMs ??= receivedAtMs;
    } else if (moved) {
      this.#quietSinceMs ??= receivedAtMs;
    }
  }

  /** Retention took `[from, to)` before it could be read; the claim goes on behind it. */
  skipLost(key: TopicPartitionKey, from: number, to: number): void {
    const entry = this.entries.get(key)!;
    assert(entry.handed === entry.next, `a lost range of ${key} begins behind what lanes have answered for`);
    assert(entry.handed <= to, `a lost range of ${key} ends behind what was read`);
    this.#lost.push([key, from, to]);
    entry.next = to;
    entry.handed = to;
    // A table that is not there yet need not wait for what will never come.
    entry.asked = Math.max(entry.asked, to);
    entry.seen = Math.max(entry.seen, to);
    // Of the last record that is lost.
    entry.epoch = undefined;
    entry.handedEpoch = undefined;
    this.#quietSinceMs = Number.NEGATIVE_INFINITY; // at once: what is lost is to be found in the table
  }

  /** When the commit triggers want a flush, as a time in ms; undefined: not before something changes. */
  dueAtMs(triggers: CommitTriggers): number | undefined {
    if (this.rows >= triggers.rows || this.bytes >= triggers.bytes) return 0;
    if (this.#oldestAtMs !== undefined) return this.#oldestAtMs + triggers.intervalMs;
    if (this.#quietSinceMs === undefined || !this.hasProgress) return undefined;
    return this.#quietSinceMs + quietFlushMs;
  }

  /** True when claims could move the ledger, with rows or without. */
  get hasProgress(): boolean {
    for (const entry of this.entries.values()) if (entry.next > entry.start) return true;
    return false;
  }

  /** True when nothing of the topic-partition waits to be landed or counted. */
  isSettled(key: TopicPartitionKey): boolean {
    return this.isForgettable(key) && (this.entries.get(key)?.rowsFlushing ?? 0) === 0;
  }

  /** True when no file that is filling holds rows of the topic-partition. */
  isForgettable(key: TopicPartitionKey): boolean {
    const entry = this.entries.get(key);
    return !entry || (entry.rowsFilling === 0 && entry.handed === entry.next);
  }

  /** True when the lane has answered for everything of the topic-partition that it was given. */
  isAnswered(key: TopicPartitionKey): boolean {
    const entry = this.entries.get(key);
    return !entry || entry.handed === entry.next;
  }

  /** True when lanes have answered for everything they were given. */
  get isQuiet(): boolean {
    for (const entry of this.entries.values()) if (entry.handed !== entry.next) return false;
    return true;
  }

  /** Below this every record has landed here or was left out: the group's offset may follow. */
  mirrorOffset(key: TopicPartitionKey): number | undefined {
    const entry = this.entries.get(key);
    if (!entry) return undefined;
    if (this.phase === 'absent') return entry.seen;
    return entry.rowsFilling === 0 && entry.rowsFlushing === 0 ? entry.next : entry.landed;
  }

  /** A record set of a table that is absent has told nothing. */
  told(key: TopicPartitionKey, { next, epochs }: RecordSet): void {
    const entry = this.entries.get(key);
    if (!entry || next <= entry.seen) return;
    entry.seen = next;
    entry.seenEpoch = epochAt(epochs, next);
  }

  /** The leader epoch of the record before a mirrored offset, where it is known. */
  epochBefore(key: TopicPartitionKey, offset: number): number | undefined {
    const entry = this.entries.get(key);
    if (!entry || this.mirrorOffset(key) !== offset) return undefined;
    if (this.phase === 'absent') return entry.seenEpoch;
    return offset === entry.next ? entry.epoch : entry.landedEpoch;
  }

  /** Whether the table's ledger is where these claims take up: nobody has rolled it back or written in our place. */
  agreesWith(ledger: Ledger | undefined): boolean {
    for (const [key, { topicPartition, initial, replaces, start }] of this.entries) {
      const identity = ledger && topicIdentity(ledger, topicPartition.topic);
      // Where the topic that it replaces still stands, nothing has been landed of the present one.
      const isReplaced = replaces !== undefined && identity === replaces;
      const next = isReplaced ? undefined : ledger?.next.get(key);
      if (next !== (initial ? undefined : start)) return false;
    }
    return true;
  }

  /** I5: one flush at a time. @returns the lanes that must close their files. */
  beginFlush(random: Parameters<typeof uuid>[0], nowMs: number): readonly number[] {
    assert(!this.flush && this.phase === 'ready', 'I5: at most one commit in flight per table');
    const lanes = new Set([...this.entries.values()].map((entry) => entry.lane));
    assert(lanes.size > 0, 'a flush has something to flush');
    this.flush = {
      id: uuid(random),
      createdAtMs: this.#oldestAtMs ?? nowMs,
      lanesPending: lanes,
      files: [],
      claims: [],
      topicIds: new Map(),
      lost: [],
      leftOut: [],
      truncated: [],
      watermarkMs: undefined,
      abandoned: false,
    };
    this.#quietSinceMs = undefined;
    return [...lanes];
  }

  /** A lane has closed files of a flush that was dropped meanwhile. @returns true when it was the last lane. */
  laneAbandoned(lane: number): boolean {
    this.flush!.lanesPending.delete(lane);
    if (this.flush!.lanesPending.size > 0) return false;
    this.flush = undefined;
    return true;
  }

  /**
   * A lane has closed its files. What it had appended until then, and nothing else, is in them: its topic-partitions'
   * claims are taken at this moment.
   * @returns the whole flush when this was the last lane.
   */
  laneFlushed(lane: number, files: readonly DataFile[]): ClosedFlush | undefined {
    const flush = this.flush!;
    let rows = 0;
    for (const [key, entry] of this.entries) {
      if (entry.lane !== lane) continue;
      rows += entry.rowsFilling;
      if (entry.next === entry.start) continue;
      const { topic, topicId } = entry.topicPartition;
      assert((flush.topicIds.get(topic) ?? topicId) === topicId, `one flush has one topic ${topic}`);
      flush.topicIds.set(topic, topicId);
      const { start, startEpoch, next, epoch, initial, replaces } = entry;
      flush.claims.push({ key, start, startEpoch, next, epoch, initial, replaces });
      const { tombstones, undecodable } = entry;
      if (tombstones + undecodable > 0) flush.leftOut.push([key, tombstones, undecodable]);
      if (entry.timestampMaxMs >= 0)
        flush.watermarkMs = Math.min(flush.watermarkMs ?? Number.POSITIVE_INFINITY, entry.timestampMaxMs);
      entry.start = entry.next;
      entry.startEpoch = entry.epoch;
      entry.initial = false;
      this.rows -= entry.rowsFilling;
      this.bytes -= entry.bytesFilling;
      entry.rowsFlushing = entry.rowsFilling;
      entry.rowsFilling = 0;
      entry.bytesFilling = 0;
      entry.tombstones = 0;
      entry.undecodable = 0;
      entry.oldestAtMs = undefined;
    }
    // The ranges that these claims pass over, also those of a moment ago.
    const isOfLane = ([key]: OffsetRange): boolean => this.entries.get(key)?.lane === lane;
    flush.lost.push(...this.#lost.filter(isOfLane));
    this.#lost = this.#lost.filter((range) => !isOfLane(range));
    const claimed = new Set(flush.claims.map(({ key }) => key));
    flush.truncated.push(...this.#truncated.filter(([key]) => claimed.has(key)));
    this.#truncated = this.#truncated.filter(([key]) => !claimed.has(key));
    this.#oldestAtMs = this.#findOldest();
    const inFiles = files.reduce((sum, file) => sum + file.recordCount, 0);
    assert(inFiles === rows, `I10: lane ${lane} was given ${rows} rows, its files have ${inFiles}`);
    flush.files.push(...files);
    flush.lanesPending.delete(lane);
    if (flush.lanesPending.size > 0) return undefined;
    const { lanesPending, abandoned, ...closed } = flush;
    return { ...closed, table: this.table! };
  }

  #findOldest(): number | undefined {
    let oldest: number | undefined;
    for (const { oldestAtMs } of this.entries.values())
      if (oldestAtMs !== undefined && (oldest === undefined || oldestAtMs < oldest)) oldest = oldestAtMs;
    return oldest;
  }

  /** The flush is in the table. */
  landed(flush: Flush): void {
    this.flush = undefined;
    for (const claim of flush.claims) {
      const entry = this.entries.get(claim.key);
      if (!entry) continue;
      entry.landed = claim.next;
      entry.landedEpoch = claim.epoch;
      entry.rowsFlushing = 0;
    }
  }

  /** Forgets all that has not landed; every topic-partition is to be placed again. */
  drop(): void {
    this.generation++;
    this.phase = 'opening';
    this.reopen = true;
    if (this.flush && this.flush.lanesPending.size > 0) this.flush.abandoned = true;
    for (const [key, entry] of this.entries) this.opening.set(key, entry.topicPartition);
    this.entries.clear();
    this.rows = 0;
    this.bytes = 0;
    this.#oldestAtMs = undefined;
    this.#quietSinceMs = undefined;
    this.#lost = [];
    this.#truncated = [];
  }

  /** The topic-partition is no longer ours. */
  forget(key: TopicPartitionKey): void {
    this.opening.delete(key);
    this.entries.delete(key);
    this.#lost = this.#lost.filter(([ofKey]) => ofKey !== key);
    this.#truncated = this.#truncated.filter(([ofKey]) => ofKey !== key);
  }

  /** Bytes in files that wait for their commit. */
  get stagedBytes(): number {
    return this.flush?.files.reduce((sum, file) => sum + file.fileSizeBytes, 0) ?? 0;
  }
}
