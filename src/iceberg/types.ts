import { FatalError } from '../base/errors.ts';
import type { Json } from '../base/json.ts';

/** Iceberg types (spec "Schemas and Data Types"), format version 2. */
export type Type = PrimitiveType | StructType | ListType | MapType;

export type PrimitiveType =
  | { kind: 'boolean' | 'int' | 'long' | 'float' | 'double' }
  | { kind: 'date' | 'time' | 'timestamp' | 'timestamptz' }
  | { kind: 'string' | 'uuid' | 'binary' }
  | { kind: 'fixed'; length: number }
  | { kind: 'decimal'; precision: number; scale: number };

export interface StructType {
  kind: 'struct';
  fields: readonly Field[];
}

export interface ListType {
  kind: 'list';
  elementId: number;
  elementRequired: boolean;
  element: Type;
}

export interface MapType {
  kind: 'map';
  keyId: number;
  key: Type;
  valueId: number;
  valueRequired: boolean;
  value: Type;
}

/** A named member of a struct. `id` is what readers find the column by, for ever; the name may change. */
export interface Field {
  id: number;
  name: string;
  required: boolean;
  type: Type;
  doc?: string;
}

const plainKinds = new Set([
  'boolean',
  'int',
  'long',
  'float',
  'double',
  'date',
  'time',
  'timestamp',
  'timestamptz',
  'string',
  'uuid',
  'binary',
]);

export function isPrimitive(type: Type): type is PrimitiveType {
  return type.kind !== 'struct' && type.kind !== 'list' && type.kind !== 'map';
}

/**
 * Parses a primitive type as the spec writes it: `long`, `decimal(12,2)`, `fixed[16]`.
 * @throws {FatalError} for a name that format version 2 does not have.
 */
export function parsePrimitiveType(text: string): PrimitiveType {
  if (plainKinds.has(text)) return { kind: text } as PrimitiveType;
  const decimal = /^decimal\(\s*(\d+)\s*,\s*(\d+)\s*\)$/.exec(text);
  if (decimal) {
    const precision = Number(decimal[1]);
    const scale = Number(decimal[2]);
    if (precision < 1 || precision > 38)
      throw new FatalError(`type ${text}: precision must be between 1 and 38`);
    if (scale > precision) throw new FatalError(`type ${text}: scale must not be above the precision`);
    return { kind: 'decimal', precision, scale };
  }
  const fixed = /^fixed\[\s*(\d+)\s*\]$/.exec(text);
  if (fixed) return { kind: 'fixed', length: Number(fixed[1]) };
  throw new FatalError(`type "${text}" is not a type of Iceberg format version 2`);
}

/** The spec's text of a primitive type, or a readable form of a nested one (`list<string>`), for messages and listings. */
export function typeName(type: Type): string {
  switch (type.kind) {
    case 'decimal':
      return `decimal(${type.precision}, ${type.scale})`;
    case 'fixed':
      return `fixed[${type.length}]`;
    case 'struct':
      return `struct<${type.fields.map((field) => `${field.name}: ${typeName(field.type)}`).join(', ')}>`;
    case 'list':
      return `list<${typeName(type.element)}>`;
    case 'map':
      return `map<${typeName(type.key)}, ${typeName(type.value)}>`;
    default:
      return type.kind;
  }
}

/** The JSON form of a type (spec appendix C). */
export function typeToJson(type: Type): Json {
  switch (type.kind) {
    case 'struct':
      return { type: 'struct', fields: type.fields.map(fieldToJson) };
    case 'list':
      return {
        type: 'list',
        'element-id': type.elementId,
        element: typeToJson(type.element),
        'element-required': type.elementRequired,
      };
    case 'map':
      return {
        type: 'map',
        'key-id': type.keyId,
        key: typeToJson(type.key),
        'value-id': type.valueId,
        value: typeToJson(type.value),
        'value-required': type.valueRequired,
      };
    default:
      return typeName(type);
  }
}

export function fieldToJson(field: Field): Json {
  const json: { [key: string]: Json } = {
    id: field.id,
    name: field.name,
    required: field.required,
    type: typeToJson(field.type),
  };
  if (field.doc !== undefined) json['doc'] = field.doc;
  return json;
}

/** The inverse of {@link typeToJson}. @throws {FatalError} for a type this program cannot write. */
export function typeFromJson(json: Json): Type {
  if (typeof json === 'string') return parsePrimitiveType(json);
  const object = json as { [key: string]: Json };
  switch (object['type']) {
    case 'struct':
      return { kind: 'struct', fields: (object['fields'] as Json[]).map(fieldFromJson) };
    case 'list':
      return {
        kind: 'list',
        elementId: object['element-id'] as number,
        elementRequired: object['element-required'] as boolean,
        element: typeFromJson(object['element'] as Json),
      };
    case 'map':
      return {
        kind: 'map',
        keyId: object['key-id'] as number,
        key: typeFromJson(object['key'] as Json),
        valueId: object['value-id'] as number,
        valueRequired: object['value-required'] as boolean,
        value: typeFromJson(object['value'] as Json),
      };
    default:
      throw new FatalError(`type ${JSON.stringify(json)} is not a type of Iceberg format version 2`);
  }
}

export function fieldFromJson(json: Json): Field {
  const object = json as { [key: string]: Json };
  const field: Field = {
    id: object['id'] as number,
    name: object['name'] as string,
    required: object['required'] as boolean,
    type: typeFromJson(object['type'] as Json),
  };
  if (typeof object['doc'] === 'string') field.doc = object['doc'];
  return field;
}

/** Structural equality, field ids included. */
export function sameType(a: Type, b: Type): boolean {
  return JSON.stringify(typeToJson(a)) === JSON.stringify(typeToJson(b));
}

/** Bytes that every unscaled value of `decimal(precision, _)` fits in, two's complement (spec appendix A). */
export function decimalBytes(precision: number): number {
  return decimalBytesByPrecision[precision]!;
}

const decimalBytesByPrecision = Array.from({ length: 39 }, (_, precision) => {
  let bytes = 1;
  while (2n ** BigInt(8 * bytes - 1) <= 10n ** BigInt(precision) - 1n) bytes++;
  return bytes;
});
