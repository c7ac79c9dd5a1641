import { gzipSync } from 'node:zlib';
import { snappyCompress } from '@platformatic/wasm-utils';
import { describe, expect, test } from 'vitest';
import { FatalError } from '../../../src/base/errors.ts';
import { RecordSetReader, readHeaders, summarize } from '../../../src/kafka/record-set.ts';
import { type BatchHeader, type BatchRecord, writeBatch } from '../../../src/kafka/write-batch.ts';
import {
  baseTimestamp,
  batch,
  expected,
  marker,
  offsetsOf,
  readAll,
  records,
  sealed,
  seen,
} from './record-sets.ts';

const text = (value: string): Buffer => Buffer.from(value);

/** Records of every shape that Kafka allows. */
const varied: BatchRecord[] = [
  { offsetDelta: 0, timestampDelta: 0, key: text('k'), value: text('v') },
  { offsetDelta: 1, timestampDelta: -5, key: null, value: text('before the base timestamp') },
  { offsetDelta: 2, timestampDelta: 63, key: text('tombstone'), value: null },
  { offsetDelta: 3, timestampDelta: 64, key: null, value: null },
  { offsetDelta: 4, timestampDelta: 8191, key: text(''), value: text('') },
  {
    offsetDelta: 5,
    timestampDelta: 86_400_000 * 400,
    key: null,
    value: text('v'),
    headers: [
      ['trace', text('abc')],
      ['', null],
      ['ünïcode', text('')],
      ['trace', text('again')],
    ],
  },
  { offsetDelta: 70_000, timestampDelta: -86_400_000 * 400, key: null, value: Buffer.alloc(20_000, 'x') },
];

