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

/** One partition of one topic: batches as a broker keeps them, and what the simulator knows of their records. */
export class PartitionLog {
  /** Names the log for ever: a later topic of the same name has other logs. */
  readonly id: string;
  readonly topicId: string;
  readonly partition: number;
  /** First offset that is still retained. */
  start = 0;
  readonly kinds: Kind[] = [];
  /** By offset: the number in the record's value. */
  readonly numbers: number[] = [];
  readonly #batches: Batch[] = [];
  readonly #aborted: Aborted[] = [];

  constructor(topicId: string, partition: number) {
    this.id = `${topicId}-${partition}`;
    this.topicId = topicId;
    this.partition = partition;
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
      if (kind === 'hole') {
        this.numbers.push(-1);
        continue;
      }
      const { number, bytes } = value(kind, base + offsetDelta);
      this.numbers.push(number);
      records.push({ offsetDelta, timestampDelta: 0, key: null, value: bytes });
    }
    this.#push(base, writeBatch({ ...header, baseOffset: base, lastOffsetDelta: kinds.length - 1 }, records));
  }

  /** Ends a transaction of `producerId` that began at `firstOffset`. */
  appendMarker(producerId: bigint, firstOffset: number, commit: boolean, timestamp: number): void {
    const base = this.end;
    if (!commit) this.#aborted.push({ producerId, firstOffset, lastOffset: base });
    this.kinds.push('hole');
    this.numbers.push(-1);
    const key = Buffer.from([0, 0, 0, commit ? 1 : 0]);
    const record = { offsetDelta: 0, timestampDelta: 0, key, value: Buffer.alloc(6) };
    const header = { baseOffset: base, baseTimestamp: timestamp, transactional: true, control: true };
    this.#push(base, writeBatch({ ...header, producerId }, [record]));
  }

  #push(base: number, bytes: Buffer): void {
    this.#batches.push({ base, next: this.end, bytes });
  }

  /** Whole batches from the one with offset `from` on: as many as fit, one at least. */
  read(
    from: number,
    batchesMax: number,
    bytesMax: number,
  ): { records: Uint8Array<ArrayBuffer>; next: number; aborted: AbortedTransaction[] | null } | undefined {
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
    return { records, next, aborted: this.#aborted.length > 0 ? aborted : null };
  }
}
