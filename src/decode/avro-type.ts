import { FatalError } from '../base/errors.ts';

/** An Avro schema, parsed and with its names resolved (Avro 1.12 "Schema Declaration"). */
export type AvroType =
  | { kind: 'null' | 'boolean' | 'float' | 'double' }
  | { kind: 'int' | 'long' | 'string'; logical?: string }
  | { kind: 'bytes'; decimal?: AvroDecimal }
  | { kind: 'fixed'; name: string; size: number; logical?: string; decimal?: AvroDecimal }
  | { kind: 'enum'; name: string; symbols: readonly string[] }
  | { kind: 'array'; items: AvroType }
  | { kind: 'map'; values: AvroType }
  | { kind: 'union'; branches: readonly AvroType[] }
  | AvroRecordType;

export interface AvroRecordType {
  kind: 'record';
  name: string;
  /** Filled after construction, so that a record may contain itself. */
  fields: AvroField[];
}

export interface AvroField {
  name: string;
  type: AvroType;
  doc?: string;
}

export interface AvroDecimal {
  precision: number;
  scale: number;
}

type Names = Map<string, AvroType>;
type Json = null | boolean | number | string | Json[] | { [key: string]: Json };

/**
 * Parses an Avro schema. `references` are the texts of the schemas it refers to by name, each after those it needs itself.
 * @throws {FatalError} naming what is wrong with it.
 */
export function parseAvroSchema(text: string, references: readonly string[] = []): AvroType {
  const names: Names = new Map();
  for (const reference of references) parseType(parseJson(reference), '', names);
  return parseType(parseJson(text), '', names);
}

function parseJson(text: string): Json {
  const trimmed = text.trim();
  // A registry may keep a bare primitive as `string` or as `"string"`.
  return /^[a-z]+$/.test(trimmed) ? trimmed : (JSON.parse(trimmed) as Json);
}

function parseType(json: Json, namespace: string, names: Names): AvroType {
  if (typeof json === 'string') return namedType(json, namespace, names);
  if (Array.isArray(json))
    return { kind: 'union', branches: json.map((branch) => parseType(branch, namespace, names)) };
  if (json === null || typeof json !== 'object')
    throw new FatalError(`Avro schema: ${JSON.stringify(json)} is not a type`);
  const type = json['type'];
  switch (type) {
    case 'record':
    case 'error':
      return parseRecord(json, namespace, names);
    case 'enum': {
      const name = fullName(json, namespace);
      const symbols = json['symbols'] as string[];
      return define(names, name, { kind: 'enum', name, symbols });
    }
    case 'fixed': {
      const name = fullName(json, namespace);
      return define(names, name, { kind: 'fixed', name, size: json['size'] as number, ...logicalOf(json) });
    }
    case 'array':
      return { kind: 'array', items: parseType(json['items'] as Json, namespace, names) };
    case 'map':
      return { kind: 'map', values: parseType(json['values'] as Json, namespace, names) };
    default: {
      const inner = parseType(type as Json, namespace, names);
      return inner.kind === 'int' ||
        inner.kind === 'long' ||
        inner.kind === 'string' ||
        inner.kind === 'bytes'
        ? ({ ...inner, ...logicalOf(json) } as AvroType)
        : inner;
    }
  }
}

function parseRecord(json: { [key: string]: Json }, namespace: string, names: Names): AvroType {
  const name = fullName(json, namespace);
  const record = define<AvroRecordType>(names, name, { kind: 'record', name, fields: [] });
  const inner = name.includes('.') ? name.slice(0, name.lastIndexOf('.')) : '';
  for (const member of json['fields'] as { [key: string]: Json }[]) {
    const field: AvroField = {
      name: member['name'] as string,
      type: parseType(member['type'] as Json, inner, names),
    };
    if (typeof member['doc'] === 'string') field.doc = member['doc'];
    record.fields.push(field);
  }
  return record;
}

const primitives = new Set(['null', 'boolean', 'int', 'long', 'float', 'double', 'bytes', 'string']);

function namedType(name: string, namespace: string, names: Names): AvroType {
  if (primitives.has(name)) return { kind: name } as AvroType;
  const found =
    names.get(name.includes('.') || namespace === '' ? name : `${namespace}.${name}`) ?? names.get(name);
  if (!found) throw new FatalError(`Avro schema: it refers to ${name}, which nothing defines`);
  return found;
}

function fullName(json: { [key: string]: Json }, namespace: string): string {
  const name = json['name'] as string;
  if (name.includes('.')) return name;
  const own = (json['namespace'] as string | undefined) ?? namespace;
  return own === '' ? name : `${own}.${name}`;
}

function define<T extends AvroType>(names: Names, name: string, type: T): T {
  names.set(name, type);
  return type;
}

/**
 * The logical type, where it is one that applies. As the specification asks, one that is unknown or does not fit is
 * ignored and the underlying type counts.
 */
function logicalOf(json: { [key: string]: Json }): { logical?: string; decimal?: AvroDecimal } {
  const logical = json['logicalType'];
  if (typeof logical !== 'string') return {};
  if (logical !== 'decimal') return { logical };
  const precision = json['precision'] as number;
  const scale = (json['scale'] ?? 0) as number;
  const isValid =
    Number.isInteger(precision) &&
    Number.isInteger(scale) &&
    precision >= 1 &&
    0 <= scale &&
    scale <= precision;
  return isValid ? { decimal: { precision, scale } } : {};
}

/** A type as a person would call it: `record Order`, `long (timestamp-micros)`. */
export function avroTypeName(type: AvroType): string {
  switch (type.kind) {
    case 'record':
    case 'enum':
      return `${type.kind} ${type.name}`;
    case 'union':
      return `union of ${type.branches.map(avroTypeName).join(' and ')}`;
    case 'array':
      return `array of ${avroTypeName(type.items)}`;
    case 'map':
      return `map of ${avroTypeName(type.values)}`;
    case 'bytes':
    case 'fixed':
      if (type.decimal) return `${type.kind} (decimal(${type.decimal.precision}, ${type.decimal.scale}))`;
      return type.kind === 'fixed' ? `fixed of ${type.size} bytes` : 'bytes';
    case 'int':
    case 'long':
    case 'string':
      return type.logical ? `${type.kind} (${type.logical})` : type.kind;
    default:
      return type.kind;
  }
}

/** `[null, T]` in either order is an optional T, `[T]` is T; any other type is itself and always there. */
export function optionalOf(type: AvroType): { type: AvroType; nullBranch: number | undefined } {
  if (type.kind !== 'union') return { type, nullBranch: undefined };
  const { branches } = type;
  if (branches.length === 1) return { type: branches[0]!, nullBranch: undefined };
  const nullBranch = branches.findIndex((branch) => branch.kind === 'null');
  if (branches.length === 2 && nullBranch !== -1) return { type: branches[1 - nullBranch]!, nullBranch };
  return { type, nullBranch: undefined };
}
