import { gzipSync, zstdCompressSync } from 'node:zlib';
import { crc32c } from '@node-rs/crc32';
import { lz4Compress, snappyCompress } from '@platformatic/wasm-utils';

/** A record to be written. Deltas are against the batch's base offset and timestamp. */
export interface BatchRecord {
  offsetDelta: number;
  timestampDelta: number;
  key: Uint8Array | null;
  value: Uint8Array | null;
  headers?: readonly (readonly [string, Uint8Array | null])[];
}

export interface BatchHeader {
  baseOffset: number;
  baseTimestamp: number;
  /** Offset of the last record that was ever in the batch: more than the records show, after compaction. */
  lastOffsetDelta?: number;
  codec?: 'none' | 'gzip' | 'snappy' | 'lz4' | 'zstd';
  transactional?: boolean;
  control?: boolean;
  logAppendTime?: boolean;
  producerId?: bigint;
  /** Of the leader that wrote it to its log. */
  leaderEpoch?: number;
}

const codecs = ['none', 'gzip', 'snappy', 'lz4', 'zstd'];
const headerLength = 61;

/** Writes one record batch of message format 2 (Kafka documentation "Record Batch"). */
export function writeBatch(header: BatchHeader, records: readonly BatchRecord[]): Buffer {
  const body = new RecordWriter();
  for (const record of records) body.record(record);
  const codec = records.length === 0 ? 'none' : (header.codec ?? 'none'); // as brokers write empty batches
  const compressed = compress(codec, body.bytes());
  const batch = Buffer.alloc(headerLength + compressed.length);
  batch.writeBigInt64BE(BigInt(header.baseOffset), 0);
  batch.writeInt32BE(batch.length - 12, 8);
  batch.writeInt32BE(header.leaderEpoch ?? -1, 12);
  batch[16] = 2;
  const flags =
    (header.logAppendTime ? 0x08 : 0) | (header.transactional ? 0x10 : 0) | (header.control ? 0x20 : 0);
  batch.writeInt16BE(codecs.indexOf(codec) | flags, 21);
  batch.writeInt32BE(header.lastOffsetDelta ?? Math.max(0, records.at(-1)?.offsetDelta ?? 0), 23);
  const lastTimestamp = records.reduce((max, record) => Math.max(max, record.timestampDelta), 0);
  batch.writeBigInt64BE(BigInt(header.baseTimestamp), 27);
  batch.writeBigInt64BE(BigInt(header.baseTimestamp + lastTimestamp), 35);
  batch.writeBigInt64BE(header.producerId ?? -1n, 43);
  batch.writeInt16BE(header.producerId === undefined ? -1 : 0, 51);
  batch.writeInt32BE(-1, 53);
  batch.writeInt32BE(records.length, 57);
  compressed.copy(batch, headerLength);
  batch.writeUInt32BE(crc32c(batch.subarray(21)), 17);
  return batch;
}

function compress(codec: string, bytes: Buffer): Buffer {
  switch (codec) {
    case 'gzip':
      return gzipSync(bytes);
    case 'snappy':
      return snappyCompress(bytes);
    case 'lz4':
      return lz4Compress(bytes);
    case 'zstd':
      return zstdCompressSync(bytes);
    default:
      return bytes;
  }
}

/** Encodes records behind each other into one growing buffer. */
class RecordWriter {
  #buffer = Buffer.alloc(64 * 1024);
  #length = 0;

  record(record: BatchRecord): void {
    const start = this.#length;
    this.#room(64 + (record.key?.length ?? 0) + (record.value?.length ?? 0));
    // The length comes first and is known last: the record is written behind room for it, then moved up.
    this.#length += 5;
    this.#buffer[this.#length++] = 0; // attributes
    this.#varint(record.timestampDelta);
    this.#varint(record.offsetDelta);
    this.#field(record.key);
    this.#field(record.value);
    this.#varint(record.headers?.length ?? 0);
    for (const [name, value] of record.headers ?? []) {
      this.#field(Buffer.from(name));
      this.#field(value);
    }
    const end = this.#length;
    this.#length = start;
    this.#varint(end - start - 5);
    this.#buffer.copyWithin(this.#length, start + 5, end);
    this.#length += end - start - 5;
  }

  bytes(): Buffer {
    return this.#buffer.subarray(0, this.#length);
  }

  #field(bytes: Uint8Array | null): void {
    this.#varint(bytes?.length ?? -1);
    if (!bytes) return;
    this.#room(bytes.length + 16);
    this.#buffer.set(bytes, this.#length);
    this.#length += bytes.length;
  }

  #varint(value: number): void {
    this.#room(16);
    let rest = value >= 0 ? value * 2 : -value * 2 - 1;
    for (; rest >= 0x80; rest = Math.floor(rest / 128)) this.#buffer[this.#length++] = (rest % 128) | 0x80;
    this.#buffer[this.#length++] = rest;
  }

  #room(bytes: number): void {
    if (this.#length + bytes <= this.#buffer.length) return;
    const grown = Buffer.alloc(Math.max(this.#buffer.length * 2, this.#length + bytes));
    this.#buffer.copy(grown);
    this.#buffer = grown;
  }
}
