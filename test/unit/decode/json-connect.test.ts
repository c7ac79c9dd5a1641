import { expect, test } from 'vitest';
import { Columns } from '../../../src/arrow/columns.ts';
import { DecodeError } from '../../../src/decode/decoder.ts';
import { type JsonDecoder, jsonDecoder } from '../../../src/decode/json.ts';
import type { Field, Type } from '../../../src/iceberg/types.ts';
import { field, list, map, valueAt } from './columns.ts';
import { append } from './entries.ts';

/** The JSON of a Connect struct with these fields, each a schema or the name of a type. */
function struct(fields: { [name: string]: object | string }): object {
  return {
    type: 'struct',
    optional: false,
    fields: Object.entries(fields).map(([name, schema]) => ({
      optional: true,
      ...(typeof schema === 'string' ? { type: schema } : schema),
      field: name,
    })),
  };
}

/** A logical type's schema. */
function logical(type: string, name: string, parameters?: object): object {
  return { type, name, version: 1, ...(parameters && { parameters }) };
}

function decimal(scale: unknown): object {
  return logical('bytes', 'org.apache.kafka.connect.data.Decimal', { scale });
}

class Table {
  readonly columns: Columns;
  readonly decoder: JsonDecoder;

  constructor(fields: Field[]) {
    this.columns = new Columns({ schemaId: 0, fields });
    this.decoder = jsonDecoder(fields, this.columns.columns, { envelope: 'connect', epoch: 'ms' });
  }

  /** The values of the row that a record becomes. */
  row(record: string): unknown[] {
    const body = Buffer.from(record);
    this.columns.truncate(0);
    append(this.decoder, body, Buffer.from('9"}'));
    const { fields } = this.columns.schema;
    expect(this.columns.columns.map((column) => column.length)).toEqual(fields.map(() => 1));
    return fields.map(({ type }, i) => valueAt(type, this.columns.columns[i]!, 0));
  }

  problem(record: string): string {
    try {
      this.row(record);
    } catch (error) {
      if (error instanceof DecodeError) return error.message;
      throw error;
    }
    throw new Error(`${record} was accepted`);
  }
}

function envelope(schema: unknown, payload: string): string {
  return `{"schema":${JSON.stringify(schema)},"payload":${payload}}`;
}

/** What a column `v` of `type` makes of the JSON text of a value that `schema` describes. */
function value(type: Type | string, schema: object | string, json: string): unknown {
  return new Table([field('v', type)]).row(envelope(struct({ v: schema }), `{"v":${json}}`))[0];
}

function problem(type: Type | string, schema: object | string, json: string): string {
  return new Table([field('v', type)]).problem(envelope(struct({ v: schema }), `{"v":${json}}`));
}

const date = 'org.apache.kafka.connect.data.Date';
const time = 'org.apache.kafka.connect.data.Time';
const timestamp = 'org.apache.kafka.connect.data.Timestamp';

// The envelope

test('schema and payload may come in either order', () => {
  const table = new Table([field('a', 'int'), field('t', 'timestamp')]);
  const schema = JSON.stringify(struct({ a: 'int32', t: logical('int64', timestamp) }));
  for (let i = 0; i < 3; i++) {
    expect(table.row(`{"schema":${schema},"payload":{"a":${i},"t":1}}`)).toEqual([i, 1000n]);
    expect(table.row(` { "payload" : {"a":${i},"t":2} , "schema" : ${schema} } `)).toEqual([i, 2000n]);
  }
});

test('a null schema means plain JSON', () => {
  const table = new Table([field('a', 'int'), field('t', 'timestamp')]);
  expect(table.row('{"schema":null,"payload":{"a":1,"t":"1970-01-01T00:00:01","x":1}}')).toEqual([
    1,
    1000000n,
  ]);
  expect(table.row('{"payload":{"t":5},"schema":null}')).toEqual([null, 5000n]);
  expect([...table.decoder.unknownFields]).toEqual(['x']);
});

