import fc from 'fast-check';
import { expect } from 'vitest';
import type { PartitionValue } from '../../src/iceberg/transforms.ts';
import type { Field, PrimitiveType, Type } from '../../src/iceberg/types.ts';
import { type Row, sorted } from '../tools/canonical.ts';
import type { Engine } from '../tools/engines.ts';
import { doubleBits, everyType, floatBits, rows as rowsOf, unscaled } from '../unit/arrow/rows.ts';

/** Tables that one reader after the other is given. */

export const field = (name: string, type: Type, required = false): Field => ({ id: 0, name, required, type });

// ---- every type ----

const nothing = Object.fromEntries(everyType.fields.map(({ name }) => [name, null])) as Row;
const required: Row = { ...nothing, id: '0', solid: { x: doubleBits(0), label: null }, longs: [] };
const extreme: Row = {
  ...required,
  id: '-9223372036854775808',
  boolean: true,
  int: '-2147483648',
  long: '9223372036854775807',
  float: floatBits(Number.NEGATIVE_INFINITY),
  double: doubleBits(-0),
  date: '-719162',
  time: '86399999999',
  timestamp: '-62135596800000000',
  timestamptz: '253402300799999999',
  string: '\u{10ffff}\0a',
  uuid: 'ffffffff-ffff-ffff-ffff-ffffffffffff',
  binary: 'ff'.repeat(40),
  fixed: '00ff00ff00',
  decimal9: '-9999999.99',
  decimal18: '999999999999999999',
  decimal38: `-${'9'.repeat(28)}.9999999999`,
  point: { x: doubleBits(Number.NaN), label: '' },
  texts: ['', null, 'a'],
  longs: ['-9223372036854775808', '9223372036854775807'],
  points: [null, { x: doubleBits(1), label: null }],
  matrix: [[], null, ['1', null]],
  counts: [
    ['', null],
    ['k', '1'],
  ],
  by_day: [['-5', { x: doubleBits(2), label: 'two' }]],
  deep: [
    ['a', null],
    ['b', [null, [], [['7', '-0.01']]]],
  ],
};
/** The rows of each file, the first of which holds the values at the edges. */
export const everyTypeFiles: readonly Row[][] = [
  [required, extreme, { ...nothing, ...required, id: '7' }],
  ...fc.sample(rowsOf(everyType, { minLength: 60, maxLength: 60 }), { numRuns: 3, seed: 20 }),
];

/** PyIceberg 0.12 reads a null list or map of structs as an empty one: test/tools/README.md. */
export function asPyIcebergReads(rows: readonly Row[]): Row[] {
  return rows.map((row) => ({ ...row, points: row['points'] ?? [], by_day: row['by_day'] ?? [] }));
}

/** The columns that Spark can read: it has no type for a time of day. */
export const sparkColumns: readonly Field[] = everyType.fields.filter(({ type }) => type.kind !== 'time');

export function asSparkReads(row: Row): Row {
  return Object.fromEntries(sparkColumns.map(({ name }) => [name, row[name]!])) as Row;
}

// ---- divided by the values of a column ----

// A type, some of its values in canonical form and as partition tuples hold them.
const bytesOf = (hex: string): Uint8Array => Buffer.from(hex, 'hex');
export const partitionings: [PrimitiveType, (string | boolean)[], (value: string) => PartitionValue][] = [
  [{ kind: 'boolean' }, [true, false], (value) => value],
  [{ kind: 'int' }, ['-2147483648', '0', '7'], Number],
  [{ kind: 'long' }, ['9223372036854775807', '-1'], BigInt],
  [
    { kind: 'float' },
    [floatBits(1.5), floatBits(-0), floatBits(Number.NaN)],
    (bits) => Buffer.from(bits, 'hex').readFloatBE(),
  ],
  // PyIceberg reads partition values of doubles as floats.
  [{ kind: 'double' }, [doubleBits(-1.5), doubleBits(0)], (bits) => Buffer.from(bits, 'hex').readDoubleBE()],
  [{ kind: 'date' }, ['-1', '19782'], Number],
  [{ kind: 'time' }, ['0', '86399999999'], BigInt],
  [{ kind: 'timestamp' }, ['-1', '1510871468000001'], BigInt],
  [{ kind: 'timestamptz' }, ['0', '1510871468000001'], BigInt],
  [{ kind: 'string' }, ['', 'null', 'a b/c+d=e%41', 'größe', '日本🧊', '..'], (value) => value],
  [{ kind: 'binary' }, ['', '00ff', 'fb'], bytesOf],
  [{ kind: 'decimal', precision: 9, scale: 2 }, ['-12.30', '9999999.99'], unscaled],
  [{ kind: 'decimal', precision: 20, scale: 0 }, ['-12345678901234567890', '0'], unscaled],
  [
    { kind: 'decimal', precision: 38, scale: 10 },
    [`${'9'.repeat(28)}.9999999999`, '-0.0000000001'],
    unscaled,
  ],
];