describe('a batch', () => {
  test.each(['none', 'gzip', 'snappy', 'lz4', 'zstd'] as const)('of all kinds of records, %s', (codec) => {
    const header = { baseOffset: 5_000_000_000, baseTimestamp, codec };
    const set = writeBatch(header, varied);
    expect(readAll(set)).toEqual({ records: expected(header, varied), next: 5_000_070_001 });
    expect(summarize(set, 0)).toMatchObject({ next: 5_000_070_001, records: varied.length });
  });

  test('stamped by the broker has one time for all records', () => {
    const header = { baseOffset: 0, baseTimestamp, logAppendTime: true };
    const stamped = readAll(writeBatch(header, varied)).records;
    expect(stamped).toEqual(expected(header, varied));
    expect(new Set(stamped.map((record) => record.timestamp))).toEqual(
      new Set([baseTimestamp + 86_400_000 * 400]),
    );
  });

  test('without a time has none', () => {
    const set = writeBatch({ baseOffset: 0, baseTimestamp: -1 }, [varied[0]!]);
    expect(readAll(set).records[0]!.timestamp).toBe(-1);
  });

  test('of more records than the columns hold at first', () => {
    const header = { baseOffset: 7, baseTimestamp };
    expect(readAll(writeBatch(header, records(5000))).records).toEqual(expected(header, records(5000)));
  });

  test.each([
    ['compressed as one block', snappyCompress],
    ['in the frame of the xerial library', (bytes: Buffer) => xerial([bytes])],
    ['in several framed blocks', (bytes: Buffer) => xerial([bytes.subarray(0, 10), bytes.subarray(10)])],
    ['in a frame with an empty block', (bytes: Buffer) => xerial([Buffer.alloc(0), bytes])],
  ])('snappy, %s', (_, compress) => {
    const header = { baseOffset: 3, baseTimestamp };
    const plain = writeBatch(header, varied);
    expect(readAll(recompressed(plain, 2, compress)).records).toEqual(expected(header, varied));
  });

  test('whose bytes do not decompress is damaged', () => {
    const compressions: [number, string][] = [
      [1, 'incorrect header check'],
      [2, ''],
      [3, ''],
      [4, ''],
    ];
    for (const [codec, reason] of compressions) {
      const broken = recompressed(batch(9, 2), codec, () => Buffer.from('no codec of any kind'));
      expect(() => readAll(broken), String(codec)).toThrow(`reading the record batch at offset 9: ${reason}`);
    }
    const cutOff = recompressed(batch(9, 2), 2, (bytes) => xerial([bytes]).subarray(0, -3));
    expect(() => readAll(cutOff)).toThrow('reading the record batch at offset 9: a snappy block is cut off');
    // The codecs work on after a failure.
    expect(offsetsOf(readAll(batch(0, 3, { codec: 'snappy' })))).toEqual([0, 1, 2]);
    expect(offsetsOf(readAll(batch(0, 3, { codec: 'lz4' })))).toEqual([0, 1, 2]);
  });

  describe('of more bytes than are allowed', () => {
    const large = (codec: NonNullable<BatchHeader['codec']>): Buffer =>
      writeBatch({ baseOffset: 7, baseTimestamp, codec }, [
        { offsetDelta: 0, timestampDelta: 0, key: null, value: Buffer.alloc(20_000_000) },
      ]);
    const read = (set: Buffer, bytesMax: number): boolean =>
      new RecordSetReader(set, 0, null, bytesMax).read();

    test.each(['gzip', 'snappy', 'lz4', 'zstd'] as const)('when decompressed (%s) is refused', (codec) => {
      const bomb = large(codec);
      expect(bomb.length).toBeLessThan(1_100_000);
      expect(() => read(bomb, 10_000_000)).toThrow(
        new FatalError(
          'reading the record batch at offset 7: it has more than 10000000 bytes, compressed or decompressed; ' +
            'source.batchBytesMax allows more',
        ),
      );
      expect(read(bomb, 25_000_000)).toBe(true);
    });

    test('in many snappy blocks is refused', () => {
      const bomb = recompressed(batch(7, 2), 2, () =>
        xerial(Array.from({ length: 20 }, () => Buffer.alloc(1_000_000))),
      );
      expect(() => read(bomb, 10_000_000)).toThrow('it has more than 10000000 bytes');
    });

    test('as it is, is refused when it comes', () => {
      expect(() => summarize(large('none'), 0, 10_000_000)).toThrow(
        'the record batch at offset 7: it has more than 10000000 bytes',
      );
      expect(summarize(large('none'), 0).next).toBe(8);
    });

    test('is never decompressed for a size that it does not have', () => {
      // A snappy block that says it is of 4 GiB.
      const liar = recompressed(batch(7, 2), 2, () => Buffer.from('ffffffff0f00', 'hex'));
      expect(() => read(liar, 100_000_000)).toThrow('it has more than 100000000 bytes');
    });
  });

  test('of a codec that Kafka does not have is refused', () => {
    const set = recompressed(batch(0, 1), 5, (bytes) => bytes);
    expect(() => readAll(set)).toThrow('compression codec 5 is not one of Kafka');
  });
});

describe('a set', () => {
  test('of batches with holes between them', () => {
    const set = Buffer.concat([batch(10, 3), batch(20, 2, { codec: 'zstd' }), batch(30, 1)]);
    expect(offsetsOf(readAll(set, 5))).toEqual([10, 11, 12, 20, 21, 30]);
    expect(readAll(set, 5).next).toBe(31);
    expect(summarize(set, 5)).toMatchObject({ next: 31, records: 6 });
  });

  test('gives one batch after the other, and the position behind each', () => {
    const reader = new RecordSetReader(Buffer.concat([batch(10, 2), batch(20, 1)]), 4, null);
    expect(reader.next).toBe(4);
    expect(reader.read()).toBe(true);
    expect([reader.next, seen(reader).map((record) => record.offset)]).toEqual([12, [10, 11]]);
    expect(reader.read()).toBe(true);
    expect([reader.next, seen(reader).map((record) => record.offset)]).toEqual([21, [20]]);
    expect(reader.read()).toBe(false);
    expect(reader.next).toBe(21);
  });

  test('without a byte moves nothing', () => {
    expect(readAll(Buffer.alloc(0), 42)).toEqual({ records: [], next: 42 });
    expect(summarize(Buffer.alloc(0), 42)).toMatchObject({ next: 42, records: 0 });
  });

  test('whose last batch is cut off ends before it, wherever the cut is', () => {
    const whole = batch(10, 3);
    const set = Buffer.concat([whole, batch(13, 4)]);
    for (let length = whole.length; length < set.length; length++) {
      const cut = set.subarray(0, length);
      expect(readAll(cut, 10).next, `cut at ${length}`).toBe(13);
      expect(summarize(cut, 10), `cut at ${length}`).toMatchObject({ next: 13, records: 3 });
    }
    for (let length = 0; length < whole.length; length++)
      expect(readAll(whole.subarray(0, length), 10)).toEqual({ records: [], next: 10 });
  });

  test('asked for from inside a batch begins there', () => {
    for (const codec of ['none', 'lz4'] as const) {
      const set = Buffer.concat([batch(10, 5, { codec }), batch(15, 2, { codec })]);
      for (let from = 10; from <= 17; from++)
        expect(offsetsOf(readAll(set, from)), `from ${from}`).toEqual(
          [10, 11, 12, 13, 14, 15, 16].filter((offset) => offset >= from),
        );
    }
  });

  test('that lies before the position as a whole moves nothing', () => {
    expect(readAll(batch(10, 3), 13)).toEqual({ records: [], next: 13 });
    expect(readAll(batch(10, 3), 50)).toEqual({ records: [], next: 50 });
    expect(summarize(batch(10, 3), 50).next).toBe(50);
  });
});