test('a null payload is an error', () => {
  const table = new Table([field('a', 'int')]);
  expect(table.problem(envelope(struct({ a: 'int32' }), 'null'))).toBe('payload is null');
  expect(table.problem('{"schema":null,"payload":null}')).toBe('payload is null');
  expect(table.problem('{"payload":null,"schema":null}')).toBe('payload is null');
});

test('what is no envelope is an error', () => {
  const table = new Table([field('a', 'int')]);
  const not = 'not a Connect envelope {"schema": ..., "payload": ...}: ';
  expect(table.problem('{"a":1}')).toBe(`${not}it has other members`);
  expect(table.problem('{"schema":null,"payload":{},"a":1}')).toBe(`${not}it has other members`);
  expect(table.problem('{"schema":null}')).toBe(`${not}it has no payload`);
  expect(table.problem('{"payload":{}}')).toBe(`${not}it has no schema`);
  expect(table.problem('{}')).toBe(`${not}it has no schema`);
  expect(table.problem('{"schema":null,"schema":null}')).toBe(`${not}schema appears twice`);
  expect(table.problem('{"payload":{},"payload":{}}')).toBe(`${not}payload appears twice`);
  expect(table.problem('[]')).toBe('expected an object, found an array');
  expect(table.problem('{"schema":"string","payload":{}}')).toBe('expected a Connect schema, found "string"');
  expect(table.problem(envelope(struct({ a: 'int32' }), '[]'))).toBe('expected an object, found an array');
  expect(table.problem('{"schema":{"type":"int32"},"payload":1}')).toBe(
    'expected a Connect struct, found a Connect int32',
  );
});

test('what is no schema is an error', () => {
  const table = new Table([field('a', list('int'))]);
  const not = 'not a Connect schema: ';
  const failure = (schema: unknown): string => table.problem(envelope(schema, '{}'));
  expect(failure({})).toBe(`${not}unknown type undefined`);
  expect(failure({ type: 'int128' })).toBe(`${not}unknown type "int128"`);
  expect(failure({ type: 'toString' })).toBe(`${not}unknown type "toString"`);
  expect(failure({ type: 'struct' })).toBe(`${not}a struct without fields`);
  expect(failure({ type: 'struct', fields: [null] })).toBe(`${not}a field without name`);
  expect(failure({ type: 'struct', fields: [{ type: 'int32' }] })).toBe(`${not}a field without name`);
  expect(failure(struct({ a: 'array' }))).toBe(`a[]: ${not}expected an object`);
  expect(failure(struct({ a: 'map' }))).toBe(`a{key}: ${not}expected an object`);
  expect(table.problem('{"schema":{"type":},"payload":{}}')).toContain('not JSON');
  expect(problem('decimal(9, 2)', decimal('x'), '1')).toBe(`v: ${not}the scale is x`);
  expect(problem('decimal(9, 2)', logical('bytes', 'org.apache.kafka.connect.data.Decimal'), '1')).toBe(
    `v: ${not}a Decimal without scale`,
  );
});

test('many schemas may alternate, and each record is read with its own', () => {
  const table = new Table([field('t', 'timestamp')]);
  for (let round = 0; round < 3; round++) {
    for (let i = 0; i < 50; i++) {
      const unit = i % 2 ? 'io.debezium.time.MicroTimestamp' : 'io.debezium.time.Timestamp';
      const schema = struct({ t: { ...logical('int64', unit), doc: `schema ${i}` } });
      expect(table.row(envelope(schema, '{"t":7}'))).toEqual([i % 2 ? 7n : 7000n]);
    }
  }
});

