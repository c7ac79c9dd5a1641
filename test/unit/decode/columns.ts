import type { Column } from '../../../src/arrow/columns.ts';
import {
  type Field,
  type MapType,
  parsePrimitiveType,
  type StructType,
  type Type,
} from '../../../src/iceberg/types.ts';

/**
 * What a column holds at `row`: bigints for 64 bits and decimals, bytes as hexadecimal digits, a struct as the array of
 * its members, or as an object of them if they are to be `named`.
 */
export function valueAt(type: Type, column: Column, row: number, named = false): unknown {
  if (column.isNull(row)) return null;
  const range = (offsets: Int32Array): number[] =>
    Array.from({ length: offsets[row + 1]! - offsets[row]! }, (_, i) => offsets[row]! + i);
  switch (column.kind) {
    case 'struct': {
      const { fields } = type as StructType;
      const members = column.children.map((child, i) => valueAt(fields[i]!.type, child, row, named));
      return named ? Object.fromEntries(members.map((member, i) => [fields[i]!.name, member])) : members;
    }
    case 'list': {
      const { element } = type as Type & { kind: 'list' };
      return range(column.offsets).map((i) => valueAt(element, column.element, i, named));
    }
    case 'map': {
      const { key, value } = type as MapType;
      return range(column.offsets).map((i) => [
        valueAt(key, column.key, i, named),
        valueAt(value, column.value, i, named),
      ]);
    }
    case 'bytes':
      return Buffer.from(column.get(row)).toString(type.kind === 'string' ? 'utf8' : 'hex');
    case 'fixed':
      return Buffer.from(column.get(row)).toString('hex');
    case 'boolean':
    case 'decimal':
      return column.get(row);
    default:
      return column.values[row];
  }
}

export function field(name: string, type: Type | string, required = false): Field {
  return { id: 1, name, required, type: typeof type === 'string' ? parsePrimitiveType(type) : type };
}

export function list(element: Type | string, elementRequired = false): Type {
  return { kind: 'list', elementId: 2, elementRequired, element: field('', element).type };
}

export function map(key: Type | string, value: Type | string, valueRequired = false): Type {
  return {
    kind: 'map',
    keyId: 2,
    key: field('', key).type,
    valueId: 3,
    valueRequired,
    value: field('', value).type,
  };
}
