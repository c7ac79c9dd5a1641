import { crc32c } from '@node-rs/crc32';
import { type AbortedTransaction, RecordSetReader, readHeaders } from '../../../src/kafka/record-set.ts';
import { type BatchHeader, type BatchRecord, writeBatch } from '../../../src/kafka/write-batch.ts';

/** A record as tests compare it: bytes as hexadecimal digits. */
export interface Seen {
  offset: number;
  timestamp: number;
  key: string | null;
  value: string | null;
  headers: (readonly [string, string | null])[];
}

export interface Read {
  records: Seen[];
  next: number;
}

/** Everything a reader sees of a record set. */
export function readAll(set: Buffer, from = 0, aborted: readonly AbortedTransaction[] | null = null): Read {
  const reader = new RecordSetReader(set, from, aborted);
  const records: Seen[] = [];
  while (reader.read()) records.push(...seen(reader));
  return { records, next: reader.next };
}

/** The records of the batch that a reader stopped at. */
export function seen({ columns }: RecordSetReader): Seen[] {
  const hex = (start: number, length: number): string | null =>
    length < 0 ? null : columns.bytes.toString('hex', start, start + length);
  return Array.from({ length: columns.count }, (_, i) => ({
    offset: columns.offsets[i]!,
    timestamp: columns.timestamps[i]!,
    key: hex(columns.keyStarts[i]!, columns.keyLengths[i]!),
    value: hex(columns.valueStarts[i]!, columns.valueLengths[i]!),
    headers: readHeaders(columns, i).map(({ key, value }) => [key, value?.toString('hex') ?? null] as const),
  }));
}

/** What a reader must see of a batch. */
export function expected(header: BatchHeader, records: readonly BatchRecord[]): Seen[] {
  const hex = (bytes: Uint8Array | null): string | null => bytes && Buffer.from(bytes).toString('hex');
  const latest = Math.max(0, ...records.map((record) => record.timestampDelta));
  return records.map((record) => ({
    offset: header.baseOffset + record.offsetDelta,
    timestamp: header.baseTimestamp + (header.logAppendTime ? latest : record.timestampDelta),
    key: hex(record.key),
    value: hex(record.value),
    headers: (record.headers ?? []).map(([name, value]) => [name, hex(value)] as const),
  }));
}

/** `count` records with one byte of value each, at consecutive offsets. */
export function records(count: number, from = 0): BatchRecord[] {
  return Array.from({ length: count }, (_, i) => ({
    offsetDelta: from + i,
    timestampDelta: i,
    key: null,
    value: Buffer.of(i & 0xff),
  }));
}

export const baseTimestamp = 1_790_000_000_000;

/** A batch of `count` records from `baseOffset` on. */
export function batch(baseOffset: number, count: number, header: Partial<BatchHeader> = {}): Buffer {
  return writeBatch({ baseOffset, baseTimestamp, ...header }, records(count));
}

/** The end of a producer's transaction. */
export function marker(baseOffset: number, producerId: bigint, type: 'abort' | 'commit'): Buffer {
  const key = Buffer.of(0, 0, 0, type === 'abort' ? 0 : 1);
  const value = Buffer.alloc(6); // version, coordinator epoch
  return writeBatch({ baseOffset, baseTimestamp, producerId, transactional: true, control: true }, [
    { offsetDelta: 0, timestampDelta: 0, key, value },
  ]);
}

/** Puts a new checksum over a batch that was changed on purpose. */
export function sealed(batch: Buffer): Buffer {
  batch.writeUInt32BE(crc32c(batch.subarray(21, 12 + batch.readInt32BE(8))), 17);
  return batch;
}

/** Offsets alone, for tests that are about nothing else. */
export function offsetsOf(read: Read): number[] {
  return read.records.map((record) => record.offset);
}
