import { stat } from 'node:fs/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Table } from '../../src/catalog/catalog.ts';
import { newSpec } from '../../src/iceberg/partition-by.ts';
import { schemaToJson } from '../../src/iceberg/schema.ts';
import type { PartitionValue } from '../../src/iceberg/transforms.ts';
import { localPath } from '../../src/storage/local.ts';
import { type Canonical, type Row, sorted } from '../tools/canonical.ts';
import { java } from '../tools/java.ts';
import { python } from '../tools/python.ts';
import { doubleBits, everyType, floatBits } from '../unit/arrow/rows.ts';
import { expectedMetrics } from '../unit/iceberg/bounds.ts';
import {
  asPyIcebergReads,
  boundedPrefix,
  everyTypeFiles,
  field,
  filteredFields,
  filteredFiles,
  partitionings,
} from './samples.ts';
import {
  type Described,
  duckRows,
  Lake,
  type Planned,
  plannedBy,
  readers,
  rowsBy,
  schemaOf,
} from './tables-lake.ts';

/** Tables that the program wrote, read by libraries nobody here wrote. */

let lake: Lake;
beforeAll(async () => {
  // A folder with a blank, a letter beyond ASCII and what looks like an escape.
  lake = await Lake.open('frazil größe %41-');
});
afterAll(async () => {
  await lake[Symbol.asyncDispose]();
  await java.close();
  await python.close();
});

const numberField = field('n', { kind: 'long' }, true);

describe('a table of every type', () => {
  const files = everyTypeFiles;
  const all = sorted(files.flat());
  const snapshots: Table[] = [];

  beforeAll(async () => {
    // Row groups of a few rows: each file has several.
    const properties = { 'write.parquet.row-group-size-bytes': '2000' };
    let table = await lake.create('every type', { fields: everyType.fields, properties });
    for (const group of [files.slice(0, 1), files.slice(1, 3), files.slice(3)]) {
      table = await lake.appendPartitions(
        table,
        group.map((rows) => [[], rows]),
        20,
      );
      snapshots.push(table);
    }
  });

  test('Java reads every value', async () => {
    expect(await rowsBy(java, snapshots.at(-1)!)).toEqual(all);
  });

  test('PyIceberg reads every value', async () => {
    expect(await rowsBy(python, snapshots.at(-1)!)).toEqual(sorted(asPyIcebergReads(all)));
  });

  test('DuckDB reads every value', async () => {
    expect(await duckRows(snapshots.at(-1)!)).toEqual(all);
  });

  test.each(readers)('%s sees schema, snapshots and totals as they are', async (_name, tool) => {
    const table = snapshots.at(-1)!;
    const described = await tool.call<Described>('readTable', lake.at(tool, 'db.every type'));
    expect(described.formatVersion).toBe(2);
    expect(described.uuid).toBe(table.metadata['table-uuid']);
    expect(described.schema).toMatchObject(JSON.parse(JSON.stringify(schemaToJson(schemaOf(table)))));
    const ids = table.metadata.snapshots.map((snapshot) => String(snapshot['snapshot-id']));
    expect(
      described.snapshots.map(({ id, parentId, sequenceNumber, operation }) => [
        id,
        parentId,
        sequenceNumber,
        operation,
      ]),
    ).toEqual([
      [ids[0], null, '1', 'append'],
      [ids[1], ids[0], '2', 'append'],
      [ids[2], ids[1], '3', 'append'],
    ]);
    expect(described.currentSnapshotId).toBe(ids[2]);
    expect(described.refs).toEqual({ main: ids[2] });
    expect(
      described.snapshots.map(({ summary }) => [
        summary['added-records'],
        summary['total-records'],
        summary['total-data-files'],
      ]),
    ).toEqual([
      ['3', '3', '1'],
      ['120', '123', '3'],
      ['60', '183', '4'],
    ]);
  });

  test.each(readers)('%s reads each snapshot as it was', async (_name, tool) => {
    const table = snapshots.at(-1)!;
    const upTo = [files.slice(0, 1), files.slice(0, 3), files];
    for (const [i, snapshot] of table.metadata.snapshots.entries()) {
      const rows = await rowsBy(tool, table, { snapshotId: String(snapshot['snapshot-id']) });
      const expected = upTo[i]!.flat();
      expect(rows).toEqual(sorted(tool === python ? asPyIcebergReads(expected) : expected));
    }
  });

  test.each(readers)(
    '%s plans files with the counts and bounds that their rows have',
    async (_name, tool) => {
      const table = snapshots.at(-1)!;
      const planned = await plannedBy(tool, table);
      expect(planned).toHaveLength(files.length);
      for (const file of planned) {
        const rows = lake.written.get(file.path)!;
        const { valueCounts, nullCounts, nanCounts, lowerBounds, upperBounds } = file;
        expect({ valueCounts, nullCounts, nanCounts, lowerBounds, upperBounds }).toEqual(
          expectedMetrics(schemaOf(table), rows),
        );
        expect(file.recordCount).toBe(String(rows.length));
        await checkFile(file);
        if (tool === java) {
          expect(file.dataSequenceNumber).toBe(file.fileSequenceNumber);
          expect(['1', '2', '3']).toContain(file.dataSequenceNumber);
        }
      }
    },
  );

  test('Java reads back our metadata word for word', async () => {
    const table = snapshots.at(-1)!;
    const answered = await java.call<{ location: string; json: string }>(
      'loadMetadata',
      lake.at(java, 'db.every type'),
    );
    expect(answered.location).toBe(table.metadataLocation);
    expect(answered.json).toBe(Buffer.from(await lake.ports.store.get(table.metadataLocation)).toString());
  });
});

