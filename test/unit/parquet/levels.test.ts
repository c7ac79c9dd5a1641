import { expect, test } from 'vitest';
import type { Schema } from '../../../src/iceberg/schema.ts';
import type { Field, Type } from '../../../src/iceberg/types.ts';
import { eachLeaf, type LeafBatch } from '../../../src/parquet/levels.ts';
import type { Canonical, Row } from '../../tools/canonical.ts';
import { columnsOf } from '../arrow/rows.ts';

const field = (name: string, type: Type, required = false): Field => ({ id: 0, name, required, type });
const schemaOf = (...fields: Field[]): Schema => ({ schemaId: 0, fields });
const int: Type = { kind: 'int' };
const listOf = (element: Type, elementRequired = false): Type => ({
  kind: 'list',
  elementId: 0,
  elementRequired,
  element,
});

/** The batches, kept beyond their time. */
function batchesOf(schema: Schema, rows: Row[]): LeafBatch[] {
  const batches: LeafBatch[] = [];
  eachLeaf(columnsOf(schema, rows), (batch) =>
    batches.push({ ...batch, ...structuredClone({ ...batch, column: undefined }), column: batch.column }),
  );
  return batches;
}
const v = (...values: Canonical[]): Row[] => values.map((value) => ({ v: value }));

/** All that a batch says, with what it leaves out written out. */
function spelled(batch: LeafBatch, maxDefinition: number) {
  const { rows, entries, definition, repetition, slots, entryAt, valueAt } = batch;
  const values = slots?.length ?? entries;
  const all = (length: number): number[] => Array.from({ length }, (_, i) => i);
  return {
    definition: [...(definition?.subarray(0, entries) ?? new Uint8Array(entries).fill(maxDefinition))],
    repetition: [...(repetition ?? new Uint8Array(entries))],
    slots: [...(slots ?? all(values))],
    entryAt: [...(entryAt?.subarray(0, rows + 1) ?? all(rows + 1))],
    valueAt: [...(valueAt?.subarray(0, rows + 1) ?? all(rows + 1))],
  };
}

test('a column without nulls is as it is', () => {
  for (const required of [true, false]) {
    const [batch] = batchesOf(schemaOf(field('v', int, required)), v('5', '6'));
    expect(batch).toMatchObject({ rows: 2, entries: 2 });
    expect(batch!.definition ?? batch!.repetition ?? batch!.slots ?? batch!.valueAt).toBeUndefined();
  }
});

test('nulls have a place, and no value', () => {
  const [batch] = batchesOf(schemaOf(field('v', int)), v('5', null, '7'));
  expect(spelled(batch!, 1)).toEqual({
    definition: [1, 0, 1],
    repetition: [0, 0, 0],
    slots: [0, 2],
    entryAt: [0, 1, 2, 3],
    valueAt: [0, 1, 1, 2],
  });
});

test('a null is as deep as what is there above it', () => {
  const inner = field('a', { kind: 'struct', fields: [field('b', int), field('c', int, true)] });
  const schema = schemaOf(field('v', { kind: 'struct', fields: [inner] }));
  const [b, c] = batchesOf(
    schema,
    v(null, { a: null }, { a: { b: null, c: '1' } }, { a: { b: '2', c: '3' } }),
  );
  expect(spelled(b!, 3)).toMatchObject({ definition: [0, 1, 2, 3], slots: [3] });
  expect(spelled(c!, 2)).toMatchObject({ definition: [0, 1, 2, 2], slots: [2, 3] });
});

test('null, empty and filled lists differ in their levels', () => {
  const [batch] = batchesOf(schemaOf(field('v', listOf(int))), v(null, [], [null], ['1', null, '2'], ['3']));
  expect(spelled(batch!, 3)).toEqual({
    definition: [0, 1, 2, 3, 2, 3, 3],
    repetition: [0, 0, 0, 0, 1, 1, 0],
    slots: [1, 3, 4],
    entryAt: [0, 1, 2, 3, 6, 7],
    valueAt: [0, 0, 0, 0, 2, 3],
  });
});

test('required lists of required elements have one level', () => {
  const [batch] = batchesOf(schemaOf(field('v', listOf(int, true), true)), v([], ['1', '2']));
  expect(spelled(batch!, 1)).toMatchObject({ definition: [0, 1, 1], repetition: [0, 0, 1] });
});

test('in lists of lists it shows which of them goes on', () => {
  const [batch] = batchesOf(
    schemaOf(field('v', listOf(listOf(int)))),
    v([['1', '2'], [], null, ['3']], [], [['4']]),
  );
  expect(spelled(batch!, 5)).toMatchObject({
    definition: [5, 5, 3, 2, 5, 1, 5],
    repetition: [0, 2, 1, 1, 1, 0, 0],
    slots: [0, 1, 2, 3],
    entryAt: [0, 5, 6, 7],
    valueAt: [0, 3, 3, 4],
  });
});

test('keys and values of a map go together', () => {
  const map: Type = { kind: 'map', keyId: 0, key: int, valueId: 0, valueRequired: false, value: int };
  const pairs: Canonical = [
    ['1', '10'],
    ['2', null],
  ];
  const [keys, values] = batchesOf(schemaOf(field('v', map)), v(pairs, null, []));
  expect(spelled(keys!, 2)).toMatchObject({
    definition: [2, 2, 0, 1],
    repetition: [0, 1, 0, 0],
    slots: [0, 1],
  });
  expect(spelled(values!, 3)).toMatchObject({
    definition: [3, 2, 0, 1],
    repetition: [0, 1, 0, 0],
    slots: [0],
  });
});

test('a null where none may be is not written as a value', () => {
  const inner: Type = { kind: 'struct', fields: [field('x', int, true)] };
  for (const [schema, row] of [
    [schemaOf(field('v', int, true)), { v: null }],
    [schemaOf(field('v', inner, true)), { v: null }],
    [schemaOf(field('v', listOf(int), true)), { v: null }],
    [schemaOf(field('v', inner)), { v: { x: null } }],
    [schemaOf(field('v', listOf(int, true))), { v: [null] }],
  ] as [Schema, Row][]) {
    // The row before ends above: the one asked about does not.
    const rows = schema.fields[0]!.required ? [row] : [{ v: null }, row];
    expect(() => batchesOf(schema, rows), JSON.stringify(row)).toThrow('a required column has no nulls');
  }
});
