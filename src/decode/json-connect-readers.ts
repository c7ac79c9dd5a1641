import type { Column, ListColumn, MapColumn, StructColumn } from '../arrow/columns.ts';
import { type Field, isPrimitive, type MapType, type Type, typeName } from '../iceberg/types.ts';
import { DecodeError } from './decoder.ts';
import { connectLeafReader } from './json-connect-leaves.ts';
import {
  type ConnectMap,
  type ConnectSchema,
  type ConnectStruct,
  connectTypeName,
} from './json-connect-schema.ts';
import {
  type Absence,
  arrayReader,
  type Member,
  memberPath,
  objectMapReader,
  objectReader,
  pairMapReader,
  type Slot,
} from './json-nested.ts';
import type { Read, ReaderContext } from './json-reader.ts';
import { absence, structReader } from './json-readers.ts';

/**
 * Reads an object that a Connect struct describes into the columns of `fields`. Its fields go by name; a column that the
 * struct lacks gets nulls, a key that it lacks is passed over.
 * @throws {DecodeError} when the type of a field cannot go into its column.
 */
export function connectStructReader(
  c: ReaderContext,
  schema: ConnectStruct,
  fields: readonly Field[],
  columns: readonly Column[],
  path: string,
  onUnknown?: (name: string) => void,
): Read {
  const members = fields.map((field, i): Member => {
    const column = columns[i]!;
    const at = memberPath(path, field.name);
    const source = schema.fields.find(({ name }) => name === field.name);
    if (source === undefined)
      return { name: undefined, read() {}, absent: absence(column, field.required, at) };
    return { name: field.name, ...connectSlot(c, source.schema, field.type, field.required, column, at) };
  });
  return objectReader(c, members, path, onUnknown);
}

function connectSlot(
  c: ReaderContext,
  schema: ConnectSchema,
  type: Type,
  required: boolean,
  column: Column,
  path: string,
): Slot {
  const read = valueReader(c, schema, type, column, path);
  const absent = absence(column, required, path);
  const { default: text, optional } = schema;
  if (text !== undefined)
    return {
      read,
      absent(why) {
        // Where null is allowed, a null that was written is meant.
        if (why === 'null' && optional) absent(why);
        else c.s.within(text, read);
      },
    };
  return { read, absent: optional ? absent : (why) => failAbsent(why, path) };
}

function failAbsent(why: Absence, path: string): never {
  throw new DecodeError(path, `${why}, but its Connect schema is not optional`);
}

function valueReader(
  c: ReaderContext,
  schema: ConnectSchema,
  type: Type,
  column: Column,
  path: string,
): Read {
  switch (schema.type) {
    case 'struct': {
      if (type.kind !== 'struct') return reject(schema, type, path);
      const struct = column as StructColumn;
      return structReader(connectStructReader(c, schema, type.fields, struct.children, path), struct);
    }
    case 'array': {
      if (type.kind !== 'list') return reject(schema, type, path);
      const list = column as ListColumn;
      const element = connectSlot(
        c,
        schema.items,
        type.element,
        type.elementRequired,
        list.element,
        `${path}[]`,
      );
      return arrayReader(c, element, list, path);
    }
    case 'map':
      if (type.kind !== 'map') return reject(schema, type, path);
      return mapReader(c, schema, type, column as MapColumn, path);
    default:
      if (!isPrimitive(type)) return reject(schema, type, path);
      return connectLeafReader(c, schema, type, column, path) ?? reject(schema, type, path);
  }
}

/** JsonConverter writes maps with string keys as objects and others as arrays of pairs. */
function mapReader(
  c: ReaderContext,
  schema: ConnectMap,
  type: MapType,
  column: MapColumn,
  path: string,
): Read {
  const keyPath = `${path}{key}`;
  const key = connectSlot(c, schema.keys, type.key, true, column.key, keyPath);
  const value = connectSlot(c, schema.values, type.value, type.valueRequired, column.value, `${path}{}`);
  if (schema.keys.type === 'string') return objectMapReader(c, key.read, value, column, path);
  return pairMapReader(c, key, value, column, path);
}

function reject(schema: ConnectSchema, type: Type, path: string): never {
  throw new DecodeError(
    path,
    `a Connect ${connectTypeName(schema)} cannot go into a column of type ${typeName(type)}`,
  );
}
