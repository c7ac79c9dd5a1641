import type { EpochStart } from '../../src/kafka/leader-epochs.ts';
import type { AbortedTransaction } from '../../src/kafka/record-set.ts';
import { type BatchHeader, type BatchRecord, writeBatch } from '../../src/kafka/write-batch.ts';

/** What lies at an offset. Of all but rows a table must show nothing. */
export type Kind =
  | 'row'
  /** Compacted away, or a control record. */
  | 'hole'
  | 'tombstone'
  | 'undecodable'
  /** Of a transaction that was aborted. */
  | 'aborted';

interface Batch {
  base: number;
  next: number;
  bytes: Buffer;
}

interface Aborted extends AbortedTransaction {
  /** Offset of its abort marker. */
  lastOffset: number;
}

/** A record in some log, found again by the number in its value. */
export interface SimRecord {
  readonly log: PartitionLog;
  readonly offset: number;
}

/** What a log held before it was cut, or holds now. */
export interface History {
  readonly kinds: readonly Kind[];
  /** By offset: the number in the record's value. */
  readonly numbers: readonly number[];
  /** By offset: the epoch of the leader that wrote it. */
  readonly epochs: readonly number[];
}

/** One partition of one topic: batches as a broker keeps them, and what the simulator knows of their records. */
export class PartitionLog {
  /** Names the log for ever: a later topic of the same name has other logs. */
  readonly id: string;
  readonly topicId: string;
  readonly partition: number;
  /** First offset that is still retained. */
  start = 0;
  /** What it holds; another one after each cut. */
  present: { kinds: Kind[]; numbers: number[]; epochs: number[] } = { kinds: [], numbers: [], epochs: [] };
  /** What it held before each cut. */
  readonly past: History[] = [];
  /** Where it may be cut: no transaction is open there. */
  readonly #seams: number[] = [0];
  #epoch = 0;
  /** Where each leader took over. */
  #epochStarts: EpochStart[] = [{ offset: 0, epoch: 0 }];
  readonly #batches: Batch[] = [];
  readonly #aborted: Aborted[] = [];

  constructor(topicId: string, partition: number) {
    this.id = `${topicId}-${partition}`;
    this.topicId = topicId;
    this.partition = partition;
  }

  get kinds(): Kind[] {
    return this.present.kinds;
  }

  get numbers(): number[] {
    return this.present.numbers;
  }

  get end(): number {
    return this.kinds.length;
  }

  /** Offsets of rows in `[from, to)`. */
  rows(from: number, to: number): number[] {
    const offsets: number[] = [];
    for (let offset = from; offset < to; offset++) if (this.kinds[offset] === 'row') offsets.push(offset);
    return offsets;
  }