test('a schema that cannot be used fails each of its records, and only those', () => {
  const table = new Table([field('a', 'int')]);
  const expected = 'a: a Connect string cannot go into a column of type boolean';
  const broken = new Table([field('a', 'boolean')]);
  for (let i = 0; i < 3; i++)
    expect(broken.problem(envelope(struct({ a: 'string' }), '{"a":"x"}'))).toBe(expected);
  expect(broken.row(envelope(struct({ a: 'boolean' }), '{"a":true}'))).toEqual([true]);
  expect(table.row(envelope(struct({ a: 'int8' }), '{"a":1}'))).toEqual([1]);
});

test('fields that the table lacks are passed over and noted', () => {
  const table = new Table([field('a', 'int')]);
  const schema = struct({ x: 'string', a: 'int32', s: struct({ y: 'int32' }) });
  expect(table.row(envelope(schema, '{"x":"1","a":1,"s":{"y":2}}'))).toEqual([1]);
  expect([...table.decoder.unknownFields]).toEqual(['x', 's']);
});

test('columns that the schema lacks are null, whatever the payload has', () => {
  const schema = struct({ a: 'int32' });
  expect(new Table([field('b', 'int')]).row(envelope(schema, '{"a":1,"b":2}'))).toEqual([null]);
  expect(new Table([field('b', 'int', true)]).problem(envelope(schema, '{"a":1,"b":2}'))).toBe(
    'b: missing, but the column is required',
  );
});

// Null, missing, default

test('optional fields may be null or missing', () => {
  const table = new Table([field('a', 'int'), field('b', 'int', true)]);
  const schema = struct({ a: 'int32', b: 'int32' });
  expect(table.row(envelope(schema, '{"a":null,"b":1}'))).toEqual([null, 1]);
  expect(table.row(envelope(schema, '{"b":1}'))).toEqual([null, 1]);
  expect(table.problem(envelope(schema, '{"a":1}'))).toBe('b: missing, but the column is required');
  expect(table.problem(envelope(schema, '{"b":null}'))).toBe('b: null in a required column');
});

test('fields that are not optional must be there', () => {
  const table = new Table([field('a', 'int')]);
  const schema = struct({ a: { type: 'int32', optional: false } });
  expect(table.problem(envelope(schema, '{}'))).toBe('a: missing, but its Connect schema is not optional');
  expect(table.problem(envelope(schema, '{"a":null}'))).toBe(
    'a: null, but its Connect schema is not optional',
  );
  expect(problem(list('int'), { type: 'array', items: { type: 'int32' } }, '[null]')).toBe(
    'v[]: null, but its Connect schema is not optional',
  );
});

test('a missing field has its default; a null only where null is not allowed', () => {
  const table = new Table([field('a', 'int'), field('b', 'string', true), field('c', 'boolean')]);
  const schema = struct({
    a: { type: 'int32', default: 7 },
    b: { type: 'string', optional: false, default: 'é"' },
    c: { type: 'boolean', optional: false, default: false },
  });
  expect(table.row(envelope(schema, '{}'))).toEqual([7, 'é"', false]);
  expect(table.row(envelope(schema, '{"a":null,"b":null,"c":true}'))).toEqual([null, 'é"', true]);
  expect(table.row(envelope(schema, '{"c":true,"b":"x","a":1}'))).toEqual([1, 'x', true]);
});

test('defaults are read as values of their type, exactly', () => {
  const table = new Table([
    field('l', 'long'),
    field('d', 'decimal(38, 20)'),
    field('t', 'timestamp'),
    field('s', { kind: 'struct', fields: [field('x', 'long'), field('y', 'int')] }),
    field('n', 'decimal(4, 2)'),
  ]);
  const schema = `{"type":"struct","fields":[
    {"field":"l","type":"int64","optional":true,"default":9223372036854775807},
    {"field":"d","type":"bytes","name":"org.apache.kafka.connect.data.Decimal","parameters":{"scale":"20"},"default":1.23456789012345678901},
    {"field":"t","type":"int64","name":"${timestamp}","default":1},
    {"field":"s","type":"struct","fields":[{"field":"x","type":"int64"},{"field":"y","type":"int32","default":5}],"default":{"x":9007199254740993}},
    {"field":"n","type":"bytes","name":"org.apache.kafka.connect.data.Decimal","parameters":{"scale":"1"},"default":"fQ=="}]}`;
  const expected = [9223372036854775807n, 123456789012345678901n, 1000n, [9007199254740993n, 5], 1250n];
  expect(table.row(`{"schema":${schema},"payload":{}}`)).toEqual(expected);
  expect(table.row(`{"payload":{"l":1},"schema":${schema}}`)).toEqual([1n, ...expected.slice(1)]);
});

