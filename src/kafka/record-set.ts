import { crc32c } from '@node-rs/crc32';
import { FatalError, messageOf } from '../base/errors.ts';
import { batchBytesMaxDefault, decompress, tooLarge } from './codec.ts';
import type { EpochStart } from './leader-epochs.ts';
import { RecordColumns } from './record-columns.ts';

/**
 * Reads record sets, the run of record batches that a fetch answers with for one partition
 * (Kafka documentation "Message Format", version 2), into columns.
 */

/** A transaction that was aborted: `producerId`'s transactional batches from `firstOffset` on, up to its abort marker. */
export interface AbortedTransaction {
  producerId: bigint;
  firstOffset: number;
}

// Positions in a batch header.
const at = {
  batchLength: 8,
  leaderEpoch: 12,
  magic: 16,
  crc: 17,
  attributes: 21,
  lastOffsetDelta: 23,
  baseTimestamp: 27,
  maxTimestamp: 35,
  producerId: 43,
  recordCount: 57,
} as const;
const headerLength = 61;
/** Bytes before the part that `batchLength` counts. */
const lengthPrefix = 12;

/** Bytes that no broker has written so, or of a format from before: when they come again, it was not the way here. */
export class DamagedError extends FatalError {}

const attribute = { codec: 0x07, logAppendTime: 0x08, transactional: 0x10, control: 0x20 } as const;
const abortMarker = 0;

/** What can be told of a record set from its batch headers alone, which is cheap enough for the thread that fetches. */
export interface RecordSetSummary {
  /** The offset to fetch next: past the last whole batch, `from` when there is none. */
  next: number;
  /** Records in whole batches, including those that a reader will not see. */
  records: number;
  /** Of the first record of the first batch (of the batch, where the broker sets timestamps), and the greatest; -1 for none. */
  firstTimestampMs: number;
  timestampMaxMs: number;
  /** Who led the partition when the batches were written, by their order. */
  epochs: EpochStart[];
}

/**
 * Walks the batch headers of `set`, fetched from offset `from`.
 * @throws {DamagedError} for lengths that cannot be, and old message formats; @throws {FatalError} for a batch of more than
 * `batchBytesMax`.
 */
export function summarize(
  set: Buffer,
  from: number,
  batchBytesMax: number = batchBytesMaxDefault,
): RecordSetSummary {
  let next = from;
  let records = 0;
  let firstTimestampMs = -1;
  let timestampMaxMs = -1;
  const epochs: EpochStart[] = [];
  for (let position = 0; ; ) {
    const end = batchEnd(set, position);
    if (end === undefined) return { next, records, firstTimestampMs, timestampMaxMs, epochs };
    const offset = readOffset(set, position);
    if (end - position > batchBytesMax)
      throw new FatalError(`the record batch at offset ${offset}: ${tooLarge(batchBytesMax).message}`);
    const epoch = set.readInt32BE(position + at.leaderEpoch);
    if ((epochs.at(-1)?.epoch ?? -1) !== epoch) epochs.push({ offset, epoch });
    next = Math.max(next, offset + set.readInt32BE(position + at.lastOffsetDelta) + 1);
    records += set.readInt32BE(position + at.recordCount);
    if (position === 0) firstTimestampMs = Number(set.readBigInt64BE(position + at.baseTimestamp));
    timestampMaxMs = Math.max(timestampMaxMs, Number(set.readBigInt64BE(position + at.maxTimestamp)));
    position = end;
  }
}

/** Offsets [from, next) of a set's control batches: markers at the end of transactions, which are nobody's records. */
export function controlRanges(set: Buffer): { from: number; next: number }[] {
  const found: { from: number; next: number }[] = [];
  for (let position = 0; ; ) {
    const end = batchEnd(set, position);
    if (end === undefined) return found;
    const from = readOffset(set, position);
    if ((set.readInt16BE(position + at.attributes) & attribute.control) !== 0)
      found.push({ from, next: from + set.readInt32BE(position + at.lastOffsetDelta) + 1 });
    position = end;
  }
}

/** Where the batch at `position` ends; undefined when it is not whole: the broker cuts record sets at a size. */
function batchEnd(set: Buffer, position: number): number | undefined {
  // First of all: in all formats it is in the same place, and older ones have shorter headers.
  const magic = set[position + at.magic];
  if (magic === undefined) return undefined;
  if (magic !== 2)
    throw new DamagedError(
      `message format v${magic} is not supported: the topic holds records from before Kafka 0.11`,
    );
  const length = set.readInt32BE(position + at.batchLength);
  if (length < headerLength - lengthPrefix)
    throw new DamagedError(`a record batch claims a length of ${length} bytes`);
  const end = position + lengthPrefix + length;
  return end > set.length ? undefined : end;
}

function readOffset(set: Buffer, position: number): number {
  return set.readUInt32BE(position) * 4294967296 + set.readUInt32BE(position + 4);
}

