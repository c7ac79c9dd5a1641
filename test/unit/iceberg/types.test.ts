import fc from 'fast-check';
import { expect, test } from 'vitest';
import { FatalError } from '../../../src/base/errors.ts';
import {
  decimalBytes,
  type Field,
  fieldFromJson,
  fieldToJson,
  isPrimitive,
  parsePrimitiveType,
  sameType,
  type Type,
  typeFromJson,
  typeName,
  typeToJson,
} from '../../../src/iceberg/types.ts';
import { schemas, types } from '../arrow/rows.ts';

test.each([
  ['boolean', { kind: 'boolean' }],
  ['int', { kind: 'int' }],
  ['long', { kind: 'long' }],
  ['float', { kind: 'float' }],
  ['double', { kind: 'double' }],
  ['date', { kind: 'date' }],
  ['time', { kind: 'time' }],
  ['timestamp', { kind: 'timestamp' }],
  ['timestamptz', { kind: 'timestamptz' }],
  ['string', { kind: 'string' }],
  ['uuid', { kind: 'uuid' }],
  ['binary', { kind: 'binary' }],
  ['fixed[16]', { kind: 'fixed', length: 16 }],
  ['decimal(38, 0)', { kind: 'decimal', precision: 38, scale: 0 }],
  ['decimal(9, 9)', { kind: 'decimal', precision: 9, scale: 9 }],
] as [string, Type][])('%s is read, and written as the specification writes it', (text, type) => {
  expect(parsePrimitiveType(text)).toEqual(type);
  expect(typeName(type)).toBe(text);
  expect(typeToJson(type)).toBe(text);
  expect(typeFromJson(text)).toEqual(type);
  expect(isPrimitive(type)).toBe(true);
});

test('blanks inside the brackets do not matter', () => {
  expect(parsePrimitiveType('decimal(12,2)')).toEqual({ kind: 'decimal', precision: 12, scale: 2 });
  expect(parsePrimitiveType('decimal( 12 , 2 )')).toEqual({ kind: 'decimal', precision: 12, scale: 2 });
  expect(parsePrimitiveType('fixed[ 3 ]')).toEqual({ kind: 'fixed', length: 3 });
});

test.each([
  ['bigint', 'type "bigint" is not a type of Iceberg format version 2'],
  ['Long', 'type "Long" is not a type of Iceberg format version 2'],
  ['', 'type "" is not a type of Iceberg format version 2'],
  ['timestamp_ns', 'type "timestamp_ns" is not a type of Iceberg format version 2'],
  ['variant', 'type "variant" is not a type of Iceberg format version 2'],
  ['struct', 'type "struct" is not a type of Iceberg format version 2'],
  ['decimal(39, 0)', 'type decimal(39, 0): precision must be between 1 and 38'],
  ['decimal(0, 0)', 'type decimal(0, 0): precision must be between 1 and 38'],
  ['decimal(3, 4)', 'type decimal(3, 4): scale must not be above the precision'],
  ['decimal(3)', 'type "decimal(3)" is not a type of Iceberg format version 2'],
  ['fixed', 'type "fixed" is not a type of Iceberg format version 2'],
])('%s is no type', (text, message) => {
  expect(() => parsePrimitiveType(text)).toThrow(new FatalError(message));
});

test('nested types have the JSON of the specification', () => {
  const type: Type = {
    kind: 'struct',
    fields: [
      {
        id: 1,
        name: 'l',
        required: true,
        doc: 'a list',
        type: { kind: 'list', elementId: 2, elementRequired: false, element: { kind: 'int' } },
      },
      {
        id: 3,
        name: 'm',
        required: false,
        type: {
          kind: 'map',
          keyId: 4,
          key: { kind: 'string' },
          valueId: 5,
          valueRequired: true,
          value: { kind: 'struct', fields: [] },
        },
      },
    ],
  };
  expect(typeToJson(type)).toEqual({
    type: 'struct',
    fields: [
      {
        id: 1,
        name: 'l',
        required: true,
        type: { type: 'list', 'element-id': 2, element: 'int', 'element-required': false },
        doc: 'a list',
      },
      {
        id: 3,
        name: 'm',
        required: false,
        type: {
          type: 'map',
          'key-id': 4,
          key: 'string',
          'value-id': 5,
          value: { type: 'struct', fields: [] },
          'value-required': true,
        },
      },
    ],
  });
  expect(typeName(type)).toBe('struct<l: list<int>, m: map<string, struct<>>>');
  expect(isPrimitive(type)).toBe(false);
});

test('what is no type in a table’s metadata is refused with its text', () => {
  expect(() => typeFromJson({ type: 'variant' })).toThrow('type {"type":"variant"} is not a type');
  expect(() => typeFromJson('geometry')).toThrow(FatalError);
});

test('a field without a doc has none, and defaults of later versions do not disturb', () => {
  const field: Field = { id: 1, name: 'a', required: false, type: { kind: 'int' } };
  expect(fieldFromJson({ id: 1, name: 'a', required: false, type: 'int', 'write-default': 3 })).toEqual(
    field,
  );
  expect(fieldToJson(field)).toEqual({ id: 1, name: 'a', required: false, type: 'int' });
});

test('any type comes back from its JSON text', () => {
  fc.assert(
    fc.property(types(3), (type) => {
      expect(typeFromJson(JSON.parse(JSON.stringify(typeToJson(type))))).toEqual(type);
      expect(sameType(type, structuredClone(type))).toBe(true);
    }),
  );
});

test('types differ by their ids, names and what is required', () => {
  fc.assert(
    fc.property(schemas(2), schemas(2), (a, b) => {
      const [left, right]: Type[] = [
        { kind: 'struct', fields: a.fields },
        { kind: 'struct', fields: b.fields },
      ];
      const equal = JSON.stringify(a.fields) === JSON.stringify(b.fields);
      expect(sameType(left!, right!)).toBe(equal);
    }),
  );
});

test('a decimal’s bytes are the fewest that hold its precision', () => {
  // Spec appendix A, by hand: ceil(log2(10^P) + 1) / 8.
  const expected = [
    1, 1, 2, 2, 3, 3, 4, 4, 4, 5, 5, 6, 6, 6, 7, 7, 8, 8, 9, 9, 9, 10, 10, 11, 11, 11, 12, 12, 13, 13, 13, 14,
    14, 15, 15, 16, 16, 16,
  ];
  expect(expected.map((_, i) => decimalBytes(i + 1))).toEqual(expected);
});
