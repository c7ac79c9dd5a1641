import { describe, expect, test } from 'vitest';
import { Columns } from '../../../src/arrow/columns.ts';
import { FatalError } from '../../../src/base/errors.ts';
import { fieldFromAvro, fieldsFromAvro } from '../../../src/decode/avro-fields.ts';
import { compileRecord } from '../../../src/decode/avro-readers.ts';
import { avroTypeName, parseAvroSchema } from '../../../src/decode/avro-type.ts';
import {
  type Field,
  parsePrimitiveType,
  type StructType,
  type Type,
  typeName,
} from '../../../src/iceberg/types.ts';

type Json = null | boolean | number | string | Json[] | { [key: string]: Json };

const parse = (schema: Json, ...references: Json[]) =>
  parseAvroSchema(
    JSON.stringify(schema),
    references.map((reference) => JSON.stringify(reference)),
  );

function record(...fields: [string, Json][]): { [key: string]: Json } {
  return { type: 'record', name: 'R', fields: fields.map(([name, type]) => ({ name, type })) };
}

const logical = (type: string, logicalType: string, more: { [key: string]: Json } = {}): Json => ({
  type,
  logicalType,
  ...more,
});
const fixed = (size: number, more: { [key: string]: Json } = {}): Json => ({
  type: 'fixed',
  name: 'F',
  size,
  ...more,
});
const decimal = { logicalType: 'decimal', precision: 12, scale: 2 };

/** `name: type`, with `?` for optional ones. */
function shown(fields: readonly Field[]): string[] {
  return fields.map(({ name, type, required }) => `${name}${required ? '' : '?'}: ${typeName(type)}`);
}

