import type { Reader } from '@platformatic/kafka';
import { assert } from '../base/assert.ts';
import { messageOf } from '../base/errors.ts';
import { KafkaError } from './errors.ts';
import type { AbortedTransaction } from './record-set.ts';

/** A Fetch response with its record sets left as they are. */
export interface FetchResponse {
  throttleMs: number;
  errorCode: number;
  /** Of the incremental session that the broker keeps; 0 when it keeps none. */
  sessionId: number;
  partitions: FetchedPartition[];
}

export interface FetchedPartition {
  topicId: string;
  partition: number;
  errorCode: number;
  highWatermark: number;
  lastStableOffset: number;
  logStartOffset: number;
  aborted: AbortedTransaction[] | null;
  /** The log parts from what was read before: its records up to the epoch that was named end here (KIP-595). */
  divergingEnd?: number;
  /** The replica to fetch from instead, without records (KIP-392); -1 for none. */
  preferredReplica: number;
  /** Record batches, the last of them possibly cut off; a view into the response. */
  records: Buffer;
}

const divergingEpochTag = 0;

/**
 * Parses a Fetch response of version 13 to 17 (`clients/src/main/resources/common/message/FetchResponse.json`). The
 * library's own parser makes an object of every record. @throws {KafkaError} `DAMAGED` when it is none.
 */
export function parseFetchResponse(
  _id: number,
  _key: number,
  _version: number,
  reader: Reader,
): FetchResponse {
  return readResponse(reader, (cursor) => cursor.uuid());
}

/** The same for version 12, whose topics have names only: they are those that were asked for. */
export function namedFetchResponseParser(
  asked: readonly { topic: string; topicId: string }[],
): typeof parseFetchResponse {
  const ids = new Map(asked.map(({ topic, topicId }) => [topic, topicId]));
  return (_id, _key, _version, reader) => readResponse(reader, (cursor) => ids.get(cursor.string()) ?? '');
}

function readResponse(reader: Reader, readTopicId: (cursor: ResponseCursor) => string): FetchResponse {
  try {
    return readWhole(reader, readTopicId);
  } catch (error) {
    throw new KafkaError('reading the answer', 'DAMAGED', messageOf(error), error);
  }
}

function readWhole(reader: Reader, readTopicId: (cursor: ResponseCursor) => string): FetchResponse {
  const bytes = reader.buffer.buffer; // joins the chunks that came from the socket, once
  const cursor = new ResponseCursor(bytes, reader.position);
  const response: FetchResponse = {
    throttleMs: cursor.int32(),
    errorCode: cursor.int16(),
    sessionId: cursor.int32(),
    partitions: [],
  };
  for (let topics = cursor.arrayLength(); topics > 0; topics--) {
    const topicId = readTopicId(cursor);
    for (let partitions = cursor.arrayLength(); partitions > 0; partitions--)
      response.partitions.push(readPartition(cursor, topicId));
    cursor.skipTags();
  }
  return response;
}

function readPartition(cursor: ResponseCursor, topicId: string): FetchedPartition {
  const partition = cursor.int32();
  const errorCode = cursor.int16();
  const highWatermark = cursor.int64();
  const lastStableOffset = cursor.int64();
  const logStartOffset = cursor.int64();
  const abortedCount = cursor.arrayLength();
  let aborted: AbortedTransaction[] | null = null;
  for (let i = 0; i < abortedCount; i++) {
    aborted ??= [];
    aborted.push({ producerId: cursor.bigint64(), firstOffset: cursor.int64() });
    cursor.skipTags();
  }
  const preferredReplica = cursor.int32();
  const records = cursor.bytes();
  const read: FetchedPartition = {
    topicId,
    partition,
    errorCode,
    highWatermark,
    lastStableOffset,
    logStartOffset,
    aborted,
    preferredReplica,
    records,
  };
  cursor.tags((tag) => {
    if (tag !== divergingEpochTag) return;
    cursor.int32(); // the last epoch that the log has of those up to the named one
    read.divergingEnd = cursor.int64();
  });
  return read;
}

class ResponseCursor {
  readonly #bytes: Buffer;
  #position: number;

  constructor(bytes: Buffer, position: number) {
    this.#bytes = bytes;
    this.#position = position;
  }

  int16(): number {
    const value = this.#bytes.readInt16BE(this.#position);
    this.#position += 2;
    return value;
  }

  int32(): number {
    const value = this.#bytes.readInt32BE(this.#position);
    this.#position += 4;
    return value;
  }

  bigint64(): bigint {
    const value = this.#bytes.readBigInt64BE(this.#position);
    this.#position += 8;
    return value;
  }

  /** An offset: beyond 2^53 no cluster has ever come. */
  int64(): number {
    const value = Number(this.bigint64());
    assert(Number.isSafeInteger(value), 'offsets fit 53 bits');
    return value;
  }

  uuid(): string {
    const hex = this.#bytes.toString('hex', this.#position, this.#position + 16);
    this.#position += 16;
    return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join('-');
  }

  unsignedVarint(): number {
    let value = 0;
    for (let shift = 0; shift < 35; shift += 7) {
      const byte = this.#bytes[this.#position++]!;
      value |= (byte & 0x7f) << shift;
      if (byte < 0x80) return value >>> 0;
    }
    throw new Error('a length in the fetch response is damaged');
  }

  /** Compact arrays store length + 1; 0 is a null array. */
  arrayLength(): number {
    return Math.max(0, this.unsignedVarint() - 1);
  }

  bytes(): Buffer {
    const length = this.arrayLength();
    const end = this.#position + length;
    if (end > this.#bytes.length) throw new Error('the fetch response is cut off');
    const taken = this.#bytes.subarray(this.#position, end);
    this.#position = end;
    return taken;
  }

  string(): string {
    return this.bytes().toString();
  }

  /** Goes through tagged fields; whatever `read` takes of one, it ends where it says. */
  tags(read: (tag: number) => void): void {
    for (let tags = this.unsignedVarint(); tags > 0; tags--) {
      const tag = this.unsignedVarint();
      const length = this.unsignedVarint();
      const end = this.#position + length;
      read(tag);
      this.#position = end;
    }
  }

  skipTags(): void {
    this.tags(() => {});
  }
}
