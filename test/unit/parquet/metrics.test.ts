import { expect, test } from 'vitest';
import type { BytesColumn } from '../../../src/arrow/columns.ts';
import { Columns } from '../../../src/arrow/columns.ts';
import type { Schema } from '../../../src/iceberg/schema.ts';
import type { Field, Type } from '../../../src/iceberg/types.ts';
import { encodingOptions } from '../../../src/parquet/encoder.ts';
import { parquetEncoder } from '../../../src/parquet/file-writer.ts';
import { type ColumnMetrics, columnMetrics } from '../../../src/parquet/metrics.ts';
import type { Canonical, Row } from '../../tools/canonical.ts';
import { columnsOf, doubleBits, everyType, floatBits } from '../arrow/rows.ts';
import { decodeBound, expectedMetrics, measuredLeaves } from '../iceberg/bounds.ts';

const field = (id: number, name: string, type: Type, required = false): Field => ({
  id,
  name,
  required,
  type,
});
const properties = (own: Record<string, string>): Record<string, string> =>
  Object.fromEntries(Object.entries(own).map(([name, value]) => [`write.metadata.metrics.${name}`, value]));

/** Metrics of a file of these batches. */
async function metricsOf(
  schema: Schema,
  batches: readonly Columns[],
  own: Record<string, string> = {},
): Promise<ColumnMetrics> {
  const file = parquetEncoder.open(schema, encodingOptions({}));
  for (const columns of batches) await file.write(columns);
  return columnMetrics(schema, properties(own), (await file.close()).facts);
}

function collect(fields: Field[], rows: Row[], own: Record<string, string> = {}): Promise<ColumnMetrics> {
  const schema: Schema = { schemaId: 0, fields };
  return metricsOf(schema, [columnsOf(schema, rows)], own);
}

/** Metrics of one column of these values. */
function measured(type: Type, values: Canonical[], mode = 'full'): Promise<ColumnMetrics> {
  return collect(
    [field(1, 'c', type)],
    values.map((c) => ({ c })),
    { default: mode },
  );
}

function bounds(metrics: ColumnMetrics): [string | undefined, string | undefined] {
  const hex = (bytes: Uint8Array | undefined): string | undefined =>
    bytes && Buffer.from(bytes).toString('hex');
  return [hex(metrics.lowerBounds.get(1)), hex(metrics.upperBounds.get(1))];
}

test('NaN is counted and never a bound', async () => {
  for (const [type, bits] of [
    [{ kind: 'float' }, floatBits],
    [{ kind: 'double' }, doubleBits],
  ] as const) {
    const some = await measured(type, [Number.NaN, 1, Number.NaN, -2].map(bits));
    expect(some.nanValueCounts.get(1)).toBe(2);
    expect(some.valueCounts.get(1)).toBe(4);
    expect(decodeBound(type, some.lowerBounds.get(1)!)).toBe(bits(-2));
    expect(decodeBound(type, some.upperBounds.get(1)!)).toBe(bits(1));
    const all = await measured(type, [Number.NaN, Number.NaN].map(bits));
    expect(all.nanValueCounts.get(1)).toBe(2);
    expect(bounds(all)).toEqual([undefined, undefined]);
  }
});

test('NaNs are counted even where no bounds are kept', async () => {
  const metrics = await measured({ kind: 'double' }, [doubleBits(Number.NaN), doubleBits(1), null], 'counts');
  expect([metrics.valueCounts.get(1), metrics.nullValueCounts.get(1), metrics.nanValueCounts.get(1)]).toEqual(
    [3, 1, 1],
  );
  expect(bounds(metrics)).toEqual([undefined, undefined]);
});

test('-0 lies below +0, in whatever order they come', async () => {
  for (const order of [
    [0, -0],
    [-0, 0],
  ]) {
    const metrics = await measured({ kind: 'double' }, order.map(doubleBits));
    expect(bounds(metrics)).toEqual(['0000000000000080', '0000000000000000']);
    const schema: Schema = { schemaId: 0, fields: [field(1, 'c', { kind: 'float' })] };
    const batches = order.map((value) => columnsOf(schema, [{ c: floatBits(value) }]));
    expect(bounds(await metricsOf(schema, batches))).toEqual(['00000080', '00000000']);
  }
});