describe('columns for an Avro schema', () => {
  test.each<[Json, string]>([
    ['boolean', 'boolean'],
    ['int', 'int'],
    ['long', 'long'],
    ['float', 'float'],
    ['double', 'double'],
    ['string', 'string'],
    ['bytes', 'binary'],
    [fixed(7), 'fixed[7]'],
    [fixed(16), 'fixed[16]'],
    [fixed(16, { logicalType: 'uuid' }), 'uuid'],
    [fixed(15, { logicalType: 'uuid' }), 'fixed[15]'],
    [fixed(12, { logicalType: 'duration' }), 'fixed[12]'],
    [{ type: 'enum', name: 'E', symbols: ['A'] }, 'string'],
    [logical('string', 'uuid'), 'uuid'],
    [logical('int', 'date'), 'date'],
    [logical('int', 'time-millis'), 'time'],
    [logical('long', 'time-micros'), 'time'],
    [logical('long', 'timestamp-millis'), 'timestamptz'],
    [logical('long', 'timestamp-micros'), 'timestamptz'],
    [logical('long', 'local-timestamp-millis'), 'timestamp'],
    [logical('long', 'local-timestamp-micros'), 'timestamp'],
    [{ type: 'bytes', ...decimal }, 'decimal(12, 2)'],
    [fixed(6, decimal), 'decimal(12, 2)'],
    [logical('bytes', 'decimal', { precision: 38, scale: 38 }), 'decimal(38, 38)'],
    [logical('bytes', 'decimal', { precision: 5 }), 'decimal(5, 0)'],
    // A logical type that does not fit what it is on is none.
    [logical('bytes', 'decimal', { precision: 0 }), 'binary'],
    [logical('bytes', 'decimal', { precision: 5, scale: 6 }), 'binary'],
    [logical('bytes', 'decimal', { precision: 5, scale: -1 }), 'binary'],
    [logical('bytes', 'decimal', { precision: 5.5 }), 'binary'],
    [logical('bytes', 'decimal'), 'binary'],
    [logical('int', 'decimal', { precision: 5, scale: 1 }), 'int'],
    [logical('string', 'date'), 'string'],
    [logical('long', 'date'), 'long'],
    [logical('int', 'timestamp-millis'), 'int'],
    [logical('long', 'furlongs'), 'long'],
    [{ type: 'string', 'avro.java.string': 'String' }, 'string'],
    [{ type: { type: 'long', logicalType: 'timestamp-micros' } }, 'timestamptz'],
    [{ type: 'array', items: 'int' }, 'list<int>'],
    [{ type: 'map', values: 'int' }, 'map<string, int>'],
    [record(['a', 'int']), 'struct<a: int>'],
    [['string'], 'string'],
  ])('%j is %s', (avro, type) => {
    expect(shown(fieldsFromAvro(parse({ ...record(['f', avro]), name: 'Outer' })))).toEqual([`f: ${type}`]);
    expect(
      shown(fieldsFromAvro(parse({ ...record(['f', ['null', avro].flat() as Json]), name: 'Outer' }))),
    ).toEqual([`f?: ${type}`]);
  });

  test('are optional where null is possible, at every level', () => {
    const inner = record(['a', ['null', 'int']], ['b', 'int']);
    const schema = {
      ...record(
        ['list', { type: 'array', items: ['int', 'null'] }],
        ['map', ['null', { type: 'map', values: ['null', 'int'] }]],
        ['struct', [inner, 'null']],
      ),
      name: 'Outer',
    };
    const [list, map, struct] = fieldsFromAvro(parse(schema));
    expect([list!.required, map!.required, struct!.required]).toEqual([true, false, false]);
    expect(list!.type).toMatchObject({ elementRequired: false });
    expect(map!.type).toMatchObject({ valueRequired: false });
    expect((struct!.type as StructType).fields.map(({ required }) => required)).toEqual([false, true]);
  });

  test('keep the order and the description of the fields', () => {
    const schema = {
      type: 'record',
      name: 'R',
      fields: [
        { name: 'z', type: 'int', doc: 'the last letter' },
        { name: 'a', type: 'int' },
      ],
    };
    expect(fieldsFromAvro(parse(schema))).toEqual([
      { id: 0, name: 'z', required: true, type: { kind: 'int' }, doc: 'the last letter' },
      { id: 0, name: 'a', required: true, type: { kind: 'int' } },
    ]);
  });

  test('for a whole value, such as a key', () => {
    expect(fieldFromAvro('_key', parse(['null', 'string']))).toEqual({
      id: 0,
      name: '_key',
      required: false,
      type: { kind: 'string' },
    });
    expect(typeName(fieldFromAvro('_key', parse(record(['id', 'long']))).type)).toBe('struct<id: long>');
  });

  test('of a record that is used twice, side by side', () => {
    const address = { type: 'record', name: 'Address', fields: [{ name: 'city', type: 'string' }] };
    const schema = record(['home', address], ['work', ['null', 'Address']]);
    expect(shown(fieldsFromAvro(parse(schema)))).toEqual([
      'home: struct<city: string>',
      'work?: struct<city: string>',
    ]);
  });

  test.each<[Json, string]>([
    ['int', 'creating columns from the Avro schema: expected a record, found int'],
    [
      { type: 'array', items: 'int' },
      'creating columns from the Avro schema: expected a record, found array of int',
    ],
    [
      ['null', record(['a', 'int'])],
      'creating columns from the Avro schema: expected a record, found union of null and record R',
    ],
    [record(['f', 'null']), 'field f: null is not supported (null with one other type is)'],
    [
      record(['f', ['int', 'string']]),
      'field f: union of int and string is not supported (null with one other type is)',
    ],
    [
      record(['f', ['null', 'int', 'string']]),
      'field f: union of null and int and string is not supported (null with one other type is)',
    ],
    [
      record(['a', { type: 'array', items: { type: 'map', values: ['int', 'long'] } }]),
      'field a[]{}: union of int and long is not supported (null with one other type is)',
    ],
    [
      record(['o', { type: 'record', name: 'I', fields: [{ name: 'i', type: 'null' }] }]),
      'field o.i: null is not supported (null with one other type is)',
    ],
    [
      record(['t', logical('long', 'timestamp-nanos')]),
      'field t: timestamp-nanos needs format version 3; microseconds are the finest in version 2',
    ],
    [
      record(['t', logical('long', 'local-timestamp-nanos')]),
      'field t: local-timestamp-nanos needs format version 3; microseconds are the finest in version 2',
    ],
    [
      record(['d', logical('bytes', 'decimal', { precision: 39, scale: 2 })]),
      "field d: decimal(39, 2) is wider than Iceberg's 38 digits",
    ],
    [record(['next', ['null', 'R']]), 'field next: record R contains itself, which no table can hold'],
    [
      record([
        'c',
        { type: 'array', items: { type: 'record', name: 'C', fields: [{ name: 'up', type: 'R' }] } },
      ]),
      'field c[].up: record R contains itself, which no table can hold',
    ],
  ])('%j cannot be had', (schema, message) => {
    expect(() => fieldsFromAvro(parse(schema))).toThrow(new FatalError(message));
  });
});