test('a default that does not fit its own type is an error of the field', () => {
  expect(
    new Table([field('v', 'int')]).problem(envelope(struct({ v: { type: 'int32', default: 'x' } }), '{}')),
  ).toBe('v: expected a Connect int32, found "x"');
});

// Types

test.each([
  ['int', 'int8', '-7', -7],
  ['int', 'int16', '7', 7],
  ['int', 'int32', '7', 7],
  ['int', 'int64', '7', 7],
  ['long', 'int8', '7', 7n],
  ['long', 'int64', '9223372036854775807', 9223372036854775807n],
  ['float', 'int16', '7', 7],
  ['double', 'int32', '7', 7],
  ['decimal(9, 2)', 'int64', '7', 700n],
  ['float', 'float32', '1.5', 1.5],
  ['float', 'float', '1.5', 1.5],
  ['double', 'float', '1.5', 1.5],
  ['double', 'float64', '1.5', 1.5],
  ['double', 'double', '"NaN"', Number.NaN],
  ['boolean', 'boolean', 'true', true],
  ['string', 'string', '"x"', 'x'],
  ['uuid', 'string', '"f79c3e09-677c-4bbd-a479-3f349cb785e7"', 'f79c3e09677c4bbda4793f349cb785e7'],
  ['decimal(9, 2)', 'string', '"1.5"', 150n],
  ['date', 'string', '"1970-01-02"', 1],
  ['timestamp', 'string', '"1970-01-01T00:00:01"', 1000000n],
  ['long', 'string', '"12"', 12n],
  ['binary', 'bytes', '"AAEC"', '000102'],
  ['fixed[3]', 'bytes', '"AAEC"', '000102'],
  ['date', 'int32', '3', 3],
  ['timestamp', 'int64', '3', 3000n],
] as const)('a column of type %s takes a Connect %s', (type, schema, json, expected) => {
  expect(value(type, schema, json)).toBe(expected);
});

test.each([
  ['int', 'string', '1', 'v: expected a string, found 1'],
  ['int', 'int32', '"1"', 'v: expected a Connect int32, found "1"'],
  ['int', 'int64', '2147483648', 'v: expected an int, found 2147483648: out of the range of 32 bits'],
  ['timestamp', 'string', '1', 'v: expected a string, found 1'],
  ['timestamp', 'int64', '"1970-01-01T00:00"', 'v: expected a Connect int64, found "1970-01-01T00:00"'],
  ['int', 'boolean', 'true', 'v: a Connect boolean cannot go into a column of type int'],
  ['double', 'int64', '1', 'v: a Connect int64 cannot go into a column of type double'],
  ['float', 'double', '1', 'v: a Connect float64 cannot go into a column of type float'],
  ['long', 'float', '1', 'v: a Connect float32 cannot go into a column of type long'],
  ['decimal(9, 2)', 'double', '1', 'v: a Connect float64 cannot go into a column of type decimal(9, 2)'],
  ['binary', 'string', '"AA=="', 'v: a Connect string cannot go into a column of type binary'],
  ['string', 'bytes', '"AA=="', 'v: a Connect bytes cannot go into a column of type string'],
  ['string', 'int32', '1', 'v: a Connect int32 cannot go into a column of type string'],
  ['boolean', 'int8', '1', 'v: a Connect int8 cannot go into a column of type boolean'],
  ['timestamp', 'int16', '1', 'v: a Connect int16 cannot go into a column of type timestamp'],
] as const)('a column of type %s does not take a Connect %s of %s', (type, schema, json, expected) => {
  expect(problem(type, schema, json)).toBe(expected);
});

