import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { localPath } from '../../src/storage/local.ts';
import { type Canonical, type Row, sorted } from '../tools/canonical.ts';
import { java } from '../tools/java.ts';
import { python } from '../tools/python.ts';
import { doubleBits, everyType } from '../unit/arrow/rows.ts';
import { asPyIcebergReads, everyTypeFiles, field } from './samples.ts';
import { duckRows, Lake, readers, rowsBy } from './tables-lake.ts';

/** Parquet in all the ways in which tables ask for it, read by others. */

let lake: Lake;
beforeAll(async () => {
  lake = await Lake.open();
});
afterAll(async () => {
  await lake[Symbol.asyncDispose]();
  await java.close();
  await python.close();
});

interface Footer {
  numRows: number;
  rowGroups: {
    columns: {
      path: string;
      compression: string;
      encodings: string[];
      hasColumnIndex: boolean;
      hasOffsetIndex: boolean;
      statistics: { min: Canonical; max: Canonical; nullCount: number } | null;
    }[];
  }[];
}

/** All rows twice: some columns get dictionaries. */
const rows = everyTypeFiles.flat().flatMap((row) => [row, row]);

test.each([
  ['zstd', 'v1', '2097152'],
  ['zstd', 'v2', '300'],
  ['gzip', 'v1', '300'],
  ['snappy', 'v1', '2097152'],
  ['snappy', 'v2', '300'],
  ['lz4', 'v1', '300'],
  ['uncompressed', 'v2', '300'],
])(
  '%s, pages of %s, dictionaries of up to %s bytes: everybody reads every value',
  async (codec, version, bytes) => {
    let table = await lake.create(`${codec} ${version}`, {
      fields: everyType.fields,
      properties: {
        'write.parquet.compression-codec': codec,
        'write.parquet.page-version': version,
        'write.parquet.dict-size-bytes': bytes,
        'write.parquet.page-row-limit': '50',
        'write.parquet.row-group-size-bytes': '20000',
      },
    });
    table = await lake.appendPartitions(table, [[[], rows]], 61);
    const expected = sorted(rows);
    expect(await rowsBy(java, table)).toEqual(expected);
    expect(await rowsBy(python, table)).toEqual(sorted(asPyIcebergReads(rows)));
    expect(await duckRows(table)).toEqual(expected);

    const path = [...lake.written.keys()].at(-1)!;
    expect(await python.call('checkParquet', { path })).toEqual({ numRows: rows.length });
    const { rowGroups } = await python.call<Footer>('parquetFooter', { path });
    expect(rowGroups.length).toBeGreaterThan(1);
    const used = new Set(rowGroups.flatMap(({ columns }) => columns.flatMap(({ encodings }) => encodings)));
    expect(used).toEqual(
      new Set([
        'PLAIN',
        'RLE',
        'RLE_DICTIONARY',
        ...(version === 'v2' ? ['DELTA_BINARY_PACKED', 'DELTA_LENGTH_BYTE_ARRAY'] : []),
      ]),
    );
    for (const { columns } of rowGroups)
      for (const { path: name, hasOffsetIndex, compression } of columns) {
        expect(hasOffsetIndex, name).toBe(true);
        expect(compression).toBe({ lz4: 'LZ4' }[codec] ?? codec.toUpperCase());
      }
  },
);

test('a page whose bytes have changed is noticed by its checksum', async () => {
  let table = await lake.create('checked', {
    fields: [field('n', { kind: 'long' }, true)],
    properties: { 'write.parquet.compression-codec': 'uncompressed' },
  });
  table = await lake.append(
    table,
    Array.from({ length: 1_000 }, (_, i) => ({ n: String(i) })),
  );
  expect(table).toBeDefined();
  const path = [...lake.written.keys()].at(-1)!;
  const bytes = await readFile(localPath(path));
  bytes[2_000]! ^= 1;
  const damaged = join(lake.folder, 'damaged.parquet');
  await writeFile(damaged, bytes);
  await expect(python.call('checkParquet', { path: damaged })).rejects.toThrow(/CRC|checksum/i);
});