describe('an Avro schema', () => {
  test('may be a bare name, quoted or not', () => {
    expect(parseAvroSchema('string')).toEqual({ kind: 'string' });
    expect(parseAvroSchema(' "long" ')).toEqual({ kind: 'long' });
    expect(parseAvroSchema('{"type":"int"}')).toEqual({ kind: 'int' });
  });

  test('finds names in its namespaces', () => {
    const schema = {
      type: 'record',
      name: 'Outer',
      namespace: 'a.b',
      fields: [
        { name: 'one', type: { type: 'fixed', name: 'F', size: 1 } },
        { name: 'two', type: { type: 'fixed', name: 'F', namespace: 'c', size: 2 } },
        { name: 'three', type: { type: 'fixed', name: 'd.F', size: 3 } },
        {
          name: 'inner',
          type: {
            type: 'record',
            name: 'e.Inner',
            fields: [
              { name: 'four', type: { type: 'fixed', name: 'F', size: 4 } },
              { name: 'short', type: 'F' },
              { name: 'full', type: 'a.b.F' },
            ],
          },
        },
        { name: 'ownShort', type: 'F' },
        { name: 'ownFull', type: 'a.b.F' },
        { name: 'second', type: 'c.F' },
        { name: 'third', type: 'd.F' },
        { name: 'fourth', type: 'e.F' },
      ],
    };
    expect(shown(fieldsFromAvro(parse(schema)))).toEqual([
      'one: fixed[1]',
      'two: fixed[2]',
      'three: fixed[3]',
      'inner: struct<four: fixed[4], short: fixed[4], full: fixed[1]>',
      'ownShort: fixed[1]',
      'ownFull: fixed[1]',
      'second: fixed[2]',
      'third: fixed[3]',
      'fourth: fixed[4]',
    ]);
  });

  test('finds what it refers to in the schemas given with it', () => {
    const a = { type: 'enum', name: 'A', namespace: 'n', symbols: ['X'] };
    const c = { type: 'record', name: 'C', namespace: 'n', fields: [{ name: 'a', type: 'A' }] };
    expect(shown(fieldsFromAvro(parse(record(['c', 'n.C'], ['a', 'n.A']), a, c)))).toEqual([
      'c: struct<a: string>',
      'a: string',
    ]);
    expect(() => parse(record(['c', 'n.D']), a, c)).toThrow(
      'Avro schema: it refers to n.D, which nothing defines',
    );
  });

  test('that is none is refused', () => {
    expect(() => parseAvroSchema('{"type":"record"')).toThrow(SyntaxError);
    expect(() => parse(record(['f', 'no-such-type']))).toThrow(
      'Avro schema: it refers to no-such-type, which nothing defines',
    );
    expect(() => parse(record(['f', 5]))).toThrow('Avro schema: 5 is not a type');
    expect(() => parse({ type: 'array' })).toThrow('Avro schema: undefined is not a type');
  });

  test.each<[Json, string]>([
    [logical('long', 'timestamp-micros'), 'long (timestamp-micros)'],
    [{ type: 'bytes', ...decimal }, 'bytes (decimal(12, 2))'],
    [fixed(6, decimal), 'fixed (decimal(12, 2))'],
    [fixed(6), 'fixed of 6 bytes'],
    [
      { type: 'map', values: ['null', { type: 'array', items: 'int' }] },
      'map of union of null and array of int',
    ],
    [{ type: 'enum', name: 'E', namespace: 'n', symbols: ['A'] }, 'enum n.E'],
  ])('%j is called "%s"', (schema, name) => {
    expect(avroTypeName(parse(schema))).toBe(name);
  });
});

