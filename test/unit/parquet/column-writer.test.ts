import { expect, test } from 'vitest';
import { seededRandom } from '../../../src/base/random.ts';
import type { Schema } from '../../../src/iceberg/schema.ts';
import type { Type } from '../../../src/iceberg/types.ts';
import { type EncodingOptions, encodingOptions } from '../../../src/parquet/encoder.ts';
import { parquetEncoder } from '../../../src/parquet/file-writer.ts';
import { readThrift, type ThriftStruct } from '../../../src/parquet/thrift.ts';
import type { Canonical } from '../../tools/canonical.ts';
import { columnsOf } from '../arrow/rows.ts';
import { footerOf, join, readParquet } from './parquet-file.ts';

const random = seededRandom(11);

interface SeenPage {
  type: number;
  entries: number;
  encoding: number;
  rawBytes: number;
  bodyBytes: number;
  isCompressed: unknown;
}

/** The pages of a file of one column, and the footer's view of it. Its rows are those that were written. */
async function pagesOf(type: Type, batches: readonly Canonical[][], options: Partial<EncodingOptions> = {}) {
  const schema: Schema = { schemaId: 0, fields: [{ id: 1, name: 'v', required: false, type }] };
  const file = parquetEncoder.open(schema, { ...encodingOptions({}), codec: 'uncompressed', ...options });
  for (const values of batches)
    await file.write(
      columnsOf(
        schema,
        values.map((v) => ({ v })),
      ),
    );
  const bytes = join((await file.close()).parts);
  const rows = await readParquet(bytes, schema);
  expect(rows.map(({ v }) => v)).toEqual(batches.flat());
  const { row_groups: groups } = footerOf(bytes);
  const metadata = groups[0]!.columns[0]!.meta_data!;
  const start = Number(metadata.dictionary_page_offset ?? metadata.data_page_offset);
  const chunk = Buffer.from(bytes, start, Number(metadata.total_compressed_size));
  return { pages: readPages(chunk), metadata, groups };
}

function readPages(chunk: Uint8Array): SeenPage[] {
  const pages: SeenPage[] = [];
  for (let at = 0; at < chunk.length; ) {
    const header = readThrift(chunk.subarray(at));
    const value = (id: number, of: ThriftStruct = header) => of.find((field) => field.id === id)?.value;
    const type = value(1) as number;
    const own = value({ 0: 5, 2: 7, 3: 8 }[type]!) as ThriftStruct;
    pages.push({
      type,
      entries: value(1, own) as number,
      encoding: value(type === 3 ? 4 : 2, own) as number,
      rawBytes: value(2) as number,
      bodyBytes: value(3) as number,
      isCompressed: value(7, own),
    });
    // The header ends where what it says of the body begins: its length is what is left of its copy.
    at += headerBytes(chunk, at, pages.at(-1)!);
  }
  return pages;
}

/** Thrift has no lengths: the shortest cut that can be read is the header. */
function headerBytes(chunk: Uint8Array, at: number, { bodyBytes }: SeenPage): number {
  for (let length = 1; ; length++) {
    try {
      readThrift(chunk.subarray(at, at + length));
      return length + bodyBytes;
    } catch {
      // cut off
    }
  }
}

const plain = 0;
const deltaInts = 5;
const deltaBytes = 6;
const dictionary = 8;
const dictionaryPage = 2;
const text: Type = { kind: 'string' };
const long: Type = { kind: 'long' };
const fewWords = (count: number): string[] => Array.from({ length: count }, () => `word ${random.below(20)}`);
const noise = (count: number): string[] =>
  Array.from({ length: count }, () => Buffer.from(random.bytes(12)).toString('hex'));

test('few values of many go into a dictionary', async () => {
  const { pages, metadata } = await pagesOf(text, [fewWords(1_000)], { pageRows: 600 });
  expect(pages.map(({ type, entries, encoding }) => [type, entries, encoding])).toEqual([
    [dictionaryPage, 20, plain],
    [0, 600, dictionary],
    [0, 400, dictionary],
  ]);
  expect(metadata.encodings).toEqual(expect.arrayContaining(['RLE', 'RLE_DICTIONARY', 'PLAIN']));
});

test('values of which half are different have none', async () => {
  for (const [type, values] of [
    [text, noise(1_000)],
    [long, Array.from({ length: 1_000 }, (_, i) => String(i))],
    [{ kind: 'int' }, Array.from({ length: 1_000 }, (_, i) => String(i))],
    [{ kind: 'fixed', length: 12 }, noise(1_000)],
  ] as [Type, string[]][]) {
    const { pages, metadata } = await pagesOf(type, [values]);
    expect(pages.map(({ encoding }) => encoding)).toEqual([plain]);
    expect(metadata.dictionary_page_offset).toBeUndefined();
  }
});

test('a few of the first values do not decide', async () => {
  const distinct = Array.from({ length: 600 }, (_, i) => `word ${i}`);
  const values = [...distinct, ...Array.from({ length: 2_400 }, () => distinct[random.below(600)]!)];
  const { pages } = await pagesOf(text, [values]);
  expect(pages.map(({ type }) => type)).toEqual([dictionaryPage, 0]);
  const three = await pagesOf(text, [Array(3).fill('thrice')]);
  expect(three.pages.map(({ type }) => type)).toEqual([dictionaryPage, 0]);
});