/** What holds of every file we write. */
async function checkFile(file: Planned): Promise<void> {
  const { size } = await stat(localPath(file.path));
  expect(file.fileSizeBytes).toBe(String(size));
  expect(file.content).toBe('DATA');
  expect(file.deletes).toEqual([]);
  expect(file.sortOrderId).toBe(0);
  const footer = await python.call<{
    rowGroups: {
      columns: { compressedBytes: number; dataPageOffset: number; dictionaryPageOffset: number | null }[];
    }[];
    numRows: number;
  }>('parquetFooter', { path: file.path });
  expect(String(footer.numRows)).toBe(file.recordCount);
  const starts = footer.rowGroups.map(
    ({ columns }) => columns[0]!.dictionaryPageOffset ?? columns[0]!.dataPageOffset,
  );
  expect(file.splitOffsets).toEqual(starts);
  const bytes = footer.rowGroups.flatMap(({ columns }) => columns.map((column) => column.compressedBytes));
  const sum = (numbers: readonly number[]): number => numbers.reduce((a, b) => a + b, 0);
  expect(sum(Object.values(file.columnSizes).map(Number))).toBe(sum(bytes));
}

describe('a table without rows', () => {
  test.each(readers)('%s reads no rows from it', async (_name, tool) => {
    const table = await lake.create('empty', { fields: [numberField] });
    expect(await rowsBy(tool, table)).toEqual([]);
    expect(await plannedBy(tool, table)).toEqual([]);
  });

  test('a snapshot without files has no rows, and none are lost to it', async () => {
    let table = await lake.create('nothing added', { fields: [numberField] });
    table = await lake.append(table);
    for (const [, tool] of readers) expect(await rowsBy(tool, table)).toEqual([]);
    expect(await duckRows(table)).toEqual([]);
    table = await lake.append(table, [{ n: '1' }]);
    table = await lake.append(table);
    for (const [, tool] of readers) expect(await rowsBy(tool, table)).toEqual([{ n: '1' }]);
    expect(await duckRows(table)).toEqual([{ n: '1' }]);
  });
});

