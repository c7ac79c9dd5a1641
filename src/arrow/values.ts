import type { PrimitiveType, Type } from '../iceberg/types.ts';
import { decimalText, isoDate, isoTime, isoTimestamp } from '../iceberg/value-text.ts';
import type { Column } from './columns.ts';

/** A value as JSON can show it. For people: the hot path never makes one. */
export type Shown = null | boolean | number | bigint | string | Shown[] | { [name: string]: Shown };

/** The value of `column` at `row`: times and decimals as text, bytes as base64, integers exact. */
export function valueAt(column: Column, row: number, type: Type): Shown {
  if (column.isNull(row)) return null;
  switch (column.kind) {
    case 'struct': {
      const { fields } = type as Extract<Type, { kind: 'struct' }>;
      return Object.fromEntries(
        fields.map((field, i) => [field.name, valueAt(column.children[i]!, row, field.type)]),
      );
    }
    case 'list': {
      const { element } = type as Extract<Type, { kind: 'list' }>;
      return range(column.offsets, row).map((i) => valueAt(column.element, i, element));
    }
    case 'map': {
      const { key, value } = type as Extract<Type, { kind: 'map' }>;
      const entries = range(column.offsets, row).map((i) => [
        String(valueAt(column.key, i, key)),
        valueAt(column.value, i, value),
      ]);
      return Object.fromEntries(entries);
    }
    default:
      return leafAt(column, row, type as PrimitiveType);
  }
}

function range(offsets: Int32Array, row: number): number[] {
  return Array.from({ length: offsets[row + 1]! - offsets[row]! }, (_, i) => offsets[row]! + i);
}

type LeafColumn = Exclude<Column, { kind: 'struct' | 'list' | 'map' }>;

function leafAt(column: LeafColumn, row: number, type: PrimitiveType): Shown {
  switch (column.kind) {
    case 'boolean':
      return column.get(row);
    case 'int32':
      return type.kind === 'date' ? isoDate(column.values[row]!) : column.values[row]!;
    case 'float32':
    case 'float64': {
      const value = column.values[row]!;
      return Number.isFinite(value) ? value : String(value);
    }
    case 'int64':
      return int64At(column.values[row]!, type);
    case 'decimal':
      return decimalText(column.get(row), (type as Extract<PrimitiveType, { kind: 'decimal' }>).scale);
    case 'fixed':
    case 'bytes': {
      const bytes = Buffer.from(column.get(row));
      if (type.kind === 'string') return bytes.toString('utf8');
      if (type.kind !== 'uuid') return bytes.toString('base64');
      const hex = bytes.toString('hex');
      return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join(
        '-',
      );
    }
  }
}

function int64At(value: bigint, type: PrimitiveType): Shown {
  switch (type.kind) {
    case 'time':
      return isoTime(value);
    case 'timestamp':
      return isoTimestamp(value);
    case 'timestamptz':
      return `${isoTimestamp(value)}Z`;
    default:
      return Number.isSafeInteger(Number(value)) ? Number(value) : value;
  }
}
