import { Reader, Writer } from '@platformatic/kafka';
import { expect, test } from 'vitest';
import {
  type FetchResponse,
  namedFetchResponseParser,
  parseFetchResponse,
} from '../../../src/kafka/fetch-response.ts';
import { batch } from './record-sets.ts';

const topicId = '0123abcd-4567-89ef-0123-456789abcdef';

/** Builds a response field by field, as the protocol's description has it. */
class Bytes {
  #parts: Buffer[] = [];

  get all(): Buffer {
    return Buffer.concat(this.#parts);
  }

  int(bits: 16 | 32 | 64, value: number | bigint): this {
    const part = Buffer.alloc(bits / 8);
    if (bits === 16) part.writeInt16BE(Number(value));
    else if (bits === 32) part.writeInt32BE(Number(value));
    else part.writeBigInt64BE(BigInt(value));
    return this.raw(part);
  }

  /** An unsigned varint: lengths (of arrays, stored + 1), and numbers of tagged fields. */
  varint(value: number): this {
    const bytes: number[] = [];
    for (let rest = value; ; rest = Math.floor(rest / 128)) {
      if (rest < 128) return this.raw(Buffer.of(...bytes, rest));
      bytes.push((rest % 128) | 128);
    }
  }

  raw(part: Buffer): this {
    this.#parts.push(part);
    return this;
  }

  uuid(text: string): this {
    return this.raw(Buffer.from(text.replaceAll('-', ''), 'hex'));
  }

  noTags(): this {
    return this.varint(0);
  }

  /** Tagged fields that no version knows yet: a short one and a long one. */
  unknownTags(): this {
    return this.varint(2)
      .varint(7)
      .varint(3)
      .raw(Buffer.from('abc'))
      .varint(300)
      .varint(200)
      .raw(Buffer.alloc(200, 0xff));
  }
}

function head(topics: number): Bytes {
  return new Bytes()
    .int(32, 0)
    .int(16, 0)
    .int(32, 0)
    .varint(topics + 1);
}

function partition(bytes: Bytes, number: number, records: Buffer | null): Bytes {
  bytes.int(32, number).int(16, 0).int(64, 100).int(64, 90).int(64, 10).varint(0).int(32, -1);
  return records === null ? bytes.varint(0) : bytes.varint(records.length + 1).raw(records);
}

function parse(bytes: Buffer): FetchResponse {
  return parseFetchResponse(1, 1, 17, Reader.from(bytes));
}

test('an answer without topics', () => {
  expect(parse(head(0).noTags().all)).toEqual({ throttleMs: 0, errorCode: 0, sessionId: 0, partitions: [] });
});

test('throttle time and error of the whole answer', () => {
  const bytes = new Bytes().int(32, 1234).int(16, 71).int(32, 9).varint(1).noTags();
  expect(parse(bytes.all)).toEqual({ throttleMs: 1234, errorCode: 71, sessionId: 9, partitions: [] });
});

test('all fields of a partition', () => {
  const records = batch(40, 3);
  const bytes = head(1).uuid(topicId).varint(2);
  bytes
    .int(32, 5)
    .int(16, 6)
    .int(64, 2 ** 40)
    .int(64, 2 ** 39)
    .int(64, 17);
  bytes
    .varint(3)
    .int(64, 2n ** 62n)
    .int(64, 21)
    .noTags()
    .int(64, -1n)
    .int(64, 30)
    .noTags();
  bytes
    .int(32, 2)
    .varint(records.length + 1)
    .raw(records)
    .noTags()
    .noTags()
    .noTags();
  expect(parse(bytes.all).partitions).toEqual([
    {
      topicId,
      partition: 5,
      errorCode: 6,
      highWatermark: 2 ** 40,
      lastStableOffset: 2 ** 39,
      logStartOffset: 17,
      aborted: [
        { producerId: 2n ** 62n, firstOffset: 21 },
        { producerId: -1n, firstOffset: 30 },
      ],
      preferredReplica: 2,
      records,
    },
  ]);
});

test('where the log parts from what was read is told in a tagged field, among others', () => {
  const bytes = head(1).uuid(topicId).varint(2);
  partition(bytes, 0, null).varint(3);
  bytes.varint(0).varint(13).int(32, 4).int(64, 77).noTags();
  bytes.varint(1).varint(9).int(32, 2).int(32, 9).noTags();
  bytes.varint(9).varint(1).raw(Buffer.of(1));
  const [fetched] = parse(bytes.noTags().noTags().all).partitions;
  expect(fetched!.divergingEnd).toBe(77);
});

test('null records are no records, and a null index is none', () => {
  const bytes = partition(head(1).uuid(topicId).varint(2), 0, null).noTags().noTags().noTags();
  const [fetched] = parse(bytes.all).partitions;
  expect(fetched!.records.length).toBe(0);
  expect(fetched!.aborted).toBeNull();
});

test('an empty index of aborted transactions is none', () => {
  const bytes = head(1).uuid(topicId).varint(2);
  bytes.int(32, 0).int(16, 0).int(64, 1).int(64, 1).int(64, 0).varint(1).int(32, -1).varint(1);
  expect(parse(bytes.noTags().noTags().noTags().all).partitions[0]!.aborted).toBeNull();
});

test('partitions of several topics, with tagged fields wherever there may be some', () => {
  const other = 'ffffffff-0000-1111-2222-333333333333';
  const sets = [batch(0, 1), batch(7, 200, { codec: 'zstd' }), batch(9, 1)];
  const bytes = head(2).uuid(topicId).varint(3);
  partition(bytes, 0, sets[0]!).unknownTags();
  bytes.int(32, 1).int(16, 0).int(64, 100).int(64, 90).int(64, 10);
  bytes.varint(2).int(64, 1).int(64, 8).unknownTags();
  bytes
    .int(32, -1)
    .varint(sets[1]!.length + 1)
    .raw(sets[1]!)
    .unknownTags();
  bytes.unknownTags().uuid(other).varint(2);
  partition(bytes, 2, sets[2]!).noTags().noTags().unknownTags();
  expect(
    parse(bytes.all).partitions.map(({ topicId: id, partition: p, records }) => [id, p, records]),
  ).toEqual([
    [topicId, 0, sets[0]],
    [topicId, 1, sets[1]],
    [other, 2, sets[2]],
  ]);
});

test('topics that have only names are those that were asked for', () => {
  const named = (bytes: Bytes, topic: string): Bytes =>
    bytes
      .varint(topic.length + 1)
      .raw(Buffer.from(topic))
      .varint(2);
  const records = batch(3, 1);
  const bytes = partition(named(head(2), 'orders'), 5, records)
    .noTags()
    .noTags();
  partition(named(bytes, 'strange'), 6, null).noTags().noTags().noTags();
  const parser = namedFetchResponseParser([{ topic: 'orders', topicId }]);
  const { partitions } = parser(1, 1, 12, Reader.from(bytes.all));
  expect(partitions.map(({ topicId: id, partition: p }) => [id, p])).toEqual([
    [topicId, 5],
    ['', 6],
  ]);
  expect(partitions[0]!.records).toEqual(records);
});

test('an answer that came in pieces is read behind what was read already', () => {
  const records = batch(1, 50);
  const body = partition(head(1).uuid(topicId).varint(2), 0, records).noTags().noTags().noTags().all;
  const writer = Writer.create();
  writer.append(Buffer.from('header'));
  for (let at = 0; at < body.length; at += 7) writer.append(body.subarray(at, at + 7));
  const reader = Reader.from(writer);
  reader.skip('header'.length);
  const response = parseFetchResponse(1, 1, 17, reader);
  expect(response.partitions[0]!.records.equals(records)).toBe(true);
});

test('an answer that ends too early is an error wherever it ends', () => {
  const records = batch(1, 2);
  const bytes = head(1).uuid(topicId).varint(2);
  bytes.int(32, 1).int(16, 0).int(64, 100).int(64, 90).int(64, 10);
  bytes.varint(2).int(64, 1).int(64, 8).noTags();
  bytes
    .int(32, -1)
    .varint(records.length + 1)
    .raw(records);
  const whole = bytes.unknownTags().unknownTags().all;
  for (let length = 0; length < whole.length; length++) {
    // Behind the last field that is looked at the end is not missed.
    if (length > whole.length - 210) continue;
    expect(() => parse(Buffer.from(whole.subarray(0, length))), `cut at ${length}`).toThrow();
  }
});

test('lengths that nothing could have are errors, and do not keep us', () => {
  const endless = Buffer.alloc(5, 0xff);
  expect(() => parse(new Bytes().int(32, 0).int(16, 0).int(32, 0).raw(endless).all)).toThrow(
    'reading the answer: a length in the fetch response is damaged',
  );
  const huge = Buffer.from('ffffffff0f', 'hex');
  expect(() => parse(new Bytes().int(32, 0).int(16, 0).int(32, 0).raw(huge).all)).toThrow();
  const records = head(1).uuid(topicId).varint(2);
  records.int(32, 1).int(16, 0).int(64, 1).int(64, 1).int(64, 1).varint(0).int(32, -1).raw(huge);
  expect(() => parse(records.all)).toThrow('the fetch response is cut off');
  const tags = partition(head(1).uuid(topicId).varint(2), 0, null).raw(huge);
  expect(() => parse(tags.all)).toThrow('a length in the fetch response is damaged');
});

test('an offset that no number can hold is never rounded', () => {
  const bytes = head(1).uuid(topicId).varint(2);
  bytes
    .int(32, 0)
    .int(16, 0)
    .int(64, 2n ** 53n)
    .int(64, 1)
    .int(64, 0)
    .varint(0)
    .int(32, -1)
    .varint(0);
  expect(() => parse(bytes.noTags().noTags().noTags().all)).toThrow('offsets fit 53 bits');
});