describe('tables divided by the values of a column', () => {
  test.each(
    partitionings.map(
      (each) =>
        [`${each[0].kind} ${'precision' in each[0] ? each[0].precision : ''}`.trim(), ...each] as const,
    ),
  )('a %s divides a table as its readers expect', async (name, type, values, toPartition) => {
    const column = 'wo größe';
    let table = await lake.create(`by ${name}`, {
      fields: [field(column, type), numberField],
      spec: (schema) => newSpec(schema, [column]),
    });
    const groups = [...values, null].map((value, i): [PartitionValue[], Row[]] => [
      [value === null ? null : toPartition(value as string)],
      [
        { [column]: value, n: String(i) },
        { [column]: value, n: String(i + 100) },
      ],
    ]);
    table = await lake.appendPartitions(table, groups);
    const rows = sorted(groups.flatMap(([, group]) => group));
    for (const [, tool] of readers) {
      expect(await rowsBy(tool, table)).toEqual(rows);
      const planned = await plannedBy(tool, table);
      expect(sorted(planned.map(({ partition }) => partition))).toEqual(
        sorted([...values, null].map((value) => ({ [column]: value }))),
      );
    }
    expect(await duckRows(table)).toEqual(rows);

    // Each value's filter finds its rows, and opens the one file that has them.
    for (const [i, value] of [...values, null].entries()) {
      const nan = value === floatBits(Number.NaN);
      const filter =
        value === null
          ? { op: 'is-null', field: column }
          : nan
            ? { op: 'is-nan', field: column }
            : { op: 'eq', field: column, value };
      for (const [, tool] of readers) {
        const found = await rowsBy(tool, table, { filter });
        // -0 and 0 are equal to a filter, and stand in one file here.
        expect(found.map((row) => row['n']).sort(), JSON.stringify(filter)).toEqual(
          [String(i), String(i + 100)].sort(),
        );
        const planned = await plannedBy(tool, table, { filter });
        expect(planned.map(({ partition }) => partition[column])).toEqual([value]);
      }
    }
  });

  test('a table divided by several columns has a file for each combination', async () => {
    let table = await lake.create('several', {
      fields: [field('region', { kind: 'string' }), field('day', { kind: 'date' }), numberField],
      spec: (schema) => newSpec(schema, ['day', 'region']),
    });
    const combinations = ['eu', 'us', null].flatMap((region) =>
      ['19782', null].map((day) => [region, day] as const),
    );
    table = await lake.appendPartitions(
      table,
      combinations.map(([region, day], i) => [
        [day === null ? null : Number(day), region],
        [{ region, day, n: String(i) }],
      ]),
    );
    for (const [, tool] of readers) {
      expect(await rowsBy(tool, table)).toEqual(
        sorted(combinations.map(([region, day], i) => ({ region, day, n: String(i) }))),
      );
      const filter = {
        op: 'and',
        left: { op: 'eq', field: 'region', value: 'eu' },
        right: { op: 'is-null', field: 'day' },
      };
      expect((await plannedBy(tool, table, { filter })).map(({ partition }) => partition)).toEqual([
        { day: null, region: 'eu' },
      ]);
    }
  });
});