test.each([
  ['date', 'int32', date, '19782', 19782],
  ['date', 'int32', 'io.debezium.time.Date', '-1', -1],
  ['time', 'int32', time, '1', 1000n],
  ['time', 'int32', 'io.debezium.time.Time', '86399999', 86399999000n],
  ['time', 'int64', 'io.debezium.time.MicroTime', '1', 1n],
  ['time', 'int64', 'io.debezium.time.NanoTime', '1000', 1n],
  ['timestamp', 'int64', timestamp, '1', 1000n],
  ['timestamptz', 'int64', timestamp, '-1', -1000n],
  ['timestamp', 'int64', 'io.debezium.time.Timestamp', '1', 1000n],
  ['timestamp', 'int64', 'io.debezium.time.MicroTimestamp', '1790000000000001', 1790000000000001n],
  ['timestamptz', 'int64', 'io.debezium.time.NanoTimestamp', '1790000000000001000', 1790000000000001n],
  ['timestamptz', 'string', 'io.debezium.time.ZonedTimestamp', '"1970-01-01T00:00:01.5Z"', 1500000n],
  [
    'string',
    'string',
    'io.debezium.time.ZonedTimestamp',
    '"1970-01-01T00:00:01.5Z"',
    '1970-01-01T00:00:01.5Z',
  ],
  [
    'uuid',
    'string',
    'io.debezium.data.Uuid',
    '"f79c3e09-677c-4bbd-a479-3f349cb785e7"',
    'f79c3e09677c4bbda4793f349cb785e7',
  ],
  ['long', 'int64', 'io.debezium.time.MicroTimestamp', '5', 5n],
  ['int', 'int32', 'io.debezium.time.Year', '2024', 2024],
] as const)('a column of type %s takes a Connect %s named %s', (type, physical, name, json, expected) => {
  expect(value(type, logical(physical, name), json)).toBe(expected);
});

test.each([
  ['timestamp', 'int32', date, '1', `v: a Connect int32 (${date}) cannot go into a column of type timestamp`],
  ['date', 'int64', timestamp, '1', `v: a Connect int64 (${timestamp}) cannot go into a column of type date`],
  [
    'date',
    'int32',
    'io.debezium.time.Year',
    '1',
    'v: a Connect int32 (io.debezium.time.Year) cannot go into a column of type date',
  ],
  [
    'timestamp',
    'int64',
    'io.debezium.time.MicroDuration',
    '1',
    'v: a Connect int64 (io.debezium.time.MicroDuration) cannot go into a column of type timestamp',
  ],
  [
    'timestamp',
    'int64',
    'io.debezium.time.NanoTimestamp',
    '1',
    'v: expected a Connect int64 (io.debezium.time.NanoTimestamp), found 1: finer than a microsecond',
  ],
  [
    'timestamp',
    'int64',
    timestamp,
    '"1970-01-01T00:00"',
    `v: expected a Connect int64 (${timestamp}), found "1970-01-01T00:00"`,
  ],
  [
    'time',
    'int32',
    time,
    '86400000',
    `v: expected a Connect int32 (${time}), found 86400000: not within a day`,
  ],
  [
    'timestamp',
    'string',
    'io.debezium.time.ZonedTimestamp',
    '"1970-01-01T00:00Z"',
    'v: expected a timestamp, found "1970-01-01T00:00Z": it has a zone: use timestamptz',
  ],
] as const)(
  'a column of type %s does not take a Connect %s named %s of %s',
  (type, physical, name, json, expected) => {
    expect(problem(type, logical(physical, name), json)).toBe(expected);
  },
);

