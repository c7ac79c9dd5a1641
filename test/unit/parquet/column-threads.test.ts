import { afterAll, expect, test } from 'vitest';
import { systemClock } from '../../../src/base/clock.ts';
import { FatalError, TransientError } from '../../../src/base/errors.ts';
import { metadataFields } from '../../../src/lane/metadata-columns.ts';
import { ColumnThreads } from '../../../src/parquet/column-threads.ts';
import { encodingOptions } from '../../../src/parquet/encoder.ts';
import { parquetEncoder } from '../../../src/parquet/file-writer.ts';
import type { ReadColumns, Words } from '../../../src/parquet/wasm-columns.ts';
import { columnsOf } from '../arrow/rows.ts';

/** Columns read in threads, which outlive damaged files. */

const threads = new ColumnThreads(systemClock);
afterAll(() => threads.close());

const schema = { schemaId: 0, fields: metadataFields.map((field, i) => ({ ...field, id: i + 1 })) };

async function file(rows: number): Promise<Buffer> {
  const encoder = parquetEncoder.open(schema, encodingOptions({ 'write.parquet.compression-codec': 'gzip' }));
  await encoder.write(
    columnsOf(
      schema,
      Array.from({ length: rows }, (_, i) => ({
        _kafka_topic: i % 2 === 0 ? 'orders' : 'returns',
        _kafka_partition: '3',
        _kafka_offset: String(i),
        _kafka_timestamp: null,
      })),
    ),
  );
  return Buffer.concat((await encoder.close()).parts as Uint8Array[]);
}

async function read(
  bytes: Buffer,
  readBytes = async (start: number, end: number) => bytes.subarray(start, end),
): Promise<string[]> {
  const rows: string[] = [];
  const batches: ReturnType<ReadColumns> = threads.read({ sizeBytes: bytes.length, read: readBytes }, [
    '_kafka_topic',
    '_kafka_offset',
  ]);
  for await (const { rows: count, columns } of batches) {
    const [topics, offsets] = columns as [Words, Float64Array];
    for (let i = 0; i < count; i++) rows.push(`${topics.words[topics.codes[i]!]}@${offsets[i]}`);
  }
  return rows;
}

const expected = (rows: number): string[] =>
  Array.from({ length: rows }, (_, i) => `${i % 2 === 0 ? 'orders' : 'returns'}@${i}`);

test('gives all rows, in batches, also of several files at a time', async () => {
  const [small, large] = [await file(10), await file(70_000)];
  const found = await Promise.all([read(small), read(large), read(small)]);
  expect(found[0]).toEqual(expected(10));
  expect(found[1]).toEqual(expected(70_000));
  expect(found[2]).toEqual(expected(10));
});

test('a damaged file is said to be damaged, and those after it are read', async () => {
  const bytes = await file(1_000);
  const damaged = Buffer.from(bytes);
  damaged.fill(0x7f, 4, damaged.length - 8 - damaged.readUInt32LE(damaged.length - 8));
  const text = Buffer.from('no Parquet file at all, but long enough to be one');
  for (const broken of [damaged, text, bytes.subarray(0, -20)]) {
    await expect(read(broken)).rejects.toThrow(FatalError);
    expect(await read(bytes)).toEqual(expected(1_000));
  }
});

test('a file that ends before it should is not read beyond its end', async () => {
  const bytes = await file(1_000);
  await expect(read(bytes, async (start, end) => bytes.subarray(start, Math.min(end, 30)))).rejects.toThrow(
    FatalError,
  );
});

test('what the store says is what is said', async () => {
  const bytes = await file(10);
  const away = async (): Promise<Buffer> => {
    throw new TransientError('the store is away');
  };
  await expect(read(bytes, away)).rejects.toThrow(new TransientError('the store is away'));
  expect(await read(bytes)).toEqual(expected(10));
});

test('an engine that comes to no end is not waited for', async () => {
  const hasty = new ColumnThreads({ ...systemClock, sleep: async () => {} });
  const bytes = await file(10);
  const all = async (): Promise<void> => {
    const source = { sizeBytes: bytes.length, read: async () => bytes };
    for await (const _ of hasty.read(source, ['_kafka_offset']));
  };
  await expect(all()).rejects.toThrow('the Parquet engine came to no end with it in 60000 ms');
});