describe('filters', () => {
  let table: Table;
  let names: Map<string, string>;

  beforeAll(async () => {
    table = await lake.create('filtered', {
      fields: filteredFields,
    });
    for (const rows of Object.values(filteredFiles)) table = await lake.append(table, rows);
    const planned = await plannedBy(java, table);
    const bySequence = planned.toSorted(
      (a, b) => Number(a.dataSequenceNumber) - Number(b.dataSequenceNumber),
    );
    names = new Map(bySequence.map(({ path }, i) => [path, Object.keys(filteredFiles)[i]!]));
  });

  const compare = (op: string, name: string, value?: Canonical): object =>
    value === undefined ? { op, field: name } : { op, field: name, value };

  test.each([
    [compare('eq', 'n', '5'), ['low'], []],
    [compare('eq', 'n', '10'), ['low'], ['10']],
    [compare('eq', 'n', '15'), ['middle', 'mixed'], ['15']],
    [compare('gt', 'n', '20'), ['high'], ['21', '30']],
    [compare('gt-eq', 'n', '20'), ['middle', 'high'], ['20', '21', '30']],
    [compare('lt', 'n', '1'), [], []],
    [compare('lt-eq', 'n', '1'), ['low'], ['1']],
    [compare('gt', 'n', '30'), [], []],
    [compare('is-null', 'n'), ['nulls', 'mixed'], [null, null, null]],
    [compare('not-null', 'n'), ['low', 'middle', 'high', 'mixed'], ['1', '10', '11', '20', '21', '30', '15']],
    [compare('eq', 'text', 'a'), ['low'], ['1']],
    [compare('eq', 'text', 'b'), ['mixed'], [null]],
    [compare('eq', 'text', `${boundedPrefix}y`), ['middle'], []],
    [compare('eq', 'text', `${boundedPrefix}x`), ['middle'], ['11']],
    // Beyond the raised bound of all that begin with the prefix.
    [compare('gt', 'text', 'abcdefghijklmnoq'), ['high', 'mixed'], ['21', '30', null]],
    [compare('starts-with', 'text', boundedPrefix), ['middle'], ['11', '20']],
    // U+FFFF lies below U+10000, whatever UTF-16 says.
    [compare('gt-eq', 'text', '\u{10000}'), ['high'], ['21']],
    [compare('lt', 'text', 'a'), [], []],
    [compare('eq', 'inner.x', doubleBits(7)), ['mixed'], ['15']],
    [compare('gt', 'inner.x', doubleBits(50)), ['high'], ['21', '30']],
    [compare('is-nan', 'inner.x'), ['middle'], ['20']],
    [compare('is-null', 'inner.x'), ['nulls', 'mixed'], [null, null, null]],
  ] as [object, string[], (string | null)[]][])(
    '%o opens the files %o and finds the rows %o',
    async (filter, files, found) => {
      const order = (values: readonly (string | null)[]): (string | null)[] =>
        [...values].sort((a, b) => (String(a) < String(b) ? -1 : 1));
      for (const [name, tool] of readers) {
        const planned = await plannedBy(tool, table, { filter });
        expect(planned.map(({ path }) => names.get(path)!).sort(), name).toEqual([...files].sort());
        // PyIceberg finds no NaN where it must look into the file, in no file of anybody's.
        if (tool === python && (filter as { op: string }).op === 'is-nan') continue;
        const rows = await rowsBy(tool, table, { filter });
        expect(order(rows.map(({ n }) => n as string | null)), name).toEqual(order(found));
      }
    },
  );
});

test('filters find uuids, however readers order them', async () => {
  const values = ['00', '079c3e09', '7f', '80', 'f79c3e09', 'ff'].map((start) =>
    start.padEnd(32, '1').replace(/^(.{8})(.{4})(.{4})(.{4})/, '$1-$2-$3-$4-'),
  );
  let table = await lake.create('uuids', {
    fields: [
      field('u', { kind: 'uuid' }),
      field('inner', { kind: 'struct', fields: [field('u', { kind: 'uuid' })] }),
    ],
  });
  table = await lake.append(
    table,
    values.map((u) => ({ u, inner: { u } })),
  );
  for (const u of values)
    for (const name of ['u', 'inner.u'])
      for (const [reader, tool] of readers)
        expect(await rowsBy(tool, table, { filter: { op: 'eq', field: name, value: u } }), reader).toEqual([
          { u, inner: { u } },
        ]);
});

