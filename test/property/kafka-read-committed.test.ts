import fc from 'fast-check';
import { expect, test } from 'vitest';
import { type AbortedTransaction, summarize } from '../../src/kafka/record-set.ts';
import { writeBatch } from '../../src/kafka/write-batch.ts';
import { baseTimestamp, marker, offsetsOf, readAll, records } from '../unit/kafka/record-sets.ts';

/** What producers do, one after the other. `cleaned`: compaction has removed all that the transaction wrote. */
type Action =
  | { kind: 'plain'; count: number; keep: number }
  | { kind: 'send'; producer: number; count: number; keep: number }
  | { kind: 'end'; producer: number; commits: boolean; cleaned: boolean };

interface Transaction {
  producerId: bigint;
  firstOffset: number;
  /** Offset of its marker, once it has ended. */
  endOffset: number;
  committed: boolean;
  cleaned: boolean;
}

interface LoggedBatch {
  base: number;
  next: number;
  /** Undefined for a marker. */
  kept: number[] | undefined;
  producerId: bigint | undefined;
  transaction: Transaction | undefined;
}

/** A partition of a broker: the log, and what it knows of transactions. */
class Log {
  readonly batches: LoggedBatch[] = [];
  readonly transactions: Transaction[] = [];
  readonly #open = new Map<number, Transaction>();
  end = 0;

  do(action: Action): void {
    switch (action.kind) {
      case 'plain':
        return this.#append(action.count, action.keep, undefined, undefined);
      case 'send': {
        let transaction = this.#open.get(action.producer);
        if (!transaction) {
          transaction = {
            producerId: BigInt(action.producer),
            firstOffset: this.end,
            endOffset: Number.POSITIVE_INFINITY,
            committed: false,
            cleaned: false,
          };
          this.#open.set(action.producer, transaction);
          this.transactions.push(transaction);
        }
        return this.#append(action.count, action.keep, transaction.producerId, transaction);
      }
      case 'end': {
        const transaction = this.#open.get(action.producer);
        if (!transaction) return;
        this.#open.delete(action.producer);
        const { commits, cleaned } = action;
        Object.assign(transaction, { endOffset: this.end, committed: commits, cleaned });
        const { producerId } = transaction;
        this.batches.push({ base: this.end, next: this.end + 1, kept: undefined, producerId, transaction });
        this.end++;
      }
    }
  }

  #append(count: number, keep: number, producerId: bigint | undefined, transaction: Transaction | undefined) {
    const offsets = Array.from({ length: count }, (_, i) => this.end + i);
    const kept = offsets.filter((_, i) => (keep >> i) & 1);
    this.batches.push({ base: this.end, next: this.end + count, kept, producerId, transaction });
    this.end += count;
  }

  /** Where the first transaction begins that is open while the log ends at `end`. */
  lastStableOffset(end: number): number {
    const open = this.transactions.filter(
      ({ firstOffset, endOffset }) => firstOffset < end && endOffset >= end,
    );
    return Math.min(end, ...open.map(({ firstOffset }) => firstOffset));
  }

  /** The offsets that a reader of committed records must see. */
  visible(from: number, to: number): number[] {
    return this.batches
      .filter(
        ({ kept, transaction }) => kept && (!transaction || (transaction.committed && !transaction.cleaned)),
      )
      .flatMap(({ kept }) => kept!)
      .filter((offset) => from <= offset && offset < to);
  }

  /** `kafka.log.TransactionIndex.collectAbortedTxns`, in the order in which transactions ended. */
  abortedIndex(from: number, upTo: number, end: number): AbortedTransaction[] | null {
    const found = this.transactions
      .filter(({ committed, cleaned, endOffset }) => !committed && !cleaned && endOffset < end)
      .filter(({ firstOffset, endOffset }) => endOffset >= from && firstOffset < upTo)
      .sort((a, b) => a.endOffset - b.endOffset);
    if (found.length === 0) return null;
    return found.map(({ producerId, firstOffset }) => ({ producerId, firstOffset }));
  }
}

