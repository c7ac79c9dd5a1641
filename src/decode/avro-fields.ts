import { FatalError } from '../base/errors.ts';
import type { Field, Type } from '../iceberg/types.ts';
import { type AvroType, avroTypeName, optionalOf } from './avro-type.ts';

/**
 * The Iceberg columns for records of an Avro schema (spec appendix A "Avro", read backwards; the choices of Iceberg's own
 * Kafka Connect sink where it leaves one). Field ids are placeholders: the table gives its own.
 * @throws {FatalError} naming the field that no table can hold.
 */
export function fieldsFromAvro(schema: AvroType): Field[] {
  if (schema.kind !== 'record')
    throw new FatalError(
      `creating columns from the Avro schema: expected a record, found ${avroTypeName(schema)}`,
    );
  return structFields(schema, '', []);
}

/** The column for a whole value of any type, such as a record's key. */
export function fieldFromAvro(name: string, type: AvroType): Field {
  return field(name, type, name, []);
}

function structFields(
  record: Extract<AvroType, { kind: 'record' }>,
  path: string,
  outer: readonly string[],
): Field[] {
  if (outer.includes(record.name))
    throw new FatalError(`field ${path}: record ${record.name} contains itself, which no table can hold`);
  const inner = [...outer, record.name];
  return record.fields.map((member) => {
    const made = field(member.name, member.type, path === '' ? member.name : `${path}.${member.name}`, inner);
    return member.doc === undefined ? made : { ...made, doc: member.doc };
  });
}

function field(name: string, avro: AvroType, path: string, outer: readonly string[]): Field {
  const { type, nullBranch } = optionalOf(avro);
  return { id: 0, name, required: nullBranch === undefined, type: icebergType(type, path, outer) };
}

function icebergType(type: AvroType, path: string, outer: readonly string[]): Type {
  switch (type.kind) {
    case 'boolean':
    case 'float':
    case 'double':
      return { kind: type.kind };
    case 'int':
      if (type.logical === 'date') return { kind: 'date' };
      if (type.logical === 'time-millis') return { kind: 'time' };
      return { kind: 'int' };
    case 'long':
      return longType(type.logical, path);
    case 'string':
      return type.logical === 'uuid' ? { kind: 'uuid' } : { kind: 'string' };
    case 'enum':
      return { kind: 'string' };
    case 'bytes':
      return type.decimal ? decimalType(type.decimal, path) : { kind: 'binary' };
    case 'fixed':
      if (type.decimal) return decimalType(type.decimal, path);
      if (type.logical === 'uuid' && type.size === 16) return { kind: 'uuid' };
      return { kind: 'fixed', length: type.size };
    case 'array': {
      const element = field('element', type.items, `${path}[]`, outer);
      return { kind: 'list', elementId: 0, elementRequired: element.required, element: element.type };
    }
    case 'map': {
      const value = field('value', type.values, `${path}{}`, outer);
      const key: Type = { kind: 'string' };
      return { kind: 'map', keyId: 0, key, valueId: 0, valueRequired: value.required, value: value.type };
    }
    case 'record':
      return { kind: 'struct', fields: structFields(type, path, outer) };
    default:
      throw new FatalError(
        `field ${path}: ${avroTypeName(type)} is not supported (null with one other type is)`,
      );
  }
}

function longType(logical: string | undefined, path: string): Type {
  switch (logical) {
    case 'time-micros':
      return { kind: 'time' };
    case 'timestamp-millis':
    case 'timestamp-micros':
      return { kind: 'timestamptz' };
    case 'local-timestamp-millis':
    case 'local-timestamp-micros':
      return { kind: 'timestamp' };
    case 'timestamp-nanos':
    case 'local-timestamp-nanos':
      throw new FatalError(
        `field ${path}: ${logical} needs format version 3; microseconds are the finest in version 2`,
      );
    default:
      return { kind: 'long' };
  }
}

function decimalType(decimal: { precision: number; scale: number }, path: string): Type {
  if (decimal.precision > 38)
    throw new FatalError(
      `field ${path}: decimal(${decimal.precision}, ${decimal.scale}) is wider than Iceberg's 38 digits`,
    );
  return { kind: 'decimal', ...decimal };
}