function base64(unscaled: bigint, bytes: number): string {
  const hex = BigInt.asUintN(bytes * 8, unscaled)
    .toString(16)
    .padStart(bytes * 2, '0');
  return JSON.stringify(Buffer.from(hex, 'hex').toString('base64'));
}

test('a Decimal is unscaled bytes, rescaled exactly', () => {
  expect(value('decimal(9, 2)', decimal('2'), base64(1234n, 2))).toBe(1234n);
  expect(value('decimal(9, 2)', decimal('2'), base64(-1n, 1))).toBe(-1n);
  expect(value('decimal(9, 2)', decimal('2'), base64(-1234n, 6))).toBe(-1234n);
  expect(value('decimal(9, 2)', decimal(2), base64(-1234n, 7))).toBe(-1234n);
  expect(value('decimal(9, 2)', decimal('2'), base64(140737488n, 6))).toBe(140737488n);
  expect(value('decimal(9, 2)', decimal('0'), base64(12n, 1))).toBe(1200n);
  expect(value('decimal(9, 2)', decimal('-1'), base64(12n, 1))).toBe(12000n);
  expect(value('decimal(9, 2)', decimal('4'), base64(123400n, 3))).toBe(1234n);
  expect(value('decimal(38, 0)', decimal('0'), base64(10n ** 38n - 1n, 16))).toBe(10n ** 38n - 1n);
  expect(value('decimal(38, 0)', decimal('0'), base64(1n - 10n ** 38n, 17))).toBe(1n - 10n ** 38n);
});

test('a Decimal that loses digits is an error', () => {
  expect(problem('decimal(9, 2)', decimal('4'), base64(12345n, 2))).toBe(
    'v: expected a decimal(9, 2), found "MDk=": more than 2 fraction digits',
  );
  expect(problem('decimal(4, 2)', decimal('0'), base64(100n, 1))).toBe(
    'v: expected a decimal(4, 2), found "ZA==": more than 4 digits',
  );
  expect(problem('decimal(9, 2)', decimal('2'), '""')).toBe(
    'v: expected a decimal(9, 2), found "": no bytes',
  );
  expect(problem('long', decimal('0'), '1')).toBe(
    'v: a Connect bytes (org.apache.kafka.connect.data.Decimal) cannot go into a column of type long',
  );
});

test('a Decimal may be a number; a string is base64 even if it looks like one', () => {
  expect(value('decimal(9, 2)', decimal('2'), '12.34')).toBe(1234n);
  expect(value('decimal(9, 2)', decimal('2'), '-7')).toBe(-700n);
  expect(value('decimal(9, 2)', decimal('2'), '"1250"')).toBe(BigInt.asIntN(24, 0xd76e74n));
  expect(problem('decimal(9, 2)', decimal('2'), '"12.50"')).toBe(
    'v: expected a decimal(9, 2), found "12.50": base64 is cut off',
  );
});

test('arrays, maps and structs nest', () => {
  const inner = struct({
    x: { type: 'array', items: { type: 'int64', name: timestamp, optional: true } },
    u: 'string',
  });
  const type: Type = { kind: 'struct', fields: [field('x', list('timestamp'))] };
  expect(value(type, inner, '{"u":"y","x":[1,null]}')).toEqual([[1000n, null]]);
  expect(
    value(list(type), { type: 'array', items: { ...inner, optional: true } }, '[{"x":[]},null]'),
  ).toEqual([[[]], null]);
  expect(
    value(map('string', type), { type: 'map', keys: { type: 'string' }, values: inner }, '{"k":{"x":[2]}}'),
  ).toEqual([['k', [[2000n]]]]);
});