describe('after compaction', () => {
  test('a batch ends at the offset it once ended at', () => {
    const set = Buffer.concat([batch(10, 2, { lastOffsetDelta: 9 }), batch(20, 1)]);
    expect(readAll(set.subarray(0, -1), 10)).toMatchObject({ next: 20 });
    expect(offsetsOf(readAll(set, 10))).toEqual([10, 11, 20]);
  });

  test('a batch may have lost its first records', () => {
    const set = writeBatch({ baseOffset: 100, baseTimestamp, lastOffsetDelta: 9 }, records(2, 5));
    expect(offsetsOf(readAll(set, 100))).toEqual([105, 106]);
    expect(offsetsOf(readAll(set, 106))).toEqual([106]);
    expect(readAll(set, 107)).toEqual({ records: [], next: 110 });
  });

  test('a batch may be empty, and still moves the position', () => {
    const empty = batch(10, 0, { lastOffsetDelta: 4, producerId: 1n });
    expect(readAll(empty, 10)).toEqual({ records: [], next: 15 });
    expect(summarize(empty, 10)).toMatchObject({ next: 15, records: 0 });
    expect(offsetsOf(readAll(Buffer.concat([empty, batch(15, 1)]), 10))).toEqual([15]);
  });

  test('the batch of a marker may be empty, aborted or not', () => {
    const empty = batch(13, 0, { lastOffsetDelta: 0, producerId: 7n, transactional: true, control: true });
    const set = Buffer.concat([batch(10, 3), empty, batch(14, 2)]);
    for (const aborted of [null, [{ producerId: 7n, firstOffset: 0 }]])
      expect(readAll(set, 10, aborted)).toMatchObject({ next: 16 });
  });
});

describe('control batches', () => {
  const commit = (offset: number): Buffer => marker(offset, 1n, 'commit');

  test('are not seen at the start, in the middle or at the end, and move the position', () => {
    const set = Buffer.concat([commit(0), batch(1, 2), commit(3), batch(4, 1), commit(5)]);
    expect(offsetsOf(readAll(set))).toEqual([1, 2, 4]);
    expect(readAll(set).next).toBe(6);
    expect(readAll(commit(8), 8)).toEqual({ records: [], next: 9 });
  });

  test('that are damaged are not taken for control batches', () => {
    const hidden = batch(0, 3);
    hidden.writeInt16BE(0x20, 21);
    expect(() => readAll(hidden)).toThrow('reading the record batch at offset 0: checksum is');
  });
});

