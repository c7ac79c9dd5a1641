import { expect, test } from 'vitest';
import { seededRandom } from '../../../src/base/random.ts';
import { metadataFields } from '../../../src/lane/metadata-columns.ts';
import { encodingOptions } from '../../../src/parquet/encoder.ts';
import { readFileFacts } from '../../../src/parquet/file-facts.ts';
import { parquetEncoder } from '../../../src/parquet/file-writer.ts';
import { readColumns } from '../../../src/parquet/wasm-columns.ts';
import { columnsOf } from '../arrow/rows.ts';

/** Footers and single columns of Parquet files, by ranges of their bytes. */

const nested = {
  id: 6,
  name: 'point',
  required: true,
  type: {
    kind: 'struct' as const,
    fields: [
      { id: 7, name: 'x', required: true, type: { kind: 'long' as const } },
      { id: 8, name: 'y', required: true, type: { kind: 'long' as const } },
    ],
  },
};
const schema = {
  schemaId: 0,
  fields: [nested, ...metadataFields.map((field, i) => ({ ...field, id: i + 1, required: false }))],
};
const wanted = [
  { id: 1, name: '_kafka_topic' },
  { id: 2, name: 'renamed_since' },
  { id: 3, name: '_kafka_offset' },
  { id: 99, name: 'absent' },
];

interface Read {
  bytes: Buffer;
  reads: [number, number][];
  read(start: number, end: number): Promise<Uint8Array>;
}

/** Some row groups; every seventh row is of no record. */
async function file(rows: number): Promise<Read> {
  const properties = {
    'write.parquet.row-group-size-bytes': '40000',
    'write.parquet.compression-codec': 'zstd',
  };
  const encoder = parquetEncoder.open(schema, encodingOptions(properties));
  const random = seededRandom(1);
  for (let from = 0; from < rows; from += 1_000)
    await encoder.write(
      columnsOf(
        schema,
        Array.from({ length: 1_000 }, (_, i) => ({
          point: { x: String(random.bytes(4).reduce((sum, byte) => sum * 256 + byte, 0)), y: '1' },
          _kafka_topic: (from + i) % 7 === 6 ? null : from + i < 500 ? 'orders' : 'returns',
          _kafka_partition: (from + i) % 7 === 6 ? null : String(i % 3),
          _kafka_offset: (from + i) % 7 === 6 ? null : String(2 ** 40 + from + i),
          _kafka_timestamp: null,
        })),
      ),
    );
  const bytes = Buffer.concat((await encoder.close()).parts as Uint8Array[]);
  const reads: [number, number][] = [];
  return {
    bytes,
    reads,
    read: async (start, end) => {
      reads.push([start, end]);
      return bytes.subarray(start, end);
    },
  };
}

const longOf = (bytes: Uint8Array | undefined): number => Number(Buffer.from(bytes!).readBigInt64LE());

test('a footer tells rows, names by field id, and statistics by row group', async () => {
  const { bytes, read, reads } = await file(4_000);
  const facts = await readFileFacts(bytes.length, read, wanted, 'a file');
  expect(facts.names).toEqual(['_kafka_topic', '_kafka_partition', '_kafka_offset', undefined]);
  expect(facts.rows).toBe(4_000);
  expect(facts.rowGroups.length).toBeGreaterThan(1);
  expect(facts.rowGroups.reduce((sum, group) => sum + group.rows, 0)).toBe(4_000);
  const offsets = facts.rowGroups.map(({ columns }) => columns[2]!);
  expect([longOf(offsets[0]!.min), longOf(offsets.at(-1)!.max)]).toEqual([2 ** 40, 2 ** 40 + 3_999]);
  expect(offsets.reduce((sum, { nulls }) => sum + nulls!, 0)).toBe(571);
  expect(Buffer.from(facts.rowGroups[0]!.columns[0]!.min!).toString()).toBe('orders');
  expect(facts.rowGroups[0]!.columns[3]).toBeUndefined();
  expect(reads.length).toBe(1);
});

test('a footer longer than what is read first is read on', async () => {
  const fields = Array.from({ length: 400 }, (_, i) => ({
    id: i + 1,
    name: `column_number_${i}`,
    required: true,
    type: { kind: 'long' as const },
  }));
  const encoder = parquetEncoder.open({ schemaId: 0, fields }, encodingOptions({}));
  const row = Object.fromEntries(fields.map(({ name }, i) => [name, String(i)]));
  await encoder.write(columnsOf({ schemaId: 0, fields }, [row]));
  const bytes = Buffer.concat((await encoder.close()).parts as Uint8Array[]);
  expect(bytes.readUInt32LE(bytes.length - 8)).toBeGreaterThan(32 * 1024);
  let reads = 0;
  const read = async (start: number, end: number): Promise<Uint8Array> => {
    reads++;
    return bytes.subarray(start, end);
  };
  const facts = await readFileFacts(bytes.length, read, [{ id: 400, name: '' }], 'a file');
  expect(reads).toBe(2);
  expect(longOf(facts.rowGroups[0]!.columns[0]!.max)).toBe(399);
});

test('what is no Parquet file, or is cut off, or damaged, is said to be', async () => {
  const { bytes } = await file(1_000);
  const facts = (of: Buffer): Promise<unknown> =>
    readFileFacts(of.length, async (start, end) => of.subarray(start, end), wanted, 'f.parquet');
  await expect(facts(Buffer.from('text'))).rejects.toThrow(
    'reading the footer of f.parquet: it does not end at byte 4 as a Parquet file does',
  );
  await expect(facts(bytes.subarray(0, -5))).rejects.toThrow('as a Parquet file does');
  const long = Buffer.from(bytes);
  long.writeUInt32LE(2 ** 31, long.length - 8);
  await expect(facts(long)).rejects.toThrow('it is longer than the file');
  const damaged = Buffer.from(bytes);
  damaged.fill(0xff, damaged.length - 300, damaged.length - 8);
  await expect(facts(damaged)).rejects.toThrow(/it is damaged|longer/);
});

test('columns are read a batch at a time, with nulls, and nothing else of the file', async () => {
  const { bytes, read, reads } = await file(4_000);
  const rows: unknown[] = [];
  for await (const batch of readColumns({ sizeBytes: bytes.length, read }, [
    '_kafka_offset',
    '_kafka_topic',
  ])) {
    const [offsets, topics] = batch.columns as [Float64Array, { codes: Int32Array; words: string[] }];
    for (let i = 0; i < batch.rows; i++)
      rows.push([offsets[i], topics.codes[i] === -1 ? null : topics.words[topics.codes[i]!]]);
  }
  expect(rows).toEqual(
    Array.from({ length: 4_000 }, (_, i) =>
      i % 7 === 6 ? [Number.NaN, null] : [2 ** 40 + i, i < 500 ? 'orders' : 'returns'],
    ),
  );
  const readBytes = reads.reduce((sum, [start, end]) => sum + end - start, 0);
  expect(readBytes).toBeLessThan(bytes.length * 0.7);
});
