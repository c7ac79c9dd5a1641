import type { Column, ListColumn, MapColumn, StructColumn } from '../arrow/columns.ts';
import { type Field, isPrimitive, type MapType, type Type, typeName } from '../iceberg/types.ts';
import { DecodeError } from './decoder.ts';
import { leafReader } from './json-leaves.ts';
import { keyReader } from './json-map-keys.ts';
import {
  type Absence,
  arrayReader,
  type Member,
  memberPath,
  objectMapReader,
  objectReader,
} from './json-nested.ts';
import type { Read, ReaderContext } from './json-reader.ts';

/** Reads an object whose keys are the names of `fields` into their columns. */
export function fieldsReader(
  c: ReaderContext,
  fields: readonly Field[],
  columns: readonly Column[],
  path: string,
  onUnknown?: (name: string) => void,
): Read {
  const members = fields.map((field, i): Member => {
    const column = columns[i]!;
    const at = memberPath(path, field.name);
    return {
      name: field.name,
      read: valueReader(c, field.type, column, at),
      absent: absence(column, field.required, at),
    };
  });
  return objectReader(c, members, path, onUnknown);
}

/** Reads a value as its column's type says. */
export function valueReader(c: ReaderContext, type: Type, column: Column, path: string): Read {
  if (isPrimitive(type)) return leafReader(c, type, column, path);
  switch (type.kind) {
    case 'struct':
      return structReader(
        fieldsReader(c, type.fields, (column as StructColumn).children, path),
        column as StructColumn,
      );
    case 'list': {
      const list = column as ListColumn;
      const inner = `${path}[]`;
      const element = {
        read: valueReader(c, type.element, list.element, inner),
        absent: absence(list.element, type.elementRequired, inner),
      };
      return arrayReader(c, element, list, path);
    }
    case 'map':
      return mapReader(c, type, column as MapColumn, path);
  }
}

/** Closes a struct once its members have been read. */
export function structReader(readFields: Read, column: StructColumn): Read {
  return () => {
    readFields();
    column.append();
  };
}

function mapReader(c: ReaderContext, type: MapType, column: MapColumn, path: string): Read {
  if (!isPrimitive(type.key)) {
    const problem = `the keys of an object cannot be read into a column of type ${typeName(type.key)}`;
    return () => {
      throw new DecodeError(path, problem);
    };
  }
  const inner = `${path}{}`;
  const key = keyReader(c, type.key.kind, leafReader(c, type.key, column.key, `${path}{key}`));
  const value = {
    read: valueReader(c, type.value, column.value, inner),
    absent: absence(column.value, type.valueRequired, inner),
  };
  return objectMapReader(c, key, value, column, path);
}

/** What happens when there is no value: a null, if the column may have one. */
export function absence(column: Column, required: boolean, path: string): (why: Absence) => void {
  if (!required) return () => column.appendNull();
  return (why) => {
    throw new DecodeError(
      path,
      why === 'null' ? 'null in a required column' : 'missing, but the column is required',
    );
  };
}