describe('aborted transactions', () => {
  const of = (producerId: bigint, offset: number, count: number): Buffer =>
    batch(offset, count, { producerId, transactional: true });

  test('are left out from their first offset to their marker', () => {
    const set = Buffer.concat([of(1n, 0, 2), marker(2, 1n, 'abort'), of(1n, 3, 2), marker(5, 1n, 'commit')]);
    expect(offsetsOf(readAll(set, 0, [{ producerId: 1n, firstOffset: 0 }]))).toEqual([3, 4]);
    expect(offsetsOf(readAll(set))).toEqual([0, 1, 3, 4]);
  });

  test('of one producer may be many in one set, in any order of the index', () => {
    const set = Buffer.concat([
      of(1n, 0, 1),
      marker(1, 1n, 'abort'),
      of(1n, 2, 1),
      marker(3, 1n, 'commit'),
      of(1n, 4, 1),
      marker(5, 1n, 'abort'),
      of(1n, 6, 1),
      marker(7, 1n, 'commit'),
    ]);
    const index = [4, 0].map((firstOffset) => ({ producerId: 1n, firstOffset }));
    expect(offsetsOf(readAll(set, 0, index))).toEqual([2, 6]);
  });

  test('whose marker lies in a later set are left out to the end', () => {
    const set = Buffer.concat([of(1n, 0, 2), batch(2, 1), of(1n, 3, 2)]);
    expect(offsetsOf(readAll(set, 0, [{ producerId: 1n, firstOffset: 0 }]))).toEqual([2]);
  });

  test('do not touch other producers, nor records outside of transactions', () => {
    const set = Buffer.concat([of(1n, 0, 1), of(2n, 1, 1), batch(2, 1, { producerId: 1n }), of(1n, 3, 1)]);
    expect(offsetsOf(readAll(set, 0, [{ producerId: 1n, firstOffset: 0 }]))).toEqual([1, 2]);
  });

  test('that end before the position do not hide what the producer committed afterwards', () => {
    const set = Buffer.concat([of(1n, 0, 2), marker(2, 1n, 'abort'), of(1n, 3, 2), marker(5, 1n, 'commit')]);
    expect(offsetsOf(readAll(set, 3, [{ producerId: 1n, firstOffset: 0 }]))).toEqual([3, 4]);
    expect(offsetsOf(readAll(set, 4, [{ producerId: 1n, firstOffset: 0 }]))).toEqual([4]);
  });

  test('are checked for damage like all others', () => {
    const set = of(1n, 0, 2);
    set[set.length - 1]! ^= 1;
    expect(() => readAll(set, 0, [{ producerId: 1n, firstOffset: 0 }])).toThrow('checksum is');
  });
});

describe('damage', () => {
  test('of any byte behind the checksum is found', () => {
    const set = batch(4, 2, { codec: 'lz4' });
    for (let at = 17; at < set.length; at++) {
      const damaged = Buffer.from(set);
      damaged[at]! ^= 0x10;
      expect(() => readAll(damaged), `byte ${at}`).toThrow(
        /batch at offset 4: checksum is \d+, the batch says/,
      );
    }
  });

  test('of a base offset is found when batches are out of order', () => {
    const set = Buffer.concat([batch(4, 2), batch(5, 2)]);
    expect(() => readAll(set)).toThrow('at offset 5: it ends at offset 6, the one before it at 5');
  });

  test('of the length of a batch', () => {
    const set = batch(0, 2);
    set.writeInt32BE(48, 8);
    expect(() => readAll(set)).toThrow('a record batch claims a length of 48 bytes');
    expect(() => summarize(set, 0)).toThrow('a record batch claims a length of 48 bytes');
    set.writeInt32BE(-1, 8);
    expect(() => readAll(set)).toThrow('claims a length of -1 bytes');
    set.writeInt32BE(0x7fffffff, 8); // not whole
    expect(readAll(set)).toEqual({ records: [], next: 0 });
  });

  const recordCases: [string, (body: Buffer) => Buffer, string][] = [
    ['a record that ends outside', (body) => set(body, 0, 0x7e), 'record 0 ends outside of its batch'],
    ['a negative record length', (body) => set(body, 0, 0x01), 'record 0 ends outside of its batch'],
    ['a key beyond its record', (body) => set(body, 4, 0x7e), 'record 0 has lengths that do not fit it'],
    ['a key length below -1', (body) => set(body, 4, 0x03), 'record 0 has lengths that do not fit it'],
    ['a value beyond its record', (body) => set(body, 5, 0x7e), 'record 0 has lengths that do not fit it'],
    ['a value length below -1', (body) => set(body, 5, 0x03), 'record 0 has lengths that do not fit it'],
    ['more headers than fit', (body) => set(body, 7, 0x02), 'record 0 has lengths that do not fit it'],
    ['a negative number of headers', (body) => set(body, 7, 0x01), 'record 0 has lengths that do not fit it'],
    ['an offset behind the batch', (body) => set(body, 3, 0x04), 'record 0 has offset 2 after -1'],
    ['an offset twice', (body) => set(body, 11, 0x00), 'record 1 has offset 0 after 0'],
    ['an endless number', (body) => body.fill(0xff), 'a number is longer than 32 bits'],
    [
      'an endless timestamp',
      () => Buffer.concat([Buffer.of(0x3c, 0), Buffer.alloc(30, 0xff)]),
      'a number is longer than 64 bits',
    ],
  ];
  test.each(recordCases)('inside a batch: %s', (_, change, reason) => {
    // Two records of 8 bytes: length, attributes, timestamp, offset, key length, value length, value, headers.
    const broken = rewritten(batch(0, 2), change);
    expect(() => readAll(broken)).toThrow(`reading the record batch at offset 0: ${reason}`);
  });

  test.each([
    [3, 'record 2 ends outside of its batch'],
    [1, '8 bytes are left behind its records'],
    [0, '16 bytes are left behind its records'],
    [-1, 'it claims -1 records'],
    [0x7fffffff, 'it claims 2147483647 records'],
  ])('inside a batch: %i records where there are two', (count, reason) => {
    const broken = batch(0, 2);
    broken.writeInt32BE(count, 57);
    expect(() => readAll(sealed(broken))).toThrow(reason);
  });

  function set(body: Buffer, at: number, byte: number): Buffer {
    body[at] = byte;
    return body;
  }
});