/** The batch as it lies in the log, perhaps after compaction; undefined when nothing of it is left. */
function encode(batch: LoggedBatch): Buffer | undefined {
  const { base, next, kept, producerId, transaction } = batch;
  const cleaned = transaction?.cleaned === true;
  if (!kept) {
    const type = transaction!.committed ? 'commit' : 'abort';
    if (!cleaned) return marker(base, producerId!, type);
    // An empty batch stays for as long as it is the producer's last one.
    if (base % 2 === 0) return undefined;
    return writeBatch(
      { baseOffset: base, baseTimestamp, producerId: producerId!, transactional: true, control: true },
      [],
    );
  }
  const left = cleaned ? [] : kept;
  if (left.length === 0 && base % 2 === 0) return undefined;
  return writeBatch(
    {
      baseOffset: base,
      baseTimestamp,
      lastOffsetDelta: next - 1 - base,
      ...(producerId === undefined ? {} : { producerId, transactional: true }),
    },
    left.flatMap((offset) => records(1, offset - base)),
  );
}

/** How one fetch goes: how much of the log is there already, how much of it is answered, from where it is read. */
interface Fetch {
  grown: number;
  batches: number;
  cut: number;
  indexBeyond: boolean;
  readFrom: number;
}

const someRecords = { count: fc.integer({ min: 1, max: 4 }), keep: fc.constantFrom(15, 15, 15, 0, 5, 10, 8) };
const producer = fc.integer({ min: 1, max: 5 });
const action: fc.Arbitrary<Action> = fc.oneof(
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('plain' as const), ...someRecords }) },
  { weight: 4, arbitrary: fc.record({ kind: fc.constant('send' as const), producer, ...someRecords }) },
  {
    weight: 3,
    arbitrary: fc.record({
      kind: fc.constant('end' as const),
      producer,
      commits: fc.boolean(),
      cleaned: fc.integer({ min: 0, max: 7 }).map((n) => n === 0),
    }),
  },
);
const fetch: fc.Arbitrary<Fetch> = fc.record({
  grown: fc.integer({ min: 0, max: 12 }),
  batches: fc.integer({ min: 1, max: 12 }),
  cut: fc.double({ min: 0, max: 1, noNaN: true }),
  indexBeyond: fc.boolean(),
  readFrom: fc.oneof(fc.constant(0), fc.integer({ min: 0, max: 30 })),
});

test('exactly the committed records are seen, however a log is written and cut into fetches', () => {
  fc.assert(
    fc.property(
      fc.array(action, { minLength: 1, maxLength: 60, size: 'max' }),
      fc.array(fetch, { minLength: 1, maxLength: 10, size: 'max' }),
      (actions, fetches) => {
        const log = new Log();
        const ends = actions.map((done) => {
          log.do(done);
          return log.end;
        });
        const encoded = log.batches.map((batch) => ({ ...batch, bytes: encode(batch) }));
        const present = encoded.filter(({ bytes }) => bytes !== undefined);
        let position = 0;
        let written = 0;
        for (let i = 0; written < actions.length - 1 || i < fetches.length; i++) {
          const { grown, batches, cut, indexBeyond, readFrom } = fetches[i % fetches.length]!;
          written = Math.min(actions.length - 1, written + grown + (i >= fetches.length ? 1 : 0));
          const end = ends[written]!;
          const stable = log.lastStableOffset(end);
          const rest = present.filter(({ base, next }) => next > position && base < stable);
          const answered = rest.slice(0, batches);
          if (answered.length === 0) continue;
          const following = rest[batches];
          const set = Buffer.concat([
            ...answered.map(({ bytes }) => bytes!),
            following
              ? following.bytes!.subarray(0, Math.floor(cut * following.bytes!.length * 0.99))
              : Buffer.alloc(0),
          ]);
          const upTo = indexBeyond ? stable : answered.at(-1)!.next;
          const aborted = log.abortedIndex(position, upTo, end);
          const { next } = summarize(set, position);
          expect(next).toBe(answered.at(-1)!.next);
          // A reader may begin further on than the fetch: another table of the same topic was behind.
          const from = Math.min(next, position + readFrom);
          const read = readAll(set, from, aborted);
          expect(offsetsOf(read)).toEqual(log.visible(from, next));
          expect(read.next).toBe(next);
          position = next;
        }
      },
    ),
    { numRuns: 2000 },
  );
});
