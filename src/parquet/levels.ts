import type { Column, Columns } from '../arrow/columns.ts';
import { assert } from '../base/assert.ts';
import type { Field, Type } from '../iceberg/types.ts';

/**
 * Columns as Parquet sees them: per leaf its values and, for each place where one could be, how deep it is defined and
 * at which list it repeats (Dremel's definition and repetition levels; Parquet README "Nested Encoding").
 */

/** The rows of a batch in one leaf. Arrays that are undefined would say what is said without them. */
export interface LeafBatch {
  readonly column: Column;
  readonly rows: number;
  /** Places for a value: one a row, unless lists are about. */
  readonly entries: number;
  /** Definition level per entry; undefined: a value in each. */
  readonly definition: Uint8Array | undefined;
  /** Repetition level per entry; undefined: 0. */
  readonly repetition: Uint8Array | undefined;
  /** The slot in `column` of each value; undefined: value i is in slot i. */
  readonly slots: Int32Array | undefined;
  /** The first entry of each row, and one more; undefined: that of its number. */
  readonly entryAt: Int32Array | undefined;
  /** The first value of each row, and one more; undefined: that of its number. */
  readonly valueAt: Int32Array | undefined;
}

const noNulls = 'a required column has no nulls but those of what is around it';

/** Hands over the leaves of `columns`, in the order of `fileSchema`. A batch holds until the next one. */
export function eachLeaf(columns: Columns, take: (batch: LeafBatch) => void): void {
  const root: Entries = {
    count: columns.rows,
    definition: 0,
    repetition: 0,
    ended: undefined,
    repeated: undefined,
    slots: undefined,
  };
  visitFields(columns.schema.fields, columns.columns, root, { rows: columns.rows, take });
}

interface Visit {
  rows: number;
  take: (batch: LeafBatch) => void;
}

/** The places at one node of the schema, and what is known of them so far. */
interface Entries {
  count: number;
  /** Definition level of the entries that go on to here. */
  definition: number;
  /** Lists and maps around. */
  repetition: number;
  /** Definition level of the entries that ended above; of others it says nothing. Undefined: none has ended. */
  ended: Uint8Array | undefined;
  repeated: Uint8Array | undefined;
  /** The slot of each entry in the column; -1: it ended above. Undefined: its number. */
  slots: Int32Array | undefined;
}

function visitFields(
  fields: readonly Field[],
  columns: readonly Column[],
  entries: Entries,
  to: Visit,
): void {
  for (const [i, { type, required }] of fields.entries()) visit(type, required, columns[i]!, entries, to);
}

function visit(type: Type, required: boolean, column: Column, above: Entries, to: Visit): void {
  switch (column.kind) {
    case 'struct': {
      const { fields } = type as Type & { kind: 'struct' };
      return visitFields(fields, column.children, present(above, column, required), to);
    }
    case 'list': {
      const { element, elementRequired } = type as Type & { kind: 'list' };
      const elements = repeated(present(above, column, required), column.offsets);
      return visit(element, elementRequired, column.element, elements, to);
    }
    case 'map': {
      const { key, value, valueRequired } = type as Type & { kind: 'map' };
      const pairs = repeated(present(above, column, required), column.offsets);
      visit(key, true, column.key, pairs, to);
      return visit(value, valueRequired, column.value, pairs, to);
    }
    default:
      to.take(leafBatch(column, above, required, to.rows));
  }
}

/** Ends the entries that are null here. */
function present(above: Entries, column: Column, required: boolean): Entries {
  if (required) {
    assert(column.nullCount === 0 || (above.slots && column.validity), noNulls);
    return above;
  }
  const entries = { ...above, definition: above.definition + 1 };
  if (column.nullCount === 0) return entries;
  const { count } = above;
  const validity = column.validity!;
  const slots = new Int32Array(count);
  const ended = above.ended ? above.ended.slice() : new Uint8Array(count);
  for (let i = 0; i < count; i++) {
    const slot = above.slots ? above.slots[i]! : i;
    if (slot >= 0 && (validity[slot >> 3]! & (1 << (slot & 7))) === 0) {
      slots[i] = -1;
      ended[i] = above.definition;
    } else {
      slots[i] = slot;
    }
  }
  return { ...entries, slots, ended };
}

/** An entry for each element; those without any end. */
function repeated(above: Entries, offsets: Int32Array): Entries {
  const lengthAt = (slot: number): number => (slot < 0 ? 0 : offsets[slot + 1]! - offsets[slot]!);
  let count = 0;
  for (let i = 0; i < above.count; i++) count += Math.max(1, lengthAt(above.slots ? above.slots[i]! : i));
  const level = above.repetition + 1;
  const slots = new Int32Array(count);
  const ended = new Uint8Array(count);
  const repeats = new Uint8Array(count);
  let next = 0;
  for (let i = 0; i < above.count; i++) {
    const slot = above.slots ? above.slots[i]! : i;
    const length = lengthAt(slot);
    repeats[next] = above.repeated ? above.repeated[i]! : 0;
    if (length === 0) {
      slots[next] = -1;
      ended[next] = slot < 0 ? above.ended![i]! : above.definition;
      next++;
      continue;
    }
    const first = offsets[slot]!;
    for (let k = 0; k < length; k++) {
      slots[next + k] = first + k;
      if (k > 0) repeats[next + k] = level;
    }
    next += length;
  }
  return { count, definition: above.definition + 1, repetition: level, ended, repeated: repeats, slots };
}

/** What the batch at hand is made in: one leaf after the other is written. */
const scratch = {
  definition: new Uint8Array(0),
  slots: new Int32Array(0),
  valueAt: new Int32Array(0),
  entryAt: new Int32Array(0),
};

function leafBatch(column: Column, above: Entries, required: boolean, rows: number): LeafBatch {
  const { count, ended, repeated: repetition, slots: slotsAbove } = above;
  assert(!required || column.nullCount === 0 || (slotsAbove && column.validity), noNulls);
  const validity = column.nullCount === 0 ? undefined : column.validity;
  const batch = { column, rows, entries: count, repetition };
  if (!slotsAbove && !validity)
    return { ...batch, definition: undefined, slots: undefined, entryAt: undefined, valueAt: undefined };
  makeRoom(count, rows);
  const { definition, slots, valueAt, entryAt } = scratch;
  const level = above.definition + (required ? 0 : 1);
  let values = 0;
  let row = 0;
  for (let i = 0; i < count; i++) {
    if (!repetition) {
      valueAt[i] = values;
    } else if (repetition[i] === 0) {
      entryAt[row] = i;
      valueAt[row++] = values;
    }
    const slot = slotsAbove ? slotsAbove[i]! : i;
    if (slot < 0) {
      definition[i] = ended![i]!;
    } else if (validity && (validity[slot >> 3]! & (1 << (slot & 7))) === 0) {
      assert(!required, noNulls);
      definition[i] = above.definition;
    } else {
      definition[i] = level;
      slots[values++] = slot;
    }
  }
  valueAt[rows] = values;
  entryAt[rows] = count;
  return {
    ...batch,
    definition: values === count ? undefined : definition,
    slots: slots.subarray(0, values),
    entryAt: repetition && entryAt,
    valueAt,
  };
}

function makeRoom(entries: number, rows: number): void {
  if (scratch.definition.length < entries) {
    scratch.definition = new Uint8Array(entries * 2);
    scratch.slots = new Int32Array(entries * 2);
  }
  if (scratch.valueAt.length > rows) return;
  scratch.valueAt = new Int32Array(rows * 2);
  scratch.entryAt = new Int32Array(rows * 2);
}