test('a map with keys other than strings is an array of pairs', () => {
  const schema = { type: 'map', keys: { type: 'int32' }, values: { type: 'string', optional: true } };
  expect(value(map('int', 'string'), schema, '[[1,"a"],[ 2 , null ]]')).toEqual([
    [1, 'a'],
    [2, null],
  ]);
  expect(value(map('int', 'string'), schema, '[]')).toEqual([]);
  expect(problem(map('int', 'string'), schema, '{"1":"a"}')).toBe(
    'v: expected an array of pairs, found an object',
  );
  expect(problem(map('int', 'string'), schema, '[[]]')).toBe(
    'v: expected a pair [key, value], found an array: it is empty',
  );
  expect(problem(map('int', 'string'), schema, '[[1]]')).toBe(
    'v: expected a pair [key, value], found an array: it has no value',
  );
  expect(problem(map('int', 'string'), schema, '[[1,"a",2]]')).toBe(
    'v: expected a pair [key, value], found an array: it has more than two elements',
  );
  expect(problem(map('int', 'string'), schema, '[1,"a"]')).toBe('v: expected a pair [key, value], found 1');
  expect(problem(map('int', 'string'), schema, '[[null,"a"]]')).toContain('v{key}: null');
  expect(problem(map('int', 'string'), schema, '[[1,"a"],[1,"b"]]')).toBe('v: the key 1 appears twice');
});

test('a map may have structs and lists as keys', () => {
  const key: Type = { kind: 'struct', fields: [field('a', 'int'), field('l', list('string'))] };
  const keys = struct({ a: 'int32', l: { type: 'array', items: { type: 'string' } } });
  const schema = { type: 'map', keys, values: { type: 'int32' } };
  expect(
    value(map(key, 'int'), schema, '[[{"a":1,"l":["x"]},1],[{"a":1,"l":["y"]},2],[{"a":null},3]]'),
  ).toEqual([
    [[1, ['x']], 1],
    [[1, ['y']], 2],
    [[null, null], 3],
  ]);
  expect(problem(map(key, 'int'), schema, '[[{"l":["x"],"a":1},1],[{"a":1,"l":["x"]},2]]')).toContain(
    'appears twice',
  );
});

test('string keys go into columns that read strings', () => {
  const schema = { type: 'map', keys: { type: 'string' }, values: { type: 'int32' } };
  expect(value(map('string', 'int'), schema, '{"a":1}')).toEqual([['a', 1]]);
  expect(value(map('date', 'int'), schema, '{"1970-01-02":1}')).toEqual([[1, 1]]);
  expect(value(map('long', 'int'), schema, '{"12":1}')).toEqual([[12n, 1]]);
  expect(problem(map('boolean', 'int'), schema, '{"true":1}')).toBe(
    'v{key}: a Connect string cannot go into a column of type boolean',
  );
  expect(problem(map('string', 'int'), schema, '[["a",1]]')).toBe('v: expected an object, found an array');
  expect(problem(map('string', 'int'), schema, '{"a":1,"a":2}')).toBe('v: the key "a" appears twice');
});

test('nested types that do not match are errors that name both', () => {
  const array = { type: 'array', items: { type: 'int32' } };
  const mapping = { type: 'map', keys: { type: 'string' }, values: { type: 'int32' } };
  expect(problem('int', array, '[]')).toBe('v: a Connect array cannot go into a column of type int');
  expect(problem('int', mapping, '{}')).toBe('v: a Connect map cannot go into a column of type int');
  expect(problem('int', struct({}), '{}')).toBe('v: a Connect struct cannot go into a column of type int');
  expect(problem(list('int'), 'int32', '1')).toBe(
    'v: a Connect int32 cannot go into a column of type list<int>',
  );
  expect(problem(list('string'), array, '[]')).toBe(
    'v[]: a Connect int32 cannot go into a column of type string',
  );
  expect(problem(map('string', 'boolean'), mapping, '{}')).toBe(
    'v{}: a Connect int32 cannot go into a column of type boolean',
  );
});