describe('properties of a table', () => {
  const rows = Array.from({ length: 300 }, (_, i): Row => ({ n: String(i), text: `text ${i % 7}` }));
  const fields = [numberField, field('text', { kind: 'string' })];

  test.each(['zstd', 'gzip', 'snappy', 'lz4', 'uncompressed'])(
    'pages compressed with %s are read by all',
    async (codec) => {
      let table = await lake.create(`codec ${codec}`, {
        fields,
        properties: { 'write.parquet.compression-codec': codec },
      });
      table = await lake.append(table, rows);
      for (const [, tool] of readers) expect(await rowsBy(tool, table)).toEqual(sorted(rows));
      expect(await duckRows(table)).toEqual(sorted(rows));
    },
  );

  test('compressed metadata in a folder of its own is read by all', async () => {
    const folder = `file://${lake.folder}/else where/metadata`;
    let table = await lake.create('elsewhere', {
      fields,
      properties: { 'write.metadata.compression-codec': 'gzip', 'write.metadata.path': folder },
    });
    table = await lake.append(table, rows);
    expect(table.metadataLocation.startsWith(`${folder}/00001-`)).toBe(true);
    for (const [, tool] of readers) expect(await rowsBy(tool, table)).toEqual(sorted(rows));
  });

  test.each(['none', 'counts', 'full', 'truncate(2)'])(
    'with metrics of the mode %s filters lose nothing',
    async (mode) => {
      let table = await lake.create(`metrics ${mode}`, {
        fields,
        properties: { 'write.metadata.metrics.default': mode },
      });
      table = await lake.append(table, rows);
      const filter = {
        op: 'and',
        left: { op: 'gt', field: 'n', value: '290' },
        right: { op: 'eq', field: 'text', value: 'text 5' },
      };
      const expected = rows.filter((row) => Number(row['n']) > 290 && row['text'] === 'text 5');
      for (const [, tool] of readers) expect(await rowsBy(tool, table, { filter })).toEqual(sorted(expected));
    },
  );
});

test('names of columns and tables may hold anything', async () => {
  const names = ['wo rd', 'größe', '日本', 'x-y', 'SELECT', '1st', 'a"b', 'ß'];
  let table = await lake.create('größe & 日本 "x"', {
    fields: names.map((name) => field(name, { kind: 'struct', fields: [field(name, { kind: 'string' })] })),
  });
  const rows = ['one', null].map(
    (value): Row => Object.fromEntries(names.map((name) => [name, { [name]: value }])),
  );
  table = await lake.append(table, rows);
  for (const [, tool] of readers) expect(await rowsBy(tool, table)).toEqual(sorted(rows));
  expect(await duckRows(table)).toEqual(sorted(rows));
  for (const [, tool] of readers) {
    const described = await tool.call<Described>('readTable', lake.at(tool, 'db.größe & 日本 "x"'));
    expect(sorted(described.rows)).toEqual(sorted(rows));
  }
});

test('thousands of rows in many row groups are all there', async () => {
  let table = await lake.create('many', {
    fields: [numberField, field('text', { kind: 'string' })],
    properties: { 'write.parquet.row-group-size-bytes': '5000', 'write.parquet.page-size-bytes': '500' },
  });
  const rows = Array.from(
    { length: 20_000 },
    (_, i): Row => ({ n: String(i), text: i % 3 ? `text ${i * 7919}` : null }),
  );
  table = await lake.appendPartitions(
    table,
    [
      [[], rows.slice(0, 15_000)],
      [[], rows.slice(15_000)],
    ],
    500,
  );
  const [file] = await plannedBy(java, table);
  expect(file!.splitOffsets.length).toBeGreaterThan(5);
  for (const [, tool] of readers) expect(await rowsBy(tool, table)).toEqual(sorted(rows));
  const [sums] = await duckRows(table, 'SELECT count(*) AS c, count(text) AS t, sum(n) AS s FROM t');
  expect(sums).toEqual({
    c: '20000',
    t: String(rows.filter((row) => row['text'] !== null).length),
    s: String((20_000 * 19_999) / 2),
  });
});