test('a dictionary that grows too large is kept for the pages that have it', async () => {
  const values = [...fewWords(600), ...noise(600), ...fewWords(600)];
  const { pages } = await pagesOf(text, [values], { pageRows: 600, dictionaryBytes: 1_000 });
  expect(pages.map(({ type, entries, encoding }) => [type, entries, encoding])).toEqual([
    [dictionaryPage, 20, plain],
    [0, 600, dictionary],
    [0, 600, plain],
    [0, 600, plain],
  ]);
});

test('uuids have no dictionary, and booleans are plain bits: older readers of Iceberg know no other', async () => {
  const uuid = 'f79c3e09-677c-4bbd-a479-3f349cb785e7';
  for (const pageVersion of [1, 2] as const) {
    const uuids = await pagesOf({ kind: 'uuid' }, [Array(500).fill(uuid)], { pageVersion });
    expect(uuids.pages.map(({ encoding }) => encoding)).toEqual([plain]);
    const booleans = await pagesOf({ kind: 'boolean' }, [Array(500).fill(true)], { pageVersion });
    expect(booleans.pages.map(({ encoding }) => encoding)).toEqual([plain]);
  }
});

test('version 2 has deltas where there is no dictionary, unless they are no shorter', async () => {
  const encodingsOf = async (type: Type, values: string[], pageVersion: 1 | 2): Promise<number[]> =>
    (await pagesOf(type, [values], { pageVersion })).pages.map(({ encoding }) => encoding);
  const ascending = Array.from({ length: 1_000 }, (_, i) => String(i * 1_000));
  const anyLong = Array.from({ length: 1_000 }, () =>
    String(BigInt.asIntN(64, BigInt(`0x${Buffer.from(random.bytes(8)).toString('hex')}`))),
  );
  expect(await encodingsOf(long, ascending, 2)).toEqual([deltaInts]);
  expect(await encodingsOf({ kind: 'int' }, ascending, 2)).toEqual([deltaInts]);
  expect(await encodingsOf(text, noise(1_000), 2)).toEqual([deltaBytes]);
  expect(await encodingsOf(long, anyLong, 2)).toEqual([plain]);
  expect(await encodingsOf(long, ascending, 1)).toEqual([plain]);
  expect(await encodingsOf(text, noise(1_000), 1)).toEqual([plain]);
});

test('pages of version 2 that do not shrink say that they are not compressed', async () => {
  const options = { codec: 'zstd', pageVersion: 2, pageRows: 500 } as const;
  const noisy = await pagesOf({ kind: 'fixed', length: 12 }, [noise(1_000)], options);
  expect(noisy.pages.map(({ isCompressed }) => isCompressed)).toEqual([false, false]);
  expect(noisy.pages.every(({ rawBytes, bodyBytes }) => rawBytes === bodyBytes)).toBe(true);
  const same = await pagesOf(text, [Array(1_000).fill('x'.repeat(100))], { ...options, dictionaryBytes: 1 });
  expect(same.pages.map(({ isCompressed }) => isCompressed)).toEqual([true, true]);
});

test('a page ends with its rows, its bytes, or a batch that has filled it well', async () => {
  const sizes = async (options: Partial<EncodingOptions>, ...batches: string[][]): Promise<number[]> =>
    (await pagesOf(text, batches, { dictionaryBytes: 1, ...options })).pages.map(({ entries }) => entries);
  expect(await sizes({ pageRows: 400 }, noise(1_000))).toEqual([400, 400, 200]);
  // 28 bytes each, with their lengths.
  expect(await sizes({ pageBytes: 2_800 }, noise(250))).toEqual([100, 100, 50]);
  expect(await sizes({ pageBytes: 10 }, noise(3))).toEqual([1, 1, 1]);
  // Small batches share a page, so that it is worth compressing.
  expect(await sizes({}, noise(100), noise(100), noise(100))).toEqual([300]);
  expect(await sizes({}, noise(2_000), noise(1_000), noise(100))).toEqual([3_000, 100]);
  expect(await sizes({ pageBytes: 2_800 }, noise(90), noise(90))).toEqual([100, 80]);
});

test('rows are not divided among pages, however many values they have', async () => {
  const list: Type = { kind: 'list', elementId: 2, elementRequired: false, element: long };
  const rows = [[...Array(50).keys()].map(String), [], null, ['1', null], ['2'], ['3']];
  const { pages } = await pagesOf(list, [rows], { pageBytes: 100, dictionaryBytes: 1 });
  expect(pages.map(({ entries }) => entries)).toEqual([50, 6]);
  const byRows = await pagesOf(list, [rows], { pageRows: 2, dictionaryBytes: 1 });
  expect(byRows.pages.map(({ entries }) => entries)).toEqual([51, 3, 2]);
});

test('each row group has a dictionary of its own', async () => {
  const { groups } = await pagesOf(text, [fewWords(300), noise(300), fewWords(300)], { rowGroupBytes: 1 });
  expect(groups.map(({ columns }) => columns[0]!.meta_data!.dictionary_page_offset !== undefined)).toEqual([
    true,
    false,
    true,
  ]);
});