test('infinities are bounds', async () => {
  const metrics = await measured(
    { kind: 'float' },
    [Number.POSITIVE_INFINITY, 0, Number.NEGATIVE_INFINITY].map(floatBits),
  );
  expect(bounds(metrics)).toEqual(['000080ff', '0000807f']);
});

test('a column of nulls has counts and no bounds', async () => {
  const metrics = await measured({ kind: 'string' }, [null, null, null]);
  expect([metrics.valueCounts.get(1), metrics.nullValueCounts.get(1)]).toEqual([3, 3]);
  expect(bounds(metrics)).toEqual([undefined, undefined]);
  expect(metrics.nanValueCounts.has(1)).toBe(false);
});

test('a required member of a null struct is null there, and its slot is no bound', async () => {
  const struct: Type = { kind: 'struct', fields: [field(2, 'x', { kind: 'int' }, true)] };
  const metrics = await collect([field(1, 's', struct)], [{ s: { x: '5' } }, { s: null }, { s: { x: '9' } }]);
  expect(metrics.valueCounts).toEqual(new Map([[2, 3]]));
  expect(metrics.nullValueCounts).toEqual(new Map([[2, 1]]));
  expect(decodeBound({ kind: 'int' }, metrics.lowerBounds.get(2)!)).toBe('5');
  expect(decodeBound({ kind: 'int' }, metrics.upperBounds.get(2)!)).toBe('9');
});

test('decimal bounds have the fewest bytes, whichever side of zero they are on', async () => {
  const decimal: Type = { kind: 'decimal', precision: 38, scale: 2 };
  expect(bounds(await measured(decimal, ['1.27', '1.28', '-1.28', '-1.29']))).toEqual(['ff7f', '0080']);
  const max = `${'9'.repeat(36)}.99`;
  expect(bounds(await measured(decimal, [max, `-${max}`, '0.00']))).toEqual([
    'b4c4b357a5793b85f675ddc000000001',
    '4b3b4ca85a86c47a098a223fffffffff',
  ]);
});

test('strings are ordered by their bytes, not by UTF-16 units', async () => {
  // U+FFFF sorts after U+10000 in UTF-16, before it in UTF-8.
  expect(bounds(await measured({ kind: 'string' }, ['\u{10000}', '\uffff']))).toEqual(['efbfbf', 'f0908080']);
});

test('uuids have counts and no bounds: readers do not agree on their order', async () => {
  const metrics = await measured({ kind: 'uuid' }, ['f79c3e09-677c-4bbd-a479-3f349cb785e7', null]);
  expect([metrics.valueCounts.get(1), metrics.nullValueCounts.get(1)]).toEqual([2, 1]);
  expect(bounds(metrics)).toEqual([undefined, undefined]);
});

test('a bound is a copy: what the column holds later does not change it', async () => {
  const schema: Schema = { schemaId: 0, fields: [field(1, 'c', { kind: 'string' })] };
  const file = parquetEncoder.open(schema, encodingOptions({}));
  const columns = new Columns(schema);
  const column = columns.columns[0] as BytesColumn;
  for (const text of ['mmm', 'nnn']) {
    column.append(Buffer.from(text), 0, 3);
    await file.write(columns);
    columns.truncate(0);
  }
  column.append(Buffer.from('zzz'), 0, 3);
  expect(bounds(columnMetrics(schema, {}, (await file.close()).facts))).toEqual([
    Buffer.from('mmm').toString('hex'),
    Buffer.from('nnn').toString('hex'),
  ]);
});

test('leaves inside lists and maps have no metrics', async () => {
  const row = Object.fromEntries(everyType.fields.map(({ name }) => [name, null])) as Row;
  const rows = [
    {
      ...row,
      id: '1',
      solid: { x: doubleBits(1), label: null },
      longs: ['1'],
      texts: ['a'],
      counts: [['k', '1']],
    },
  ];
  const metrics = await metricsOf(everyType, [columnsOf(everyType, rows)]);
  expect([...metrics.valueCounts.keys()].sort()).toEqual(
    measuredLeaves(everyType)
      .map(({ id }) => id)
      .sort(),
  );
  expect(Object.fromEntries(metrics.nullValueCounts)).toEqual(
    Object.fromEntries(
      Object.entries(expectedMetrics(everyType, rows).nullCounts).map(([id, count]) => [id, Number(count)]),
    ),
  );
});

