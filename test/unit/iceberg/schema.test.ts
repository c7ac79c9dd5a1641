import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { Json } from '../../../src/base/json.ts';
import { assignFieldIds, leaves, schemaFromJson, schemaToJson } from '../../../src/iceberg/schema.ts';
import type { Field, Type } from '../../../src/iceberg/types.ts';
import { schemas } from '../arrow/rows.ts';
import { goldenJson } from './golden.ts';

test('a schema has the JSON of the specification', () => {
  const fields: Field[] = [{ id: 1, name: 'id', required: true, type: { kind: 'long' } }];
  const json = {
    type: 'struct',
    'schema-id': 4,
    fields: [{ id: 1, name: 'id', required: true, type: 'long' }],
  };
  expect(schemaToJson({ schemaId: 4, fields })).toEqual(json);
  expect(schemaFromJson(json)).toEqual({ schemaId: 4, fields });
  expect(schemaToJson({ schemaId: 4, fields, identifierFieldIds: [1] })).toEqual({
    ...json,
    'identifier-field-ids': [1],
  });
  expect(schemaFromJson({ ...json, 'identifier-field-ids': [1] }).identifierFieldIds).toEqual([1]);
  expect('identifierFieldIds' in schemaFromJson({ ...json, 'identifier-field-ids': [] })).toBe(false);
});

test('a schema of format version 1 without an id has the id 0', () => {
  expect(schemaFromJson({ type: 'struct', fields: [] })).toEqual({ schemaId: 0, fields: [] });
});

test('any schema comes back from its JSON text', () => {
  fc.assert(
    fc.property(schemas(3), (schema) => {
      expect(schemaFromJson(JSON.parse(JSON.stringify(schemaToJson(schema))))).toEqual(schema);
    }),
  );
});

test('fields are numbered as Java numbers them', () => {
  const { given, java } = goldenJson<{ given: Json; java: Json }>('java-field-ids.json');
  const { fields, lastColumnId } = assignFieldIds(schemaFromJson(given).fields);
  expect(schemaToJson({ schemaId: 0, fields })).toEqual(java);
  expect(lastColumnId).toBe(15);
});

test('every node gets an id of its own, without a gap, and nothing else changes', () => {
  fc.assert(
    fc.property(schemas(3), fc.integer({ min: 1, max: 1_000 }), ({ fields: given }, first) => {
      const { fields, lastColumnId } = assignFieldIds(given, first);
      const ids = idsOf(fields).sort((a, b) => a - b);
      expect(ids).toEqual(Array.from({ length: ids.length }, (_, i) => first + i));
      expect(lastColumnId).toBe(first + ids.length - 1);
      expect(withoutIds(fields)).toEqual(withoutIds(given));
      expect(fields.map(({ id }) => id)).toEqual(given.map((_, i) => first + i));
    }),
  );
});

test('an empty schema has no last column', () => {
  expect(assignFieldIds([])).toEqual({ fields: [], lastColumnId: 0 });
});

test('leaves come in the order of Parquet’s columns, with their paths', () => {
  const { given } = goldenJson<{ given: Json }>('java-field-ids.json');
  const found = leaves(schemaFromJson(given)).map(({ id, path, type, repeated }) => [
    id,
    path,
    type.kind,
    repeated,
  ]);
  expect(found).toEqual([
    [100, 'a', 'long', false],
    [102, 's.x', 'int', false],
    [104, 's.inner.y', 'string', false],
    [107, 'l.element.z', 'date', true],
    [109, 'm.key', 'string', true],
    [111, 'm.value.key', 'int', true],
    [113, 'm.value.value.element', 'uuid', true],
    [114, 'last', 'decimal', false],
  ]);
});

function idsOf(fields: readonly Field[]): number[] {
  const inside = (type: Type): number[] => {
    switch (type.kind) {
      case 'struct':
        return idsOf(type.fields);
      case 'list':
        return [type.elementId, ...inside(type.element)];
      case 'map':
        return [type.keyId, type.valueId, ...inside(type.key), ...inside(type.value)];
      default:
        return [];
    }
  };
  return fields.flatMap(({ id, type }) => [id, ...inside(type)]);
}

function withoutIds(value: unknown): unknown {
  return JSON.parse(JSON.stringify(value, (key, member) => (/^(id|.*Id)$/.test(key) ? 0 : member)));
}
