import type { Column, Columns } from '../arrow/columns.ts';
import { assert } from '../base/assert.ts';
import { DecodeError } from '../decode/decoder.ts';
import { type PartitionField, type PartitionSpec, partitionTypes } from '../iceberg/partition-spec.ts';
import { type Schema, singleFields } from '../iceberg/schema.ts';
import { type PartitionValue, parseTransform } from '../iceberg/transforms.ts';
import { isPrimitive, type PrimitiveType, typeName } from '../iceberg/types.ts';
import { fits, type KeyOf, keysOf, valueOfKey } from './partition-keys.ts';

/** The rows of one table partition. */
export interface PartitionGroup {
  /** Identifies the partition within the table. */
  key: string;
  partition: readonly PartitionValue[];
  rows: Int32Array;
}

const everything = '';

/** Divides rows by the values of their partition fields. */
export class PartitionRouter {
  readonly #columns: Columns;
  readonly #types: readonly PrimitiveType[];
  readonly #keys: readonly KeyOf[];
  /** Fields whose values may be beyond what their type holds. */
  readonly #limited: readonly number[];
  readonly #spec: PartitionSpec;

  constructor(spec: PartitionSpec, schema: Schema, columns: Columns) {
    this.#columns = columns;
    this.#spec = spec;
    this.#types = partitionTypes(spec, schema);
    this.#keys = spec.fields.map((field) => fieldKeys(field, schema, columns));
    this.#limited = [...spec.fields.keys()].filter((i) => {
      const { kind } = parseTransform(spec.fields[i]!.transform);
      return kind === 'hour' || (kind === 'truncate' && this.#types[i]!.kind === 'decimal');
    });
  }

  /** The first of the rows from `from` up to `to` that has no partition, if there is one: to be asked before they are counted. */
  check(from: number, to: number): { row: number; error: DecodeError } | undefined {
    if (this.#limited.length === 0) return undefined;
    for (let row = from; row < to; row++) {
      const error = this.#problem(row);
      if (error) return { row, error };
    }
    return undefined;
  }

  #problem(row: number): DecodeError | undefined {
    for (const i of this.#limited) {
      const type = this.#types[i]!;
      const key = this.#keys[i]!(row);
      if (fits(type, key)) continue;
      const { name, transform } = this.#spec.fields[i]!;
      return new DecodeError(
        name,
        `the partition value ${transform} ${key} does not fit into ${typeName(type)}`,
      );
    }
    return undefined;
  }

  /** The rows now in the columns, by partition, each group in row order. */
  group(): PartitionGroup[] {
    const count = this.#columns.rows;
    if (this.#keys.length === 0) return [{ key: everything, partition: [], rows: rowNumbers(count) }];
    return rowsByPlace(this.#places(count)).map((rows) => this.#groupOf(rows));
  }

  /** For each row the place of its partition among those that are here, in the order of their first rows. */
  #places(count: number): Places {
    const [first, ...others] = this.#keys;
    let places = distinct(count, first!);
    for (const keyOf of others) {
      const left = places;
      const right = distinct(count, keyOf);
      places = distinct(count, (row) => left.of[row]! * right.count + right.of[row]!);
    }
    return places;
  }

  #groupOf(rows: Int32Array): PartitionGroup {
    const keys = this.#keys.map((keyOf) => keyOf(rows[0]!));
    return {
      // Lengths keep ("a", "bc") and ("ab", "c") apart; a null is no text at all.
      key: keys.map((key) => (key === undefined ? '-;' : `${String(key).length}:${String(key)};`)).join(''),
      partition: keys.map((key, i) => valueOfKey(this.#types[i]!, key)),
      rows,
    };
  }
}

/** Numbers from 0 up to `count` in place of keys. */
interface Places {
  of: Int32Array;
  count: number;
}

/** The keys of `count` rows, numbered by their first appearance. */
function distinct(count: number, keyOf: KeyOf): Places {
  const of = new Int32Array(count);
  const known = new Map<ReturnType<KeyOf>, number>();
  let lastKey: ReturnType<KeyOf> | null = null;
  let place = 0;
  for (let row = 0; row < count; row++) {
    const key = keyOf(row);
    // Neighbours often share a partition.
    if (key !== lastKey) {
      lastKey = key;
      place = known.get(key) ?? known.size;
      if (place === known.size) known.set(key, place);
    }
    of[row] = place;
  }
  return { of, count: known.size };
}

/** The rows of each place, in row order. */
function rowsByPlace({ of, count }: Places): Int32Array[] {
  const sizes = new Int32Array(count);
  for (const place of of) sizes[place]!++;
  const rows = Array.from(sizes, (size) => new Int32Array(size));
  const filled = new Int32Array(count);
  for (let row = 0; row < of.length; row++) {
    const place = of[row]!;
    rows[place]![filled[place]!++] = row;
  }
  return rows;
}

function rowNumbers(count: number): Int32Array {
  const rows = new Int32Array(count);
  for (let i = 0; i < count; i++) rows[i] = i;
  return rows;
}

function fieldKeys(field: PartitionField, schema: Schema, columns: Columns): KeyOf {
  const transform = parseTransform(field.transform);
  const source = singleFields(schema.fields).find((place) => place.field.id === field.sourceId);
  if (!source || transform.kind === 'void') return () => undefined;
  const { type } = source.field;
  assert(isPrimitive(type), 'a partition value is a primitive');
  return keysOf(transform, type, columnAt(columns.columns, source.path));
}

/** A column of structs in structs; members of a null struct are null. */
function columnAt(columns: readonly Column[], [first, ...within]: readonly number[]): Column {
  const column = columns[first!]!;
  return within.length > 0 && column.kind === 'struct' ? columnAt(column.children, within) : column;
}
