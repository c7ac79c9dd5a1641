import { expect, test } from 'vitest';
import {
  BytesColumn,
  type Column,
  Columns,
  DecimalColumn,
  FixedColumn,
  Int64Column,
  type ListColumn,
  type MapColumn,
  makeColumn,
  type StructColumn,
} from '../../../src/arrow/columns.ts';
import { gather, gatherRows } from '../../../src/arrow/gather.ts';
import type { Field, Type } from '../../../src/iceberg/types.ts';
import type { Canonical } from '../../tools/canonical.ts';
import { append, columnsOf, everyType, rowsOf, valueAt } from './rows.ts';

const field = (name: string, type: Type, required = false): Field => ({ id: 0, name, required, type });

function filled(type: Type, nullable: boolean, values: readonly Canonical[]): Column {
  const column = makeColumn(type, nullable);
  for (const value of values) append(column, type, value);
  return column;
}

test.each([
  0,
  1,
  -1,
  2 ** 31 - 1,
  2 ** 31,
  -(2 ** 31),
  -(2 ** 31) - 1,
  2 ** 32,
  -(2 ** 32),
  2 ** 32 - 1,
  -(2 ** 32) - 1,
])('the number %d goes into a long as it is', (number) => {
  const column = new Int64Column(false);
  column.appendNumber(number);
  expect(column.values[0]).toBe(BigInt(number));
});

test('the greatest safe numbers go into a long as they are', () => {
  const column = new Int64Column(false);
  column.appendNumber(Number.MAX_SAFE_INTEGER);
  column.appendNumber(Number.MIN_SAFE_INTEGER);
  expect([...column.values.subarray(0, 2)]).toEqual([2n ** 53n - 1n, -(2n ** 53n) + 1n]);
});

test('a long takes its halves low first, as Arrow has it', () => {
  const column = new Int64Column(false);
  column.append(0x44332211, 0x08070605);
  column.append(-1, -1);
  expect(Buffer.from(column.values.buffer, 0, 16).toString('hex')).toBe('1122334405060708ffffffffffffffff');
});

test('a decimal is 128 bits of two’s complement, low byte first', () => {
  const column = new DecimalColumn(false);
  const max = 10n ** 38n - 1n;
  for (const value of [1n, -1n, max, -max, 2n ** 64n, -(2n ** 64n)]) column.appendBigInt(value);
  column.append(0, -2147483648); // the least that fits 64 bits
  column.append(-1, 0);
  expect(Array.from({ length: 8 }, (_, i) => column.get(i))).toEqual([
    1n,
    -1n,
    max,
    -max,
    2n ** 64n,
    -(2n ** 64n),
    -(2n ** 63n),
    2n ** 32n - 1n,
  ]);
  expect(Buffer.from(column.values.buffer, 16, 16).toString('hex')).toBe('ff'.repeat(16));
});

test('bytes of every length arrive whole, short ones and long ones', () => {
  const column = new BytesColumn(false);
  const source = Buffer.from(Array.from({ length: 5_000 }, (_, i) => i * 7));
  const lengths = [0, 1, 47, 48, 49, 500, 4_000, 0, 3];
  for (const length of lengths) column.append(source, 11, 11 + length);
  for (const [i, length] of lengths.entries())
    expect(Buffer.compare(column.get(i), source.subarray(11, 11 + length))).toBe(0);
});

test('fixed values are taken from where they stand', () => {
  const column = new FixedColumn(3, true);
  column.append(Buffer.from('xxabcxx'), 2);
  column.appendNull();
  column.append(Buffer.from('def'), 0);
  expect(Buffer.from(column.get(0)).toString()).toBe('abc');
  expect([...column.get(1)]).toEqual([0, 0, 0]);
  expect(Buffer.from(column.get(2)).toString()).toBe('def');
});

test('the size in use is that of the buffers without what is spare', () => {
  const strings: Type = { kind: 'string' };
  const size = (type: Type, nullable: boolean, values: Canonical[]): number =>
    filled(type, nullable, values).byteLength();
  const nine = new Array<string>(9).fill('0');
  expect(size({ kind: 'boolean' }, false, new Array<boolean>(9).fill(true))).toBe(2);
  expect(size({ kind: 'boolean' }, true, new Array<boolean>(9).fill(true))).toBe(2 + 2);
  expect(size({ kind: 'int' }, false, nine)).toBe(36);
  expect(size({ kind: 'long' }, true, nine)).toBe(72 + 2);
  expect(size({ kind: 'float' }, false, ['3f800000'])).toBe(4);
  expect(size({ kind: 'double' }, false, ['3ff0000000000000'])).toBe(8);
  expect(size({ kind: 'decimal', precision: 3, scale: 0 }, false, ['1', '2'])).toBe(32);
  expect(size({ kind: 'uuid' }, true, [null])).toBe(16 + 1);
  expect(size({ kind: 'fixed', length: 5 }, false, ['0011223344'])).toBe(5);
  expect(size(strings, false, ['abc', 'é'])).toBe(3 * 4 + 5);
  const list: Type = { kind: 'list', elementId: 0, elementRequired: true, element: { kind: 'int' } };
  expect(size(list, true, [['1', '2'], null])).toBe(3 * 4 + 2 * 4 + 1);
  const map: Type = {
    kind: 'map',
    keyId: 0,
    valueId: 0,
    valueRequired: true,
    key: strings,
    value: { kind: 'int' },
  };
  expect(size(map, false, [[['k', '1']]])).toBe(2 * 4 + (2 * 4 + 1) + 4);
  expect(size({ kind: 'struct', fields: [field('a', strings)] }, false, [{ a: null }])).toBe(2 * 4 + 1);
});