  /** Appends a batch of records of these kinds; `value` makes the bytes of a record. */
  append(
    kinds: readonly Kind[],
    header: Omit<BatchHeader, 'baseOffset' | 'lastOffsetDelta'>,
    value: (kind: Kind, offset: number) => { number: number; bytes: Uint8Array | null },
  ): void {
    const base = this.end;
    const records: BatchRecord[] = [];
    for (const [offsetDelta, kind] of kinds.entries()) {
      this.kinds.push(kind);
      this.present.epochs.push(this.#epoch);
      if (kind === 'hole') {
        this.numbers.push(-1);
        continue;
      }
      const { number, bytes } = value(kind, base + offsetDelta);
      this.numbers.push(number);
      records.push({ offsetDelta, timestampDelta: 0, key: null, value: bytes });
    }
    const placed = { baseOffset: base, lastOffsetDelta: kinds.length - 1, leaderEpoch: this.#epoch };
    this.#push(base, writeBatch({ ...header, ...placed }, records));
  }

  /** Ends a transaction of `producerId` that began at `firstOffset`. */
  appendMarker(producerId: bigint, firstOffset: number, commit: boolean, timestamp: number): void {
    const base = this.end;
    if (!commit) this.#aborted.push({ producerId, firstOffset, lastOffset: base });
    this.kinds.push('hole');
    this.numbers.push(-1);
    this.present.epochs.push(this.#epoch);
    const key = Buffer.from([0, 0, 0, commit ? 1 : 0]);
    const record = { offsetDelta: 0, timestampDelta: 0, key, value: Buffer.alloc(6) };
    const header = { baseOffset: base, baseTimestamp: timestamp, transactional: true, control: true };
    this.#push(base, writeBatch({ ...header, producerId, leaderEpoch: this.#epoch }, [record]));
  }

  /** Everything below is whole. */
  seam(): void {
    this.#seams.push(this.end);
  }

  /**
   * An unclean election: a replica leads that lacks the newest records.
   * @returns where the log ends now; undefined where it lacks nothing.
   */
  cut(back: number): number | undefined {
    const seams = this.#seams.filter((seam) => seam < this.end && seam >= this.start);
    const to = seams.at(-1 - (back % Math.max(1, seams.length)));
    if (to === undefined) return undefined;
    const { kinds, numbers, epochs } = this.present;
    this.past.push(this.present);
    this.present = { kinds: kinds.slice(0, to), numbers: numbers.slice(0, to), epochs: epochs.slice(0, to) };
    remove(this.#batches, ({ next }) => next > to);
    remove(this.#aborted, ({ lastOffset }) => lastOffset >= to);
    remove(this.#seams, (seam) => seam > to);
    this.#epoch++;
    this.#epochStarts = [
      ...this.#epochStarts.filter(({ offset }) => offset < to),
      { offset: to, epoch: this.#epoch },
    ];
    return to;
  }

  /** As OffsetForLeaderEpoch answers (`LeaderEpochFileCache.endOffsetFor`). */
  epochEnd(epoch: number): number {
    return this.#epochStarts.find((start) => start.epoch > epoch)?.offset ?? this.end;
  }

  /** The history in which the record before `next` is of this epoch; the present one where no epoch is known. */
  historyOf(next: number, epoch: number | undefined): History | undefined {
    if (epoch === undefined) return this.present;
    return [...this.past, this.present].findLast(
      ({ epochs }) => next <= epochs.length && epochs[next - 1] === epoch,
    );
  }

  #push(base: number, bytes: Buffer): void {
    this.#batches.push({ base, next: this.end, bytes });
  }

  /** Whole batches from the one with offset `from` on: as many as fit, one at least. */
  read(
    from: number,
    batchesMax: number,
    bytesMax: number,
  ):
    | {
        records: Uint8Array<ArrayBuffer>;
        next: number;
        aborted: AbortedTransaction[] | null;
        epochs: EpochStart[];
      }
    | undefined {
    let i = this.#batches.length;
    while (i > 0 && this.#batches[i - 1]!.next > from) i--;
    const taken: Batch[] = [];
    let bytes = 0;
    for (; i < this.#batches.length && taken.length < batchesMax; i++) {
      const batch = this.#batches[i]!;
      if (taken.length > 0 && bytes + batch.bytes.length > bytesMax) break;
      taken.push(batch);
      bytes += batch.bytes.length;
    }
    if (taken.length === 0) return undefined;
    const { next } = taken.at(-1)!;
    const aborted = this.#aborted.filter(
      ({ firstOffset, lastOffset }) => firstOffset < next && lastOffset >= taken[0]!.base,
    );
    const records = new Uint8Array(Buffer.concat(taken.map((batch) => batch.bytes)));
    const epochs = taken.map(({ base }) => ({ offset: base, epoch: this.present.epochs[base]! }));
    return { records, next, epochs, aborted: this.#aborted.length > 0 ? aborted : null };
  }
}

function remove<T>(from: T[], unwanted: (each: T) => boolean): void {
  for (let i = from.length - 1; i >= 0; i--) if (unwanted(from[i]!)) from.splice(i, 1);
}