/**
 * Reads the batches of a record set one after the other.
 *
 * With a list of aborted transactions (read_committed) their records are left out, as the Java consumer does
 * (`CompletedFetch.nextFetchedRecord`): the index of the answer, sorted by first offset, says when a producer enters the
 * aborted set; its abort marker takes it out again. A producer may enter several times, and its marker may lie in a later
 * answer, whose index then names the transaction again.
 */
export class RecordSetReader {
  /** The records of the batch that {@link read} stopped at; reused by the next call. */
  readonly columns: RecordColumns = new RecordColumns();
  /** Every offset below has been read or left out for good. */
  next: number;
  readonly #set: Buffer;
  readonly #from: number;
  readonly #aborted: readonly AbortedTransaction[] | null;
  readonly #batchBytesMax: number;
  #abortedNext = 0;
  readonly #abortedProducers = new Set<bigint>();
  #position = 0;
  /** Past the last offset of the batch before. */
  #batchNext = 0;

  constructor(
    set: Buffer,
    from: number,
    aborted: readonly AbortedTransaction[] | null,
    batchBytesMax: number = batchBytesMaxDefault,
  ) {
    this.#batchBytesMax = batchBytesMax;
    this.#set = set;
    this.#from = from;
    this.next = from;
    this.#aborted = aborted && [...aborted].sort((a, b) => a.firstOffset - b.firstOffset);
  }