describe('older message formats', () => {
  test.each([0, 1])('v%i is refused by name', (magic) => {
    // The shortest message there was: 34 bytes, without key and value.
    const old = Buffer.alloc(magic === 0 ? 26 : 34);
    old.writeInt32BE(old.length - 12, 8);
    old[16] = magic;
    for (const read of [
      () => readAll(old),
      () => summarize(old, 0),
      () => readAll(Buffer.concat([batch(0, 1), old])),
    ])
      expect(read).toThrow(
        `message format v${magic} is not supported: the topic holds records from before Kafka 0.11`,
      );
  });
});

test('headers are read from the batch that is current', () => {
  const withHeader = (value: string): BatchRecord[] => [
    { offsetDelta: 0, timestampDelta: 0, key: null, value: null, headers: [['n', text(value)]] },
  ];
  const set = Buffer.concat(
    ['a', 'b'].map((value, i) =>
      writeBatch({ baseOffset: i, baseTimestamp, codec: 'lz4' }, withHeader(value)),
    ),
  );
  const reader = new RecordSetReader(set, 0, null);
  for (const value of ['a', 'b']) {
    reader.read();
    expect(readHeaders(reader.columns, 0)).toEqual([{ key: 'n', value: text(value) }]);
  }
});

/** The batch with its records compressed in another way. */
function recompressed(plain: Buffer, codec: number, compress: (bytes: Buffer) => Uint8Array): Buffer {
  const header = Buffer.from(plain.subarray(0, 61));
  const body = compress(Buffer.from(plain.subarray(61)));
  header.writeInt32BE(49 + body.length, 8);
  header.writeInt16BE((header.readInt16BE(21) & ~7) | codec, 21);
  return sealed(Buffer.concat([header, body]));
}

function rewritten(plain: Buffer, change: (body: Buffer) => Buffer): Buffer {
  return recompressed(plain, 1, (body) => gzipSync(change(body)));
}

/** Snappy as Java producers write it. */
function xerial(blocks: readonly Buffer[]): Buffer {
  const header = Buffer.from('82534e41505059000000000100000001', 'hex');
  const framed = blocks.flatMap((block) => {
    const bytes = snappyCompress(block);
    const length = Buffer.alloc(4);
    length.writeInt32BE(bytes.length);
    return [length, bytes];
  });
  return Buffer.concat([header, ...framed]);
}