test('a column has a bitmap exactly where it or a struct around it may be null', () => {
  const leaf: Type = { kind: 'int' };
  const struct = (required: boolean): StructColumn =>
    makeColumn(
      { kind: 'struct', fields: [field('r', leaf, true), field('o', leaf)] },
      !required,
    ) as StructColumn;
  const bitmaps = (column: StructColumn): boolean[] =>
    [column, ...column.children].map((each) => each.validity !== undefined);
  expect(bitmaps(struct(true))).toEqual([false, false, true]);
  expect(bitmaps(struct(false))).toEqual([true, true, true]);
  // A null list or map has no elements: what is inside does not depend on it.
  const list = makeColumn(
    { kind: 'list', elementId: 0, elementRequired: true, element: leaf },
    true,
  ) as ListColumn;
  expect([list.validity, list.element.validity].map(Boolean)).toEqual([true, false]);
  const map = makeColumn(
    { kind: 'map', keyId: 0, key: leaf, valueId: 0, valueRequired: false, value: leaf },
    true,
  ) as MapColumn;
  expect([map.validity, map.key.validity, map.value.validity].map(Boolean)).toEqual([true, false, true]);
});

test('a null struct takes a slot in each of its members, at every depth', () => {
  const inner: Type = { kind: 'struct', fields: [field('x', { kind: 'long' }, true)] };
  const type: Type = {
    kind: 'struct',
    fields: [field('inner', inner, true), field('y', { kind: 'string' })],
  };
  const column = filled(type, true, [{ inner: { x: '1' }, y: 'a' }, null, { inner: { x: '3' }, y: null }]);
  const struct = column as StructColumn;
  const child = struct.children[0] as StructColumn;
  expect([struct.length, child.length, child.children[0]!.length, struct.children[1]!.length]).toEqual([
    3, 3, 3, 3,
  ]);
  expect([
    struct.nullCount,
    child.nullCount,
    child.children[0]!.nullCount,
    struct.children[1]!.nullCount,
  ]).toEqual([1, 1, 1, 2]);
  expect(valueAt(column, type, 2)).toEqual({ inner: { x: '3' }, y: null });
});

test('a null list or map takes no slot of its elements', () => {
  const type: Type = { kind: 'list', elementId: 0, elementRequired: false, element: { kind: 'int' } };
  const column = filled(type, true, [['1'], null, [], [null, '2']]) as ListColumn;
  expect([...column.offsets.subarray(0, 5)]).toEqual([0, 1, 1, 1, 3]);
  expect(column.element.length).toBe(3);
  expect([0, 1, 2, 3].map((row) => column.isNull(row))).toEqual([false, true, false, false]);
});

test('columns of different types are not mixed', () => {
  const [ints, longs] = [makeColumn({ kind: 'int' }, true), makeColumn({ kind: 'long' }, true)];
  expect(() => gather(ints, longs, Int32Array.of())).toThrow('columns of one type (int32, int64)');
});

test('columns can be emptied and filled again, and forget what was in them', () => {
  const columns = new Columns(everyType);
  const row = Object.fromEntries(everyType.fields.map(({ name }) => [name, null])) as Record<
    string,
    Canonical
  >;
  const full = {
    ...row,
    id: '1',
    solid: { x: '3ff0000000000000', label: 'one' },
    longs: ['1', '2'],
    boolean: true,
  };
  const empty = { ...row, id: '2', solid: { x: '8000000000000000', label: null }, longs: [] };
  for (let round = 0; round < 3; round++) {
    const given = Array.from({ length: 130 }, (_, i) => ((i + round) % 3 === 0 ? full : empty));
    columns.truncate(0);
    expect(columns.rows).toBe(0);
    gatherRows(columns, columnsOf(everyType, given), Int32Array.from(given.keys()));
    expect(rowsOf(columns)).toEqual(given);
  }
});
