import { expect, test } from 'vitest';
import {
  type BooleanColumn,
  type Column,
  type Int32Column,
  type ListColumn,
  makeColumn,
  type StructColumn,
} from '../../../src/arrow/columns.ts';
import { setLength, setLengthPresent } from '../../../src/arrow/set-length.ts';
import type { Type } from '../../../src/iceberg/types.ts';

const none: ReadonlySet<Column> = new Set();
const int: Type = { kind: 'int' };

function mark(column: Column, row: number): void {
  column.validity![row >> 3]! |= 1 << (row & 7);
}

test('rows that were written are counted with their nulls, and what is behind them is forgotten', () => {
  const column = makeColumn(int, true) as Int32Column;
  for (let i = 0; i < 5; i++) column.append(i);
  column.makeRoom(100);
  for (let row = 5; row < 100; row++) if (row % 3 !== 0) mark(column, row);
  setLength(column, 100, none);
  expect([column.length, column.nullCount]).toEqual([100, 32]);
  mark(column, 100);
  setLength(column, 100, none);
  expect([column.length, column.nullCount, column.isNull(100)]).toEqual([100, 32, true]);
  column.appendNull();
  expect([column.nullCount, column.isNull(100)]).toEqual([33, true]);
});

test('a boolean that was written and not counted is not there later', () => {
  const column = makeColumn({ kind: 'boolean' }, false) as BooleanColumn;
  column.values[0]! |= 0b11;
  setLength(column, 1, none);
  column.append(false);
  expect([column.get(0), column.get(1)]).toEqual([true, false]);
});

test('elements of a row that failed are taken back, at any depth', () => {
  const inner: Type = { kind: 'struct', fields: [{ id: 1, name: 'x', required: false, type: int }] };
  const list = makeColumn(
    { kind: 'list', elementId: 1, elementRequired: true, element: inner },
    false,
  ) as ListColumn;
  const struct = list.element as StructColumn;
  const leaf = struct.children[0] as Int32Column;
  const write = (row: number, values: readonly (number | null)[]): void => {
    for (const value of values) {
      if (struct.length >= struct.capacity) struct.reserve(struct.length * 2);
      leaf.values[struct.length] = value ?? 0;
      if (value !== null) mark(leaf, struct.length);
      struct.length++;
    }
    list.offsets[row + 1] = struct.length;
  };
  write(0, [1, null]);
  write(1, new Array(500).fill(3));
  write(2, [4, 5]);
  setLength(list, 2, none);
  expect([list.length, struct.length, leaf.length, leaf.nullCount]).toEqual([2, 502, 502, 1]);
  expect([leaf.isNull(502), leaf.isNull(503)]).toEqual([true, true]);
});

test('columns that count for themselves only lose what is too much', () => {
  const column = makeColumn(int, true) as Int32Column;
  column.appendNull();
  column.append(2);
  setLength(column, 2, new Set([column]));
  expect([column.length, column.nullCount]).toEqual([2, 1]);
  setLength(column, 1, new Set([column]));
  expect([column.length, column.nullCount]).toEqual([1, 1]);
});

test('rows that cannot have been written are a defect', () => {
  expect(() => setLength(makeColumn(int, false), 65, none)).toThrow(
    'room for 65 values, there is room for 64',
  );
});

test('members of a struct have room whenever it has', () => {
  const struct = makeColumn(
    { kind: 'struct', fields: [{ id: 1, name: 'x', required: true, type: int }] },
    true,
  );
  struct.makeRoom(1000);
  expect((struct as StructColumn).children[0]!.capacity).toBeGreaterThanOrEqual(struct.capacity);
});

test.each([0, 1, 7, 8, 9, 63])('all present from %i on', (from) => {
  for (const count of [1, 7, 8, 9, 40]) {
    const column = makeColumn(int, true);
    for (let i = 0; i < from; i++) column.appendNull();
    column.makeRoom(count);
    setLengthPresent(column, from + count);
    expect([column.length, column.nullCount]).toEqual([from + count, from]);
    for (let row = 0; row < from + count + 8; row++)
      expect(column.isNull(row)).toBe(row < from || row >= from + count);
  }
});