describe('what a column cannot take is refused when the schema is seen', () => {
  const struct = (...fields: Field[]): Type => ({ kind: 'struct', fields });
  const column = (name: string, type: Type | string, required = false): Field => ({
    id: 1,
    name,
    required,
    type: typeof type === 'string' ? parsePrimitiveType(type) : type,
  });

  test.each<[Json, Field, string]>([
    ['long', column('f', 'int'), 'field f: long cannot go into a column of type int'],
    ['double', column('f', 'float'), 'field f: double cannot go into a column of type float'],
    ['float', column('f', 'long'), 'field f: float cannot go into a column of type long'],
    ['string', column('f', 'long'), 'field f: string cannot go into a column of type long'],
    ['int', column('f', 'string'), 'field f: int cannot go into a column of type string'],
    ['int', column('f', 'boolean'), 'field f: int cannot go into a column of type boolean'],
    ['int', column('f', 'date'), 'field f: int cannot go into a column of type date'],
    ['long', column('f', 'timestamptz'), 'field f: long cannot go into a column of type timestamptz'],
    [
      logical('long', 'timestamp-nanos'),
      column('f', 'timestamptz'),
      'field f: long (timestamp-nanos) cannot go into a column of type timestamptz',
    ],
    [
      logical('long', 'time-micros'),
      column('f', 'timestamptz'),
      'field f: long (time-micros) cannot go into a column of type timestamptz',
    ],
    [
      logical('long', 'timestamp-micros'),
      column('f', 'time'),
      'field f: long (timestamp-micros) cannot go into a column of type time',
    ],
    [fixed(4), column('f', 'fixed[5]'), 'field f: fixed of 4 bytes cannot go into a column of type fixed[5]'],
    [fixed(15), column('f', 'uuid'), 'field f: fixed of 15 bytes cannot go into a column of type uuid'],
    [fixed(4), column('f', 'string'), 'field f: fixed of 4 bytes cannot go into a column of type string'],
    ['bytes', column('f', 'decimal(9,2)'), 'field f: bytes cannot go into a column of type decimal(9, 2)'],
    [
      { type: 'bytes', ...decimal },
      column('f', 'decimal(12,1)'),
      'field f: bytes (decimal(12, 2)) cannot go into a column of type decimal(12, 1)',
    ],
    [
      { type: 'bytes', ...decimal },
      column('f', 'decimal(12,3)'),
      'field f: bytes (decimal(12, 2)) cannot go into a column of type decimal(12, 3)',
    ],
    [
      { type: 'enum', name: 'E', symbols: ['A'] },
      column('f', 'binary'),
      'field f: enum E cannot go into a column of type binary',
    ],
    [
      ['int', 'string'],
      column('f', 'int'),
      'field f: union of int and string is not supported (null with one other type is)',
    ],
    ['null', column('f', 'int', true), 'field f: the column is required, the schema says null'],
    [
      { type: 'array', items: { type: 'record', name: 'I', fields: [{ name: 'a', type: 'int' }] } },
      column('f', {
        kind: 'list',
        elementId: 1,
        elementRequired: true,
        element: struct(column('b', 'int', true)),
      }),
      'field f[].b: the column is required, the schema I does not have it',
    ],
    [
      { type: 'map', values: 'int' },
      column('f', {
        kind: 'map',
        keyId: 1,
        key: { kind: 'int' },
        valueId: 2,
        valueRequired: true,
        value: { kind: 'int' },
      }),
      'field f{}: string cannot go into a column of type int',
    ],
    [
      { type: 'array', items: 'int' },
      column('f', struct(column('a', 'int'))),
      'field f: array of int cannot go into a column of type struct<a: int>',
    ],
  ])('%j', (avro, target, message) => {
    const { columns } = new Columns({ schemaId: 0, fields: [target] });
    const schema = parse({ ...record(['f', avro]), name: 'Outer' });
    expect(() => compileRecord(schema, [target], columns, new Set())).toThrow(new FatalError(message));
  });

  test('what no column wants is told by its path', () => {
    const inner = {
      type: 'record',
      name: 'I',
      fields: [
        { name: 'a', type: 'int' },
        { name: 'b', type: 'int' },
      ],
    };
    const schema = parse(
      record(['x', 'int'], ['list', { type: 'array', items: inner }], ['o', ['null', 'I']]),
    );
    const fields = [
      column('list', {
        kind: 'list',
        elementId: 1,
        elementRequired: true,
        element: struct(column('a', 'int')),
      }),
      column('o', struct(column('b', 'int'))),
    ];
    const { columns } = new Columns({ schemaId: 0, fields });
    const unlanded = new Set<string>();
    compileRecord(schema, fields, columns, unlanded);
    expect([...unlanded]).toEqual(['x', 'list[].b', 'o.a']);
  });
});