  /**
   * Reads on to the next batch with visible records. @returns false when there is none.
   * @throws {FatalError} when a batch is damaged: its checksum or its inner lengths are wrong.
   */
  read(): boolean {
    for (;;) {
      const start = this.#position;
      const end = batchEnd(this.#set, start);
      if (end === undefined) return false;
      this.#position = end;
      const base = readOffset(this.#set, start);
      try {
        if (this.#take(start, end, base)) return true;
      } catch (error) {
        throw new FatalError(`reading the record batch at offset ${base}: ${messageOf(error)}`, {
          cause: error,
        });
      }
    }
  }

  /** Takes the batch at `start`. @returns whether it has records to be seen. */
  #take(start: number, end: number, base: number): boolean {
    const set = this.#set;
    // Also of batches that are left out: a damaged flag must not hide records.
    const stored = set.readUInt32BE(start + at.crc);
    const computed = crc32c(set.subarray(start + at.attributes, end));
    if (stored !== computed) throw new FatalError(`checksum is ${computed}, the batch says ${stored}`);
    const last = base + set.readInt32BE(start + at.lastOffsetDelta);
    // The base offset is outside of the checksum.
    if (base < this.#batchNext || last < base)
      throw new FatalError(`it ends at offset ${last}, the one before it at ${this.#batchNext - 1}`);
    this.#batchNext = last + 1;
    // Even before `from`: an abort marker there ends a transaction that the index names.
    const skipped = this.#isSkipped(start, end, last);
    if (last < this.#from) return false;
    if (!skipped) this.#readBatch(start, end, base, last);
    this.next = last + 1;
    return !skipped && this.columns.count > 0;
  }

  /** True for control batches and, in read_committed, for data of aborted transactions. Keeps the aborted set. */
  #isSkipped(start: number, end: number, last: number): boolean {
    const set = this.#set;
    const attributes = set.readInt16BE(start + at.attributes);
    const control = (attributes & attribute.control) !== 0;
    if (!this.#aborted) return control;
    while (this.#abortedNext < this.#aborted.length && this.#aborted[this.#abortedNext]!.firstOffset <= last)
      this.#abortedProducers.add(this.#aborted[this.#abortedNext++]!.producerId);
    const producer = set.readBigInt64BE(start + at.producerId);
    if (control) {
      // Compaction may have left an empty batch of a marker, once all records of its transaction were gone.
      const empty = set.readInt32BE(start + at.recordCount) === 0;
      if (!empty && controlType(set.subarray(start + headerLength, end)) === abortMarker)
        this.#abortedProducers.delete(producer);
      return true;
    }
    return (attributes & attribute.transactional) !== 0 && this.#abortedProducers.has(producer);
  }

  #readBatch(start: number, end: number, base: number, last: number): void {
    const set = this.#set;
    const attributes = set.readInt16BE(start + at.attributes);
    const codec = attributes & attribute.codec;
    const body = set.subarray(start + headerLength, end);
    const bytes = codec === 0 ? body : decompress(codec, body, this.#batchBytesMax);
    const logAppendTime = (attributes & attribute.logAppendTime) !== 0;
    readRecords(this.columns, bytes, set.readInt32BE(start + at.recordCount), {
      baseOffset: base,
      lastOffset: last,
      from: this.#from,
      baseTimestamp: Number(set.readBigInt64BE(start + at.baseTimestamp)),
      logAppendTimestamp: logAppendTime ? Number(set.readBigInt64BE(start + at.maxTimestamp)) : undefined,
    });
  }
}

/** The type in a control record's key: int16 version, int16 type (0 abort, 1 commit). */
function controlType(records: Buffer): number {
  const cursor = { position: 0 };
  varint(records, cursor); // length
  cursor.position++; // attributes
  varint(records, cursor); // timestamp delta
  varint(records, cursor); // offset delta
  varint(records, cursor); // key length
  return records.readInt16BE(cursor.position + 2);
}

interface BatchFrame {
  baseOffset: number;
  lastOffset: number;
  /** Records below are left out: a batch may start before the offset that was asked for. */
  from: number;
  baseTimestamp: number;
  logAppendTimestamp: number | undefined;
}

function readRecords(columns: RecordColumns, bytes: Buffer, recordCount: number, frame: BatchFrame): void {
  // The shortest record takes 7 bytes: a count beyond that is damage, not a reason to allocate.
  if (recordCount < 0 || recordCount > bytes.length / 7 + 1)
    throw new FatalError(`it claims ${recordCount} records`);
  columns.reserve(recordCount);
  columns.bytes = bytes;
  columns.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const {
    offsets,
    timestamps,
    keyStarts,
    keyLengths,
    valueStarts,
    valueLengths,
    headerStarts,
    headerCounts,
  } = columns;
  const cursor = { position: 0 };
  let n = 0;
  let previous = frame.baseOffset - 1;
  for (let i = 0; i < recordCount; i++) {
    const length = varint(bytes, cursor);
    const end = cursor.position + length;
    if (length < 0 || end > bytes.length) throw new FatalError(`record ${i} ends outside of its batch`);
    cursor.position++; // attributes, unused
    const timestamp = frame.baseTimestamp + varlong(bytes, cursor);
    const offset = frame.baseOffset + varint(bytes, cursor);
    const keyLength = varint(bytes, cursor);
    const keyStart = cursor.position;
    if (keyLength > 0) cursor.position += keyLength;
    const valueLength = varint(bytes, cursor);
    const valueStart = cursor.position;
    if (valueLength > 0) cursor.position += valueLength;
    const headerCount = varint(bytes, cursor);
    const headerStart = cursor.position;
    // A header takes two bytes at least.
    if (keyLength < -1 || valueLength < -1 || headerCount < 0 || headerStart + headerCount * 2 > end)
      throw new FatalError(`record ${i} has lengths that do not fit it`);
    if (offset <= previous || offset > frame.lastOffset)
      throw new FatalError(`record ${i} has offset ${offset} after ${previous}`);
    previous = offset;
    cursor.position = end;
    if (offset < frame.from) continue;
    offsets[n] = offset;
    timestamps[n] = frame.logAppendTimestamp ?? timestamp;
    keyStarts[n] = keyStart;
    keyLengths[n] = keyLength;
    valueStarts[n] = valueStart;
    valueLengths[n] = valueLength;
    headerStarts[n] = headerStart;
    headerCounts[n] = headerCount;
    n++;
  }
  if (cursor.position !== bytes.length)
    throw new FatalError(`${bytes.length - cursor.position} bytes are left behind its records`);
  columns.count = n;
}

interface Cursor {
  position: number;
}

/** A zigzag varint of up to 32 bits. Reading past the end yields zeros: the caller's length checks catch it. */
function varint(bytes: Buffer, cursor: Cursor): number {
  let byte = bytes[cursor.position++]!;
  let value = byte & 0x7f;
  for (let shift = 7; byte > 0x7f && shift < 35; shift += 7) {
    byte = bytes[cursor.position++]!;
    value |= (byte & 0x7f) << shift;
  }
  if (byte > 0x7f) throw new FatalError('a number is longer than 32 bits');
  return (value >>> 1) ^ -(value & 1);
}

/** A zigzag varint of up to 64 bits, as a number: exact within +-2^53, which timestamp deltas are. */
function varlong(bytes: Buffer, cursor: Cursor): number {
  const start = cursor.position;
  let byte = bytes[cursor.position++]!;
  if (byte < 0x80) return (byte >>> 1) ^ -(byte & 1);
  let value = byte & 0x7f;
  for (let scale = 128; byte > 0x7f && cursor.position - start < 10; scale *= 128) {
    byte = bytes[cursor.position++]!;
    value += (byte & 0x7f) * scale;
  }
  if (byte > 0x7f) throw new FatalError('a number is longer than 64 bits');
  return value % 2 === 0 ? value / 2 : -(value + 1) / 2;
}

/** A record's headers, decoded: for people, not for the hot path. */
export function readHeaders(columns: RecordColumns, index: number): { key: string; value: Buffer | null }[] {
  const { bytes } = columns;
  const cursor = { position: columns.headerStarts[index]! };
  const take = (): Buffer | null => {
    const length = varint(bytes, cursor);
    if (length < 0) return null;
    const taken = bytes.subarray(cursor.position, cursor.position + length);
    cursor.position += length;
    return taken;
  };
  return Array.from({ length: columns.headerCounts[index]! }, () => ({
    key: take()?.toString('utf8') ?? '',
    value: take(),
  }));
}