// ---- filters ----

export const filteredFields: readonly Field[] = [
  field('n', { kind: 'long' }),
  field('text', { kind: 'string' }),
  field('inner', { kind: 'struct', fields: [field('x', { kind: 'double' })] }),
];

/** As long as a bound is. */
export const boundedPrefix = 'abcdefghijklmnop';

/** Files of known contents: what must be opened for a filter can be said by hand. */
export const filteredFiles: Record<string, Row[]> = {
  low: [row('1', 'a', 1), row('10', 'ab', -0)],
  middle: [row('11', `${boundedPrefix}x`, 5), row('20', `${boundedPrefix}z`, Number.NaN)],
  high: [row('21', '\u{10000}', 100), row('30', '\uffff', 1e9)],
  nulls: [row(null, null, null), row(null, null, null)],
  mixed: [row('15', null, 7), row(null, 'b', null)],
};

function row(n: string | null, text: string | null, x: number | null): Row {
  return { n, text, inner: { x: x === null ? null : doubleBits(x) } };
}

/** A condition, the number of {@link filteredFiles} that are opened for it, and `n` of the rows that it finds. */
export const filters: readonly (readonly [
  condition: string,
  files: number,
  found: readonly (string | null)[],
])[] = [
  ['n = 5', 1, []],
  ['n = 10', 1, ['10']],
  ['n = 15', 2, ['15']],
  ['n > 20', 1, ['21', '30']],
  ['n >= 20', 2, ['20', '21', '30']],
  ['n < 1', 0, []],
  ['n <= 1', 1, ['1']],
  ['n > 30', 0, []],
  ['n IS NULL', 2, [null, null, null]],
  ['n IS NOT NULL', 4, ['1', '10', '11', '20', '21', '30', '15']],
  ["text = 'a'", 1, ['1']],
  ["text = 'b'", 1, [null]],
  [`text = '${boundedPrefix}y'`, 1, []],
  [`text = '${boundedPrefix}x'`, 1, ['11']],
  ["text > 'abcdefghijklmnoq'", 2, ['21', '30', null]],
  [`text LIKE '${boundedPrefix}%'`, 1, ['11', '20']],
  ["text >= '\u{10000}'", 1, ['21']],
  ["text < 'a'", 0, []],
  ['inner.x = 7', 1, ['15']],
  ['inner.x > 50 AND NOT is_nan(inner.x)', 1, ['21', '30']],
  ['inner.x IS NULL', 2, [null, null, null]],
];

/** Queries a table of {@link filteredFiles}. */
export async function checkFilter(
  { name, scan, column }: Engine,
  table: string,
  ...[condition, files, found]: (typeof filters)[number]
): Promise<void> {
  // `inner` is a word of SQL.
  const sql = condition.replaceAll('inner.x', `t.${column('inner')}.x`);
  const { rows, files: opened } = await scan(
    `SELECT n FROM ${table} t WHERE ${name === 'Spark' ? sql.replaceAll('is_nan', 'isnan') : sql}`,
  );
  expect(sorted(rows), `${name}: ${condition}`).toEqual(sorted(found.map((n) => ({ n }))));
  expect(opened, `${name}: ${condition}`).toBe(files);
}
