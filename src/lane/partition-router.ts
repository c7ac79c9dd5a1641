import type { Column, Columns } from '../arrow/columns.ts';
import { assert } from '../base/assert.ts';
import type { PartitionSpec, PartitionValue } from '../iceberg/partition-spec.ts';
import type { Schema } from '../iceberg/schema.ts';

/** The rows of one table partition. */
export interface PartitionGroup {
  /** Identifies the partition within the table. */
  key: string;
  partition: readonly PartitionValue[];
  rows: Int32Array;
}

const everything = '';

/** Divides rows by the values of their identity partition columns. */
export class PartitionRouter {
  readonly #columns: Columns;
  readonly #sources: readonly { column: Column; text: boolean }[];

  constructor(spec: PartitionSpec, schema: Schema, columns: Columns) {
    this.#columns = columns;
    this.#sources = spec.fields.map((field) => {
      const index = schema.fields.findIndex((candidate) => candidate.id === field.sourceId);
      return { column: columns.columns[index]!, text: schema.fields[index]!.type.kind === 'string' };
    });
  }

  /** The rows now in the columns, by partition, each group in row order. */
  group(): PartitionGroup[] {
    const count = this.#columns.rows;
    if (this.#sources.length === 0) return [{ key: everything, partition: [], rows: rowNumbers(count) }];
    const keys = new Map<string, number[]>();
    let lastKey: string | undefined;
    let last: number[] = [];
    for (let row = 0; row < count; row++) {
      const key = this.#key(row);
      // Neighbours often share a partition.
      if (key !== lastKey) {
        lastKey = key;
        last = keys.get(key) ?? [];
        keys.set(key, last);
      }
      last.push(row);
    }
    return [...keys].map(([key, rows]) => ({
      key,
      partition: this.#values(rows[0]!),
      rows: Int32Array.from(rows),
    }));
  }

  #key(row: number): string {
    let key = '';
    for (const { column } of this.#sources) {
      // Lengths keep ("a", "bc") and ("ab", "c") apart; a null is no text at all.
      const text = column.isNull(row) ? undefined : keyText(column, row);
      key += text === undefined ? '-;' : `${text.length}:${text};`;
    }
    return key;
  }

  #values(row: number): PartitionValue[] {
    return this.#sources.map(({ column, text }) =>
      column.isNull(row) ? null : partitionValue(column, row, text),
    );
  }
}

function rowNumbers(count: number): Int32Array {
  const rows = new Int32Array(count);
  for (let i = 0; i < count; i++) rows[i] = i;
  return rows;
}

/** Equal for equal values only. Floats by their bits: -0 and 0 are different partitions, all NaNs are one. */
function keyText(column: Column, row: number): string {
  switch (column.kind) {
    case 'bytes':
    case 'fixed':
      return Buffer.from(column.get(row)).toString('latin1');
    case 'float32':
    case 'float64':
      return Object.is(column.values[row], -0) ? '-0' : String(column.values[row]);
    default:
      return String(partitionValue(column, row, false));
  }
}

function partitionValue(column: Column, row: number, text: boolean): Exclude<PartitionValue, null> {
  switch (column.kind) {
    case 'boolean':
    case 'decimal':
      return column.get(row);
    case 'int32':
    case 'int64':
    case 'float32':
    case 'float64':
      return column.values[row]!;
    case 'bytes':
    case 'fixed': {
      const bytes = column.get(row).slice();
      return text ? Buffer.from(bytes).toString('utf8') : bytes;
    }
    default:
      assert(false, 'a partition value is a primitive');
  }
}
