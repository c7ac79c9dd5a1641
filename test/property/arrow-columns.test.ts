import fc from 'fast-check';
import { expect, test } from 'vitest';
import { type Column, Columns } from '../../src/arrow/columns.ts';
import { gatherRows } from '../../src/arrow/gather.ts';
import type { Schema } from '../../src/iceberg/schema.ts';
import type { Row } from '../tools/canonical.ts';
import { appendRow, columnsOf, rows, rowsOf, Spent, schemas } from '../unit/arrow/rows.ts';

/** What happens to columns, and to the array of rows that they are compared with. */
type Step =
  | { type: 'append'; row: Row }
  /** A row that fails after so many leaves, and is taken back. */
  | { type: 'fail'; row: Row; leaves: number }
  /** Keeps this part of the rows. */
  | { type: 'truncate'; part: number }
  /** Appends a selection of the rows of other columns, some of them twice. */
  | { type: 'gather'; rows: Row[]; picks: number[] };

function steps(schema: Schema): fc.Arbitrary<Step[]> {
  const row = rows(schema, { minLength: 1, maxLength: 1 }).map(([only]) => only!);
  const part = fc.double({ min: 0, max: 1, noNaN: true });
  return fc.array(
    fc.oneof(
      { weight: 8, arbitrary: fc.record({ type: fc.constant('append' as const), row }) },
      {
        weight: 3,
        arbitrary: fc.record({ type: fc.constant('fail' as const), row, leaves: fc.nat({ max: 30 }) }),
      },
      {
        weight: 1,
        arbitrary: fc.record({
          type: fc.constant('truncate' as const),
          part: fc.oneof(part, fc.constant(0)),
        }),
      },
      {
        weight: 2,
        arbitrary: fc.record({
          type: fc.constant('gather' as const),
          rows: rows(schema, { minLength: 1, maxLength: 8 }),
          picks: fc.array(part, { maxLength: 90 }),
        }),
      },
    ),
    { maxLength: 60 },
  );
}

function apply(columns: Columns, model: Row[], step: Step): Row[] {
  switch (step.type) {
    case 'append':
      appendRow(columns, step.row);
      return [...model, step.row];
    case 'fail':
      try {
        appendRow(columns, step.row, { left: step.leaves });
      } catch (error) {
        if (!(error instanceof Spent)) throw error;
        columns.truncate(model.length);
        return model;
      }
      return [...model, step.row];
    case 'truncate': {
      const length = Math.floor(step.part * model.length);
      columns.truncate(length);
      return model.slice(0, length);
    }
    case 'gather': {
      const picked = step.picks.map((pick) =>
        Math.min(step.rows.length - 1, Math.floor(pick * step.rows.length)),
      );
      gatherRows(columns, columnsOf(columns.schema, step.rows), Int32Array.from(picked));
      return [...model, ...picked.map((i) => step.rows[i]!)];
    }
  }
}

/** What must hold of every column besides its values: the encoder reads the memory itself. */
function checkMemory(column: Column, length: number): void {
  expect(column.length).toBe(length);
  let nulls = 0;
  for (let row = 0; row < length; row++) if (column.isNull(row)) nulls++;
  expect(column.nullCount).toBe(nulls);
  // A bit left over from a row that was taken back would turn the next null into a value.
  if (column.validity)
    for (let row = length; row < column.validity.length * 8; row++) expect(column.isNull(row)).toBe(true);
  switch (column.kind) {
    case 'boolean':
      for (let row = length; row < column.values.length * 8; row++) expect(column.get(row)).toBe(false);
      break;
    case 'struct':
      for (const child of column.children) checkMemory(child, length);
      break;
    case 'list':
      checkOffsets(column.offsets, length, column.element.length);
      checkMemory(column.element, column.offsets[length]!);
      break;
    case 'map':
      checkOffsets(column.offsets, length, column.key.length);
      checkMemory(column.key, column.offsets[length]!);
      checkMemory(column.value, column.offsets[length]!);
      break;
    case 'bytes':
      checkOffsets(column.offsets, length, column.offsets[length]!);
      break;
  }
}

function checkOffsets(offsets: Int32Array, length: number, end: number): void {
  expect(offsets[0]).toBe(0);
  for (let i = 0; i < length; i++) expect(offsets[i + 1]! >= offsets[i]!).toBe(true);
  expect(offsets[length]).toBe(end);
}

test('columns hold what a plain array of rows holds, whatever is appended, taken back, cut off and gathered', () => {
  const cases = schemas(3).chain((schema) => fc.tuple(fc.constant(schema), steps(schema)));
  fc.assert(
    fc.property(cases, ([schema, taken]) => {
      const columns = new Columns(schema);
      let model: Row[] = [];
      for (const step of taken) {
        model = apply(columns, model, step);
        expect(columns.rows).toBe(model.length);
        for (const column of columns.columns) checkMemory(column, model.length);
      }
      expect(rowsOf(columns)).toEqual(model);
    }),
    { numRuns: 150 },
  );
});

test('gathering all rows in their order makes a copy that nothing ties to its source', () => {
  const cases = schemas(3).chain((schema) => fc.tuple(fc.constant(schema), rows(schema, { maxLength: 150 })));
  fc.assert(
    fc.property(cases, ([schema, given]) => {
      const source = columnsOf(schema, given);
      const copy = new Columns(schema);
      gatherRows(copy, source, Int32Array.from(given.keys()));
      expect(copy.byteLength()).toBe(source.byteLength());
      source.truncate(0);
      expect(source.byteLength()).toBeLessThanOrEqual(copy.byteLength());
      expect(rowsOf(copy)).toEqual(given);
    }),
    { numRuns: 60 },
  );
});