/** A value of each kind by a number, and how DuckDB's SQL writes it. */
const kinds = [
  ['int', { kind: 'int' }, (i: number) => String(i), (i: number) => `${i}::INTEGER`],
  ['long', { kind: 'long' }, (i: number) => String(i * 10 ** 10), (i: number) => `${i * 10 ** 10}::BIGINT`],
  ['text', { kind: 'string' }, (i: number) => `value ${i}`, (i: number) => `'value ${i}'`],
  ['double', { kind: 'double' }, (i: number) => doubleBits(i / 8), (i: number) => `${i / 8}::DOUBLE`],
  [
    'when',
    { kind: 'timestamp' },
    (i: number) => String(i * 10 ** 6),
    (i: number) => `make_timestamp(${i * 10 ** 6})`,
  ],
] as const;

test('row groups without a value are passed over by their Bloom filters, and none that has it', async () => {
  const fields = kinds.map(([name, type]) => field(name, type));
  const enabled = Object.fromEntries(
    kinds.map(([name]) => [`write.parquet.bloom-filter-enabled.column.${name}`, 'true']),
  );
  let table = await lake.create('filters', {
    fields,
    properties: { ...enabled, 'write.parquet.row-group-size-bytes': '1' },
  });
  // Four row groups of the numbers that leave 0, 1, 2, 3 behind: their bounds tell nothing.
  const groups = [0, 1, 2, 3].map((rest) => Array.from({ length: 50 }, (_, i) => i * 4 + rest));
  const all = groups
    .flat()
    .map((i): Row => Object.fromEntries(kinds.map(([name, , value]) => [name, value(i)])));
  table = await lake.appendPartitions(table, [[[], all]], 50);
  const path = localPath([...lake.written.keys()].at(-1)!);
  let passed = 0;
  for (const [name, , value, literal] of kinds) {
    for (const i of [0, 77, 198, 1_000, 1_001]) {
      const sql = `SELECT row_group_id::VARCHAR AS id, bloom_filter_excludes AS none FROM parquet_bloom_probe('${path}', '${name}', ${literal(i)})`;
      const { rows: probed } = await python.call<{ rows: { id: string; none: boolean }[] }>('duckdb', {
        sql,
      });
      expect(probed).toHaveLength(4);
      for (const { id, none } of probed) {
        if (i < 200 && Number(id) === i % 4) expect(none, `${name} ${i}`).toBe(false);
        if (none) passed++;
      }
      for (const [tool, repl] of readers) {
        const found = await rowsBy(repl, table, { filter: { op: 'eq', field: name, value: value(i) } });
        expect(found.length, `${tool}: ${name} ${i}`).toBe(i < 200 ? 1 : 0);
      }
    }
  }
  // Of 100 answers 85 could be "none"; one in a hundred of those may be wrong.
  expect(passed).toBeGreaterThan(80);
});

test('statistics beyond what doubles hold are exact to others', async () => {
  let table = await lake.create('exact', {
    fields: [field('n', { kind: 'long' }), field('d', { kind: 'decimal', precision: 38, scale: 0 })],
  });
  const values = ['9007199254740993', '9007199254740992', '-9007199254740993'];
  table = await lake.append(
    table,
    values.map((n) => ({ n, d: n })),
  );
  expect(await duckRows(table, 'SELECT min(n) AS a, max(n) AS b FROM t')).toEqual([
    { a: values[2], b: values[0] },
  ]);
  const path = [...lake.written.keys()].at(-1)!;
  const { rowGroups } = await python.call<Footer>('parquetFooter', { path });
  const hexOf = (value: bigint): string => BigInt.asUintN(128, value).toString(16).padStart(32, '0');
  expect(rowGroups[0]!.columns.map(({ statistics }) => [statistics!.min, statistics!.max])).toEqual([
    [values[2], values[0]],
    [hexOf(BigInt(values[2]!)), hexOf(BigInt(values[0]!))],
  ]);
});
