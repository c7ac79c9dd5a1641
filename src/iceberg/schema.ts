import type { Json } from '../base/json.ts';
import {
  type Field,
  fieldFromJson,
  fieldToJson,
  isPrimitive,
  type PrimitiveType,
  type Type,
} from './types.ts';

/** A table schema: the root struct with its id (spec "Schemas and Data Types"). */
export interface Schema {
  schemaId: number;
  fields: readonly Field[];
  identifierFieldIds?: readonly number[];
}

export function schemaToJson(schema: Schema): { [key: string]: Json } {
  const json: { [key: string]: Json } = { type: 'struct', 'schema-id': schema.schemaId };
  if (schema.identifierFieldIds?.length) json['identifier-field-ids'] = [...schema.identifierFieldIds];
  json['fields'] = schema.fields.map(fieldToJson);
  return json;
}

export function schemaFromJson(json: Json): Schema {
  const object = json as { [key: string]: Json };
  const schema: Schema = {
    schemaId: (object['schema-id'] as number | undefined) ?? 0,
    fields: (object['fields'] as Json[]).map(fieldFromJson),
  };
  const identifiers = object['identifier-field-ids'] as number[] | undefined;
  if (identifiers?.length) schema.identifierFieldIds = identifiers;
  return schema;
}

/** Gives every node of `fields` a fresh id, level by level as Java's AssignFreshIds does, starting at `firstId`. */
export function assignFieldIds(
  fields: readonly Field[],
  firstId = 1,
): { fields: Field[]; lastColumnId: number } {
  let nextId = firstId;
  const struct = (members: readonly Field[]): Field[] => {
    // All members of a struct are numbered before any of them is entered.
    const ids = members.map(() => nextId++);
    return members.map((field, i) => ({ ...field, id: ids[i]!, type: type(field.type) }));
  };
  const type = (t: Type): Type => {
    switch (t.kind) {
      case 'struct':
        return { kind: 'struct', fields: struct(t.fields) };
      case 'list': {
        const elementId = nextId++;
        return { ...t, elementId, element: type(t.element) };
      }
      case 'map': {
        const keyId = nextId++;
        const valueId = nextId++;
        return { ...t, keyId, valueId, key: type(t.key), value: type(t.value) };
      }
      default:
        return t;
    }
  };
  const numbered = struct(fields);
  return { fields: numbered, lastColumnId: nextId - 1 };
}

/** A field, and where it stands. */
export interface Place {
  field: Field;
  /** Names from the root, e.g. `address.city`. */
  name: string;
  /** Positions from the root: in the schema, in the struct there, and so on. */
  path: readonly number[];
}

/** The fields of which each row has one value at most: all but what lies within lists and maps. */
export function singleFields(fields: readonly Field[]): Place[] {
  return fields.flatMap((field, i): Place[] => {
    const within = field.type.kind === 'struct' ? singleFields(field.type.fields) : [];
    return [
      { field, name: field.name, path: [i] },
      ...within.map((inner) => ({
        field: inner.field,
        name: `${field.name}.${inner.name}`,
        path: [i, ...inner.path],
      })),
    ];
  });
}

/** A primitive leaf of a schema. */
export interface Leaf {
  id: number;
  /** Names from the root, e.g. `address.city`, `tags.element`, `attributes.value`. */
  path: string;
  type: PrimitiveType;
  /** True inside a list or map: one row may hold many values, so there are no per-row metrics. */
  repeated: boolean;
}

/** All primitive leaves in depth-first order, the order of Parquet's leaf columns. */
export function leaves(schema: Pick<Schema, 'fields'>): Leaf[] {
  const out: Leaf[] = [];
  const visit = (id: number, path: string, type: Type, repeated: boolean): void => {
    if (isPrimitive(type)) {
      out.push({ id, path, type, repeated });
    } else if (type.kind === 'struct') {
      for (const field of type.fields) visit(field.id, `${path}.${field.name}`, field.type, repeated);
    } else if (type.kind === 'list') {
      visit(type.elementId, `${path}.element`, type.element, true);
    } else {
      visit(type.keyId, `${path}.key`, type.key, true);
      visit(type.valueId, `${path}.value`, type.value, true);
    }
  };
  for (const field of schema.fields) visit(field.id, field.name, field.type, false);
  return out;
}