const text17 = 'abcdefghijklmnopq';

test.each([
  [{}, true, 'abcdefghijklmnop', 'abcdefghijklmnoq'],
  [{ default: 'truncate(3)' }, true, 'abc', 'abd'],
  [{ default: 'TRUNCATE(3)' }, true, 'abc', 'abd'],
  [{ default: 'full' }, true, text17, text17],
  [{ default: 'counts' }, true, undefined, undefined],
  [{ default: 'none' }, false, undefined, undefined],
  [{ default: 'none', 'column.c': 'full' }, true, text17, text17],
  [{ default: 'full', 'column.c': 'none' }, false, undefined, undefined],
  [{ 'column.c': 'counts' }, true, undefined, undefined],
  [{ 'column.other': 'none' }, true, 'abcdefghijklmnop', 'abcdefghijklmnoq'],
  // What Java cannot make sense of it takes for its default.
  [{ default: 'truncate(0)' }, true, 'abcdefghijklmnop', 'abcdefghijklmnoq'],
  [{ default: 'all of it' }, true, 'abcdefghijklmnop', 'abcdefghijklmnoq'],
  [{ 'column.c': 'most' }, true, 'abcdefghijklmnop', 'abcdefghijklmnoq'],
] as [Record<string, string>, boolean, string?, string?][])(
  'with the metrics properties %o there are counts: %s, and bounds from %s to %s',
  async (own, counts, lower, upper) => {
    const metrics = await collect([field(1, 'c', { kind: 'string' })], [{ c: text17 }], own);
    expect(metrics.valueCounts.has(1)).toBe(counts);
    expect(metrics.nullValueCounts.has(1)).toBe(counts);
    const text = (bytes: Uint8Array | undefined): string | undefined =>
      bytes && Buffer.from(bytes).toString();
    expect([text(metrics.lowerBounds.get(1)), text(metrics.upperBounds.get(1))]).toEqual([lower, upper]);
  },
);

test('a nested column is named by its path', async () => {
  const struct: Type = {
    kind: 'struct',
    fields: [field(2, 'x', { kind: 'int' }), field(3, 'y', { kind: 'int' })],
  };
  const metrics = await collect([field(1, 's', struct)], [{ s: { x: '1', y: '2' } }], {
    'column.s.x': 'none',
  });
  expect([...metrics.valueCounts.keys()]).toEqual([3]);
});

test('of a wide table only the first hundred leaves have metrics, top-level ones first, unless the table says otherwise', async () => {
  const inner = Array.from({ length: 30 }, (_, i) => field(1_000 + i, `n${i}`, { kind: 'int' }));
  const flat = Array.from({ length: 90 }, (_, i) => field(1 + i, `c${i}`, { kind: 'int' }));
  const fields = [field(500, 's', { kind: 'struct', fields: inner }), ...flat];
  const row: Row = {
    s: Object.fromEntries(inner.map(({ name }) => [name, '1'])),
    ...Object.fromEntries(flat.map(({ name }) => [name, '1'])),
  };
  const measuredIds = async (own: Record<string, string>): Promise<number[]> => [
    ...(await collect(fields, [row], own)).valueCounts.keys(),
  ];
  const few = await measuredIds({});
  expect(few).toHaveLength(100);
  expect(flat.every(({ id }) => few.includes(id))).toBe(true);
  expect(inner.slice(0, 10).every(({ id }) => few.includes(id))).toBe(true);
  expect(await measuredIds({ default: 'counts' })).toHaveLength(120);
  expect(await measuredIds({ 'max-inferred-column-defaults': '5' })).toEqual([1, 2, 3, 4, 5]);
  expect(await measuredIds({ 'max-inferred-column-defaults': '200' })).toHaveLength(120);
  expect(await measuredIds({ 'column.s.n29': 'full' })).toHaveLength(101);
});
