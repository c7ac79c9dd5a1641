import type { Schema } from '../iceberg/schema.ts';
import { decimalBytes, type Field, isPrimitive, type PrimitiveType, type Type } from '../iceberg/types.ts';
import { field, structOf, type ThriftField, type ThriftStruct } from './thrift.ts';

/** Iceberg schemas as Parquet has them (Iceberg spec appendix A; parquet.thrift `SchemaElement`; LogicalTypes.md). */

/** Physical types as parquet.thrift `Type` numbers them. */
export const physical = {
  boolean: 0,
  int32: 1,
  int64: 2,
  float: 4,
  double: 5,
  byteArray: 6,
  fixed: 7,
} as const;

/** A leaf column of a file. */
export interface FileLeaf {
  readonly id: number;
  readonly type: PrimitiveType;
  readonly physical: number;
  /** Bytes of a `physical.fixed` value. */
  readonly width: number;
  /** Names from the root, those of lists and maps included. */
  readonly path: readonly string[];
  /** Names from the root as table properties have them. */
  readonly name: string;
  readonly maxDefinition: number;
  readonly maxRepetition: number;
}

/** What the footer says of a schema: its elements depth first, and its leaves in the order of the column chunks. */
export interface FileSchema {
  readonly elements: readonly ThriftStruct[];
  readonly leaves: readonly FileLeaf[];
}

const repetitions = { required: 0, optional: 1, repeated: 2 } as const;
type Repetition = keyof typeof repetitions;

/** parquet.thrift `ConvertedType`, which readers from before logical types need. */
const converted = { utf8: 0, map: 1, list: 3, decimal: 5, date: 6, timeMicros: 8, timestampMicros: 10 };
/** Members of parquet.thrift `LogicalType`. */
const logical = { string: 1, map: 2, list: 3, decimal: 5, date: 6, time: 7, timestamp: 8, uuid: 14 };

/** Where a node stands. */
interface Place {
  path: readonly string[];
  name: string;
  definition: number;
  repetition: number;
}

export function fileSchema(schema: Schema): FileSchema {
  const elements: ThriftStruct[] = [group('table', undefined, schema.fields.length)];
  const leaves: FileLeaf[] = [];

  const visit = (name: string, type: Type, id: number, required: boolean, above: Place): void => {
    const place = {
      path: [...above.path, name],
      name: above.name === '' ? name : `${above.name}.${name}`,
      definition: above.definition + (required ? 0 : 1),
      repetition: above.repetition,
    };
    const repetition = required ? 'required' : 'optional';
    if (isPrimitive(type)) {
      leaves.push(leafOf(type, id, place));
      elements.push(leafElement(name, type, id, repetition));
    } else if (type.kind === 'struct') {
      elements.push(group(name, repetition, type.fields.length, id));
      visitFields(type.fields, place);
    } else if (type.kind === 'list') {
      elements.push(
        group(name, repetition, 1, id, converted.list, logical.list),
        group('list', 'repeated', 1),
      );
      visit('element', type.element, type.elementId, type.elementRequired, inner(place, 'list'));
    } else {
      elements.push(
        group(name, repetition, 1, id, converted.map, logical.map),
        group('key_value', 'repeated', 2),
      );
      visit('key', type.key, type.keyId, true, inner(place, 'key_value'));
      visit('value', type.value, type.valueId, type.valueRequired, inner(place, 'key_value'));
    }
  };
  const visitFields = (fields: readonly Field[], place: Place): void => {
    for (const each of fields) visit(each.name, each.type, each.id, each.required, place);
  };

  visitFields(schema.fields, { path: [], name: '', definition: 0, repetition: 0 });
  return { elements, leaves };
}

/** Within the repeated group of a list or map. */
function inner(place: Place, name: string): Place {
  return {
    ...place,
    path: [...place.path, name],
    definition: place.definition + 1,
    repetition: place.repetition + 1,
  };
}

function leafOf(type: PrimitiveType, id: number, place: Place): FileLeaf {
  return {
    id,
    type,
    physical: physicalOf(type),
    width: widthOf(type),
    path: place.path,
    name: place.name,
    maxDefinition: place.definition,
    maxRepetition: place.repetition,
  };
}

/** The physical type of a type, decimals by their precision. */
export function physicalOf(type: PrimitiveType): number {
  switch (type.kind) {
    case 'boolean':
      return physical.boolean;
    case 'int':
    case 'date':
      return physical.int32;
    case 'float':
      return physical.float;
    case 'double':
      return physical.double;
    case 'decimal':
      if (type.precision <= 9) return physical.int32;
      return type.precision <= 18 ? physical.int64 : physical.fixed;
    case 'uuid':
    case 'fixed':
      return physical.fixed;
    case 'string':
    case 'binary':
      return physical.byteArray;
    default:
      return physical.int64;
  }
}

function widthOf(type: PrimitiveType): number {
  if (type.kind === 'uuid') return 16;
  if (type.kind === 'fixed') return type.length;
  return type.kind === 'decimal' ? decimalBytes(type.precision) : 0;
}

function group(
  name: string,
  repetition: Repetition | undefined,
  children: number,
  id?: number,
  convertedType?: number,
  logicalType?: number,
): ThriftStruct {
  return structOf(
    repetition === undefined ? undefined : field.i32(3, repetitions[repetition]),
    field.text(4, name),
    field.i32(5, children),
    convertedType === undefined ? undefined : field.i32(6, convertedType),
    id === undefined ? undefined : field.i32(9, id),
    logicalType === undefined ? undefined : field.struct(10, [field.struct(logicalType)]),
  );
}

function leafElement(name: string, type: PrimitiveType, id: number, repetition: Repetition): ThriftStruct {
  const shape = physicalOf(type);
  const { convertedType, logicalType } = annotation(type);
  const decimal = type.kind === 'decimal' ? type : undefined;
  return structOf(
    field.i32(1, shape),
    shape === physical.fixed ? field.i32(2, widthOf(type)) : undefined,
    field.i32(3, repetitions[repetition]),
    field.text(4, name),
    convertedType === undefined ? undefined : field.i32(6, convertedType),
    decimal && field.i32(7, decimal.scale),
    decimal && field.i32(8, decimal.precision),
    field.i32(9, id),
    logicalType && field.struct(10, [logicalType]),
  );
}

/** What a type means beyond its bytes; nothing for the plain ones. */
function annotation(type: PrimitiveType): { convertedType?: number; logicalType?: ThriftField } {
  switch (type.kind) {
    case 'string':
      return { convertedType: converted.utf8, logicalType: field.struct(logical.string) };
    case 'date':
      return { convertedType: converted.date, logicalType: field.struct(logical.date) };
    case 'time':
      return { convertedType: converted.timeMicros, logicalType: field.struct(logical.time, micros(false)) };
    case 'timestamp':
    case 'timestamptz':
      return {
        convertedType: converted.timestampMicros,
        logicalType: field.struct(logical.timestamp, micros(type.kind === 'timestamptz')),
      };
    case 'uuid':
      return { logicalType: field.struct(logical.uuid) };
    case 'decimal':
      return {
        convertedType: converted.decimal,
        logicalType: field.struct(logical.decimal, [field.i32(1, type.scale), field.i32(2, type.precision)]),
      };
    default:
      return {};
  }
}

/** `TimestampType` and `TimeType`. */
function micros(isAdjustedToUtc: boolean): ThriftStruct {
  return [field.bool(1, isAdjustedToUtc), field.struct(2, [field.struct(2)])];
}
