import { expect, test } from 'vitest';
import { type BytesColumn, Columns, type Int32Column, makeColumn } from '../../../src/arrow/columns.ts';
import { DecodeError } from '../../../src/decode/decoder.ts';
import { type JsonDecoder, jsonDecoder } from '../../../src/decode/json.ts';
import type { Epoch } from '../../../src/decode/json-reader.ts';
import { bytesDecoder, rawJsonDecoder, textDecoder } from '../../../src/decode/plain.ts';
import type { Field, Type } from '../../../src/iceberg/types.ts';
import { field, list, map, valueAt } from './columns.ts';
import { append, contentsOf, entriesOf } from './entries.ts';

/** A table with a decoder, given records as text or bytes. */
class Table {
  readonly columns: Columns;
  readonly decoder: JsonDecoder;
  /** Unknown keys, as they were told. */
  readonly told: string[] = [];
  /** 1 when the last record was not read by a generated reader although it had been seen before. */
  unusual = 0;
  readonly #epoch: Epoch;

  constructor(fields: Field[], epoch: Epoch = 'ms') {
    this.#epoch = epoch;
    this.columns = new Columns({ schemaId: 0, fields });
    this.decoder = jsonDecoder(fields, this.columns.columns, { envelope: 'none', epoch }, (name) =>
      this.told.push(name),
    );
  }

  /**
   * The row that a record becomes. The record stands in the middle of a buffer that it must not look beyond. It becomes the
   * same row when it comes once more, with its keys where they are expected then.
   */
  row(record: string | Uint8Array): { [name: string]: unknown } {
    const body = Buffer.from(record);
    this.columns.truncate(0);
    append(this.decoder, body, around);
    const { fields } = this.columns.schema;
    expect(this.columns.columns.map((column) => column.length)).toEqual(fields.map(() => 1));
    expect(this.#twice(body)).toEqual(this.#exactlyTwice(body));
    return Object.fromEntries(
      fields.map(({ name, type }, i) => [name, valueAt(type, this.columns.columns[i]!, 0, true)]),
    );
  }

  #twice(body: Buffer): unknown[] {
    const { fields } = this.columns.schema;
    const columns = new Columns({ schemaId: 0, fields });
    const decoder = jsonDecoder(fields, columns.columns, { envelope: 'none', epoch: this.#epoch });
    for (let i = 0; i < 2; i++) append(decoder, body, around);
    this.unusual = decoder.unusual - 1;
    return columns.columns.map(contentsOf);
  }

  #exactlyTwice(body: Buffer): unknown[] {
    const { fields } = this.columns.schema;
    const columns = new Columns({ schemaId: 0, fields });
    const options = { envelope: 'none', epoch: this.#epoch } as const;
    const decoder = jsonDecoder(fields, columns.columns, options, () => {}, 'closures');
    for (let i = 0; i < 2; i++) append(decoder, body, around);
    expect(decoder.unusual).toBe(2);
    return columns.columns.map(contentsOf);
  }

  problem(record: string | Uint8Array): string {
    try {
      this.row(record);
    } catch (error) {
      if (error instanceof DecodeError) return error.message;
      throw error;
    }
    throw new Error(`${record} was accepted`);
  }
}

const around = Buffer.from('9"}{"9"}{"9"}{"9"}');

/** What a column `v` of `type` makes of the JSON text of a value. */
function value(type: Type | string, json: string, epoch?: Epoch): unknown {
  return new Table([field('v', type)], epoch).row(`{"v":${json}}`)['v'];
}

function problem(type: Type | string, json: string, epoch?: Epoch): string {
  const table = new Table([field('v', type)], epoch);
  // The key is expected from here on.
  table.row('{"v":null}');
  return table.problem(`{"v":${json}}`);
}

function micros(iso: string): bigint {
  return BigInt(Date.parse(iso)) * 1000n;
}

// Objects

test('a record becomes a row whatever the order of its keys', () => {
  const table = new Table([field('a', 'int'), field('b', 'string'), field('c', 'boolean')]);
  const expected = { a: 1, b: 'x', c: true };
  for (const record of [
    '{"a":1,"b":"x","c":true}',
    '{"c":true,"b":"x","a":1}',
    '{"b":"x","c":true,"a":1}',
    '{"c":true,"b":"x","a":1}',
    '\n{ "a" : 1 ,\t"b":\r"x", "c": true }  \n',
  ])
    expect(table.row(record)).toEqual(expected);
});

test('keys are matched byte by byte, escaped or not', () => {
  const table = new Table([field('a', 'int'), field('né"w', 'int'), field('', 'int'), field('aa', 'int')]);
  expect(table.row('{"\\u0061":1,"n\\u00e9\\"w":2,"":3,"a\\u0061":4}')).toEqual({
    a: 1,
    'né"w': 2,
    '': 3,
    aa: 4,
  });
  expect(table.row('{"a":1,"né\\"w":2,"":3,"aa":4}')).toEqual({ a: 1, 'né"w': 2, '': 3, aa: 4 });
  expect(table.row('{"A":1,"aaa":5}')).toEqual({ a: null, 'né"w': null, '': null, aa: null });
});

test('a field that is null or not there is null, unless it is required', () => {
  const table = new Table([field('a', 'int'), field('b', 'string', true)]);
  expect(table.row('{"b":"x"}')).toEqual({ a: null, b: 'x' });
  expect(table.row('{"a":null,"b":"x"}')).toEqual({ a: null, b: 'x' });
  expect(table.problem('{"a":1}')).toBe('b: missing, but the column is required');
  expect(table.problem('{}')).toBe('b: missing, but the column is required');
  expect(table.problem('{"b":null}')).toBe('b: null in a required column');
  expect(table.problem('{"b":nul}')).toBe('not JSON: expected null, found nul (byte 5)');
});

test('a known key that appears twice is an error, an unknown one is not', () => {
  const table = new Table([field('a', 'int'), field('s', { kind: 'struct', fields: [field('b', 'int')] })]);
  expect(table.problem('{"a":1,"x":2,"a":1}')).toBe('a: the key appears twice');
  expect(table.problem('{"a":1,"\\u0061":1}')).toBe('a: the key appears twice');
  expect(table.problem('{"s":{"b":1,"b":null}}')).toBe('s.b: the key appears twice');
  expect(table.row('{"x":1,"a":1,"x":2}')).toEqual({ a: 1, s: null });
});

test('unknown keys are passed over, whatever they hold, and the first ones are noted', () => {
  const table = new Table([field('a', 'int')]);
  const record =
    '{"x":{"a":[1,{"b":"\\u00e9\\"]}"}],"c":null},"y":[[],{},-1.5e-7,true,false,"é"],"a":1,"z":""}';
  for (let i = 0; i < 3; i++) expect(table.row(record)).toEqual({ a: 1 });
  expect([...table.decoder.unknownFields]).toEqual(['x', 'y', 'z']);
  for (let i = 0; i < 500; i++) expect(table.row(`{"a":${i},"key ${i}":1}`)).toEqual({ a: i });
  expect(table.decoder.unknownFields.size).toBeLessThanOrEqual(100);
  expect(table.row(`{"${'long'.repeat(100)}":1,"a":2}`)).toEqual({ a: 2 });
});

test('each unknown key is told once', () => {
  const table = new Table([field('a', 'int')]);
  for (let i = 0; i < 3; i++) table.row('{"x":1,"a":1,"y":2}');
  expect(table.told).toEqual(['x', 'y']);
});

test('unknown keys inside of structs are no unknown fields of the record', () => {
  const table = new Table([field('s', { kind: 'struct', fields: [field('b', 'int')] })]);
  table.row('{"s":{"x":1,"b":2}}');
  expect(table.decoder.unknownFields.size).toBe(0);
});

test('a lone surrogate in a value that nobody reads does not matter', () => {
  expect(new Table([field('a', 'int')]).row('{"x":"\\ud83d","a":1}')).toEqual({ a: 1 });
});

test('what is passed over must be JSON, too', () => {
  const table = new Table([field('a', 'int')]);
  for (const json of [
    '01',
    '1.',
    '.5',
    '+1',
    '1e',
    '-',
    'nul',
    'True',
    '"',
    '"\\x"',
    '"\\u12g4"',
    '[1,]',
    '[1 2]',
  ])
    expect(table.problem(`{"x":${json}}`), json).toContain('not JSON');
  for (const json of ['{"a"}', '{"a":}', '{,}', '{"a":1,}', '{a:1}', '[', '{', '"\n"', '"\\ud83'])
    expect(table.problem(`{"x":${json}}`), json).toContain('not JSON');
  expect(table.problem(Buffer.from('{"x":"\xff"}', 'latin1'))).toBe(
    'not JSON: a string is not valid UTF-8 (byte 5)',
  );
});

test('nesting is followed for 512 levels', () => {
  const table = new Table([field('a', 'int')]);
  const nested = (depth: number): string => `{"x":${'['.repeat(depth)}${']'.repeat(depth)},"a":1}`;
  expect(table.row(nested(512))).toEqual({ a: 1 });
  expect(table.problem(nested(513))).toContain('nested deeper than 512 levels');
  expect(table.problem(`{"x":${'{"y":'.repeat(100_000)}`)).toContain('nested deeper than 512 levels');
});

test('a record is one object and nothing else', () => {
  const table = new Table([field('a', 'int')]);
  expect(table.problem('[]')).toBe('expected an object, found an array');
  expect(table.problem('"a"')).toBe('expected an object, found "a"');
  expect(table.problem('12.5')).toBe('expected an object, found 12.5');
  expect(table.problem('null')).toBe('expected an object, found null');
  expect(table.problem('')).toBe('expected an object, found the end of the record');
  expect(table.problem(' \n')).toBe('expected an object, found the end of the record');
  expect(table.problem('\ufeff{}')).toContain('expected an object');
  expect(table.problem('{} {')).toBe('not JSON: expected the end of the record, found an object (byte 3)');
  expect(table.row('{}')).toEqual({ a: null });
});

test('a record that is cut off anywhere is an error', () => {
  const table = new Table([
    field('a', 'int'),
    field('b', 'string'),
    field('c', list('double')),
    field('d', map('string', 'decimal(9, 2)')),
    field('e', { kind: 'struct', fields: [field('f', 'timestamp'), field('g', 'boolean')] }),
  ]);
  const record =
    '{"a":12,"x":[1,{"y":"z"}],"b":"s\\u00e9\\n","c":[1.5,null],"d":{"k":"1.25"},"e":{"f":"2024-01-01T00:00","g":true}} ';
  table.row(record);
  for (let length = 0; length < record.length - 1; length++) table.problem(record.slice(0, length));
});

test('a failed record leaves nothing behind that the next one sees', () => {
  const table = new Table([field('a', 'int'), field('l', list('int')), field('m', map('string', 'int'))]);
  for (let i = 0; i < 3; i++) {
    table.problem('{"a":1,"l":[1,2,"x"]}');
    table.problem('{"m":{"k":1,"k":2}}');
    expect(table.row('{"m":{"k":1},"l":[3],"a":2}')).toEqual({ a: 2, l: [3], m: [['k', 1]] });
  }
});

// Integers

test.each([
  ['int', '0', 0],
  ['int', '-0', 0],
  ['int', '-12', -12],
  ['int', '2147483647', 2147483647],
  ['int', '-2147483648', -2147483648],
  ['int', '1.0', 1],
  ['int', '1e3', 1000],
  ['int', '1200e-2', 12],
  ['int', '0e999999999', 0],
  ['int', '0.0000', 0],
  ['int', '"17"', 17],
  ['int', '"-17"', -17],
  ['int', '"\\u0031"', 1],
  ['long', '9', 9n],
  ['long', '-0', 0n],
  ['long', '999999999', 999999999n],
  ['long', '1000000000', 1000000000n],
  ['long', '4294967296', 4294967296n],
  ['long', '-4294967296', -4294967296n],
  ['long', '9007199254740993', 9007199254740993n],
  ['long', '-9007199254740993', -9007199254740993n],
  ['long', '9223372036854775807', 9223372036854775807n],
  ['long', '-9223372036854775808', -9223372036854775808n],
  ['long', '-9223372036854775807', -9223372036854775807n],
  ['long', '"9223372036854775807"', 9223372036854775807n],
  ['long', '9.223372036854775807e18', 9223372036854775807n],
  ['long', '12345678901234567.0', 12345678901234567n],
])('%s %s is %s', (type, json, expected) => {
  expect(value(type, json)).toBe(expected);
});

test.each([
  ['int', '2147483648', 'v: expected an int, found 2147483648: out of the range of 32 bits'],
  ['int', '-2147483649', 'v: expected an int, found -2147483649: out of the range of 32 bits'],
  ['int', '1.5', 'v: expected an int, found 1.5: not a whole number'],
  ['int', '1e-1', 'v: expected an int, found 1e-1: not a whole number'],
  ['int', '1e999999999', 'v: expected an int, found 1e999999999: out of the range of 32 bits'],
  ['int', '"1.0"', 'v: expected an int, found "1.0": not a plain integer'],
  ['int', '" 1"', 'v: expected an int, found " 1": not a plain integer'],
  ['int', '""', 'v: expected an int, found "": not a plain integer'],
  ['int', '"1', 'v: not JSON: a string does not end (byte 5)'],
  ['int', '"0x1"', 'v: expected an int, found "0x1": not a plain integer'],
  ['int', '"+1"', 'v: expected an int, found "+1": not a plain integer'],
  ['int', '"007"', 'v: expected an int, found "007": not a plain integer'],
  ['int', 'true', 'v: expected an int, found true'],
  ['int', '{}', 'v: expected an int, found an object'],
  ['int', '[1]', 'v: expected an int, found an array'],
  ['int', '007', 'v: not JSON: expected a value, found 007 (byte 5)'],
  ['int', '1x', 'not JSON: expected "," or "}", found x (byte 6)'],
  [
    'long',
    '9223372036854775808',
    'v: expected a long, found 9223372036854775808: out of the range of 64 bits',
  ],
  [
    'long',
    '-9223372036854775809',
    'v: expected a long, found -9223372036854775809: out of the range of 64 bits',
  ],
  [
    'long',
    '9999999999999999999',
    'v: expected a long, found 9999999999999999999: out of the range of 64 bits',
  ],
  [
    'long',
    '18446744073709551616',
    'v: expected a long, found 18446744073709551616: out of the range of 64 bits',
  ],
  [
    'long',
    '"9223372036854775808"',
    'v: expected a long, found "9223372036854775808": out of the range of 64 bits',
  ],
])('%s %s is an error', (type, json, expected) => {
  expect(problem(type, json)).toBe(expected);
});

test('a number of a million digits is refused at once', () => {
  expect(problem('long', '9'.repeat(1_000_000))).toContain('out of the range');
  expect(problem('long', `1${'0'.repeat(1_000_000)}1.5`)).toContain('not a whole number');
  expect(problem('decimal(38, 0)', `1.${'0'.repeat(1_000_000)}1`)).toContain('fraction digits');
  expect(value('int', `1.${'0'.repeat(1_000_000)}`)).toBe(1);
});

// Floating point

test.each([
  ['double', '1.5', 1.5],
  ['double', '-0', -0],
  ['double', '-0.0', -0],
  ['double', '0.1', 0.1],
  ['double', '123456.789012345', 123456.789012345],
  ['double', '0.3000000000000000444', 0.30000000000000004],
  ['double', '1e308', 1e308],
  ['double', '5e-324', 5e-324],
  ['double', '1e-999', 0],
  ['double', '9007199254740993', 9007199254740992],
  ['double', '"NaN"', Number.NaN],
  ['double', '"Infinity"', Number.POSITIVE_INFINITY],
  ['double', '"-Infinity"', Number.NEGATIVE_INFINITY],
  ['float', '1.5', 1.5],
  ['float', '0.1', Math.fround(0.1)],
  ['float', '3.4028234663852886e38', 3.4028234663852886e38],
  ['float', '"NaN"', Number.NaN],
])('%s %s is %s', (type, json, expected) => {
  expect(value(type, json)).toBe(expected);
});

test.each([
  ['double', '1e309', 'v: expected a double, found 1e309: out of range'],
  ['double', '-1e309', 'v: expected a double, found -1e309: out of range'],
  ['double', '"1.5"', 'v: expected a double, found "1.5"'],
  ['double', '"nan"', 'v: expected a double, found "nan"'],
  ['double', 'NaN', 'v: expected a double, found NaN'],
  ['double', 'true', 'v: expected a double, found true'],
  ['double', '1.', 'v: not JSON: expected a value, found 1. (byte 5)'],
  ['float', '3.5e38', 'v: expected a float, found 3.5e38: out of range'],
])('%s %s is an error', (type, json, expected) => {
  expect(problem(type, json)).toBe(expected);
});

// Decimals

test.each([
  ['decimal(12, 2)', '12.34', 1234n],
  ['decimal(12, 2)', '"12.34"', 1234n],
  ['decimal(12, 2)', '"-12.3"', -1230n],
  ['decimal(12, 2)', '-0.00', 0n],
  ['decimal(12, 2)', '7', 700n],
  ['decimal(12, 2)', '12.3400', 1234n],
  ['decimal(12, 2)', '1.234e1', 1234n],
  ['decimal(12, 2)', '"1E+3"', 100000n],
  ['decimal(12, 2)', '9999999999.99', 999999999999n],
  ['decimal(12, 2)', '-9999999999.99', -999999999999n],
  ['decimal(5, 5)', '0.12345', 12345n],
  ['decimal(18, 0)', '9007199254740993', 9007199254740993n],
  ['decimal(38, 0)', '"99999999999999999999999999999999999999"', 10n ** 38n - 1n],
  ['decimal(38, 10)', '-1234567890123456789012345678.0123456789', -12345678901234567890123456780123456789n],
  ['decimal(38, 38)', '0.1', 10n ** 37n],
  ['decimal(38, 0)', '1e37', 10n ** 37n],
  ['decimal(17, 2)', '123456789012345', 12345678901234500n],
])('%s %s has the unscaled value %s', (type, json, expected) => {
  expect(value(type, json)).toBe(expected);
});

test.each([
  ['decimal(12, 2)', '12.345', 'v: expected a decimal(12, 2), found 12.345: more than 2 fraction digits'],
  ['decimal(12, 2)', '"12.345"', 'v: expected a decimal(12, 2), found "12.345": more than 2 fraction digits'],
  ['decimal(12, 2)', '10000000000', 'v: expected a decimal(12, 2), found 10000000000: more than 12 digits'],
  ['decimal(12, 2)', '-1e10', 'v: expected a decimal(12, 2), found -1e10: more than 12 digits'],
  ['decimal(12, 2)', '1e999999999', 'v: expected a decimal(12, 2), found 1e999999999: more than 12 digits'],
  ['decimal(12, 2)', '"x"', 'v: expected a decimal(12, 2), found "x"'],
  ['decimal(12, 2)', '""', 'v: expected a decimal(12, 2), found ""'],
  ['decimal(12, 2)', '"1."', 'v: expected a decimal(12, 2), found "1."'],
  ['decimal(12, 2)', '"1.5', 'v: not JSON: a string does not end (byte 5)'],
  ['decimal(12, 2)', 'true', 'v: expected a decimal(12, 2), found true'],
  [
    'decimal(38, 0)',
    `1${'0'.repeat(38)}`,
    `v: expected a decimal(38, 0), found 1${'0'.repeat(38)}: more than 38 digits`,
  ],
])('%s %s is an error', (type, json, expected) => {
  expect(problem(type, json)).toBe(expected);
});

// Booleans and strings

test('booleans are true and false, and nothing else', () => {
  expect(value('boolean', 'true')).toBe(true);
  expect(value('boolean', 'false')).toBe(false);
  for (const json of ['1', '0', '"true"', '{}'])
    expect(problem('boolean', json)).toContain('v: expected a boolean, found');
  expect(problem('boolean', 'tru')).toBe('v: not JSON: expected true, found tru (byte 5)');
});

test.each([
  ['""', ''],
  ['"abc"', 'abc'],
  [
    '"abcdefghijklmnopqrstuvwxyz 0123456789 abcdefghijklmnopqrstuvwxyz 0123456789"',
    'abcdefghijklmnopqrstuvwxyz 0123456789 abcdefghijklmnopqrstuvwxyz 0123456789',
  ],
  ['"\\"\\\\\\/\\b\\f\\n\\r\\t"', '"\\/\b\f\n\r\t'],
  ['"\\u0000\\u007f\\u0080\\u07ff\\u0800\\uffff"', '\u0000\u007f\u0080\u07ff\u0800\uffff'],
  ['"\\ud83d\\ude00 \\uDBFF\\uDFFF"', '\u{1f600} \u{10ffff}'],
  ['"é 漢 😀 \u007f"', 'é 漢 😀 \u007f'],
  ['"é\\n漢"', 'é\n漢'],
  ['"a\\\\"', 'a\\'],
  [`"${'x'.repeat(500)}\\n"`, `${'x'.repeat(500)}\n`],
])('the string %s is read', (json, expected) => {
  expect(value('string', json)).toBe(expected);
});

test.each([
  ['12', 'v: expected a string, found 12'],
  ['true', 'v: expected a string, found true'],
  ['{"a":1}', 'v: expected a string, found an object'],
  ['"\\ud83d"', 'v: not JSON: a string has half of a surrogate pair (\\ud83d) (byte 5)'],
  ['"\\ud83d\\u0041"', 'v: not JSON: a string has half of a surrogate pair (\\ud83d) (byte 5)'],
  ['"\\ud83dxxxxxxxx"', 'v: not JSON: a string has half of a surrogate pair (\\ud83d) (byte 5)'],
  ['"\\ude00\\ud83d"', 'v: not JSON: a string has half of a surrogate pair (\\ude00) (byte 5)'],
  ['"\\x41"', 'v: not JSON: a string has an escape that JSON does not know (byte 5)'],
  ['"\\u12"', 'v: not JSON: a string has \\u without four hexadecimal digits (byte 5)'],
  ['"\\u00g0"', 'v: not JSON: a string has \\u without four hexadecimal digits (byte 5)'],
  ['"a\nb"', 'v: not JSON: control character \\x0a in a string (byte 7)'],
  ['"a\u0000b"', 'v: not JSON: control character \\x00 in a string (byte 7)'],
])('the string %s is an error', (json, expected) => {
  expect(problem('string', json)).toBe(expected);
});

test.each([['\xff'], ['\xc3'], ['\xc0\x80'], ['\xed\xa0\x80'], ['\xf4\x90\x80\x80'], ['abcdefgh\x80']])(
  'a string with the bytes %j is not UTF-8',
  (bytes) => {
    const record = Buffer.from(`{"v":"${bytes}"}`, 'latin1');
    expect(new Table([field('v', 'string')]).problem(record)).toBe(
      'v: not JSON: a string is not valid UTF-8 (byte 5)',
    );
  },
);

test('messages show the beginning of what was found, and no control characters', () => {
  expect(problem('int', `"${'abc'.repeat(100)}"`)).toBe(
    `v: expected an int, found "${'abc'.repeat(13)}...: not a plain integer`,
  );
  expect(problem('int', '\u0001\u0002')).toBe('v: expected an int, found \\x01\\x02');
});

// Dates and times

test.each([
  ['"1970-01-01"', 0],
  ['"2024-02-29"', 19782],
  ['"2000-02-29"', 11016],
  ['"1969-12-31"', -1],
  ['"0001-01-01"', -719162],
  ['"0000-03-01"', -719468],
  ['"-0001-12-31"', -719529],
  ['"+9999-12-31"', 2932896],
  ['"9999-12-31"', 2932896],
  ['"+012024-01-01"', 3672148],
  ['"-200000-01-01"', -73768028],
  ['19782', 19782],
  ['-1', -1],
  ['1e3', 1000],
])('the date %s is day %s', (json, expected) => {
  expect(value('date', json)).toBe(expected);
});

test.each([
  ['"2023-02-29"', 'no such day'],
  ['"1900-02-29"', 'no such day'],
  ['"2023-13-01"', 'no such day'],
  ['"2023-00-01"', 'no such day'],
  ['"2023-04-31"', 'no such day'],
  ['"2023-04-00"', 'no such day'],
  ['"2023-4-1"', 'a date is YYYY-MM-DD'],
  ['"20230401"', 'a date is YYYY-MM-DD'],
  ['"12023-04-01"', 'a date is YYYY-MM-DD'],
  ['"+0012023-04-01"', 'a date is YYYY-MM-DD'],
  ['""', 'a date is YYYY-MM-DD'],
  ['"2023-04-01T00:00"', 'something follows it'],
  ['"2023-04-01 "', 'something follows it'],
  ['2147483648', 'out of the range of 32 bits'],
  ['1.5', 'not a whole number'],
])('the date %s is an error', (json, expected) => {
  expect(problem('date', json)).toBe(`v: expected a date, found ${json}: ${expected}`);
});

test.each([
  ['"00:00:00"', 'ms', 0n],
  ['"23:59:59"', 'ms', 86399000000n],
  ['"22:31:08.5"', 'ms', 81068500000n],
  ['"22:31:08.000001"', 'ms', 81068000001n],
  ['"22:31:08.000001000"', 'ms', 81068000001n],
  ['1', 's', 1000000n],
  ['1.000001', 's', 1000001n],
  ['86399999', 'ms', 86399999000n],
  ['86399999999', 'us', 86399999999n],
  ['86399999999000', 'ns', 86399999999n],
] as const)('the time %s (in %s) is %s microseconds', (json, epoch, expected) => {
  expect(value('time', json, epoch)).toBe(expected);
});

test.each([
  ['"24:00:00"', 'ms', 'no such time of day'],
  ['"23:60:00"', 'ms', 'no such time of day'],
  ['"23:59:60"', 'ms', 'no such time of day'],
  ['"23:59"', 'ms', 'a time is HH:MM:SS'],
  ['"1:02:03"', 'ms', 'a time is HH:MM:SS'],
  ['"01:02:03."', 'ms', 'no digits behind the point'],
  ['"01:02:03.0000001"', 'ms', 'finer than a microsecond'],
  ['"01:02:03.0000000000"', 'ms', 'more than 9 fraction digits'],
  ['"01:02:03Z"', 'ms', 'something follows it'],
  ['86400000', 'ms', 'not within a day'],
  ['-1', 'ms', 'not within a day'],
  ['1001', 'ns', 'finer than a microsecond'],
  ['1.5', 'ms', 'not a whole number of ms'],
  ['0.0000001', 's', 'finer than a microsecond'],
] as const)('the time %s (in %s) is an error', (json, epoch, expected) => {
  expect(problem('time', json, epoch)).toBe(`v: expected a time, found ${json}: ${expected}`);
});

test.each([
  ['timestamp', '"1970-01-01T00:00"', 0n],
  ['timestamp', '"2017-11-16T22:31:08"', micros('2017-11-16T22:31:08Z')],
  ['timestamp', '"2017-11-16 22:31:08.123456"', micros('2017-11-16T22:31:08Z') + 123456n],
  ['timestamp', '"2017-11-16T22:31:08.123456000"', micros('2017-11-16T22:31:08Z') + 123456n],
  ['timestamp', '"1969-12-31T23:59:59.999999"', -1n],
  ['timestamp', '"0001-01-01T00:00:00"', -62135596800000000n],
  ['timestamp', '"9999-12-31T23:59:59.999999"', 253402300799999999n],
  ['timestamp', '"+294247-01-10T04:00:54.775807"', 9223372036854775807n],
  ['timestamp', '"-290308-12-21T19:59:05.224192"', -9223372036854775808n],
  ['timestamptz', '"2017-11-16T22:31:08Z"', micros('2017-11-16T22:31:08Z')],
  ['timestamptz', '"2017-11-16T22:31:08"', micros('2017-11-16T22:31:08Z')],
  ['timestamptz', '"2017-11-16T22:31Z"', micros('2017-11-16T22:31:00Z')],
  ['timestamptz', '"2017-11-16T22:31:08+05:30"', micros('2017-11-16T17:01:08Z')],
  ['timestamptz', '"2017-11-16T22:31:08.5-0800"', micros('2017-11-17T06:31:08.5Z')],
  ['timestamptz', '"2017-11-16 22:31:08+02"', micros('2017-11-16T20:31:08Z')],
])('the %s %s is read', (type, json, expected) => {
  expect(value(type, json)).toBe(expected);
});

test.each([
  ['timestamp', '"2017-11-16T22:31:08Z"', 'it has a zone: use timestamptz'],
  ['timestamp', '"2017-11-16T22:31:08+01:00"', 'it has a zone: use timestamptz'],
  ['timestamp', '"2017-11-16"', 'a timestamp is YYYY-MM-DDTHH:MM:SS'],
  ['timestamp', '"2017-11-16X22:31:08"', 'a timestamp is YYYY-MM-DDTHH:MM:SS'],
  ['timestamp', '"2017-11-31T22:31:08"', 'no such day'],
  ['timestamp', '"2017-11-16T25:31:08"', 'no such time of day'],
  ['timestamp', '"2017-11-16T22:31:08.1234567"', 'finer than a microsecond'],
  ['timestamp', '"2017-11-16T22:31:"', 'a time is HH:MM:SS'],
  ['timestamp', '"+294247-01-10T04:00:54.775808"', 'out of range'],
  ['timestamp', '"-290308-12-21T19:59:05.224191"', 'out of range'],
  ['timestamptz', '"2017-11-16T22:31:08+5"', 'a zone is Z or +HH:MM'],
  ['timestamptz', '"2017-11-16T22:31:08+05:"', 'a zone is Z or +HH:MM'],
  ['timestamptz', '"2017-11-16T22:31:08+24:00"', 'no such zone'],
  ['timestamptz', '"2017-11-16T22:31:08ZZ"', 'something follows it'],
  ['timestamptz', '"2017-11-16T22:31:08 UTC"', 'something follows it'],
])('the %s %s is an error', (type, json, expected) => {
  expect(problem(type, json)).toBe(`v: expected a ${type}, found ${json}: ${expected}`);
});

test.each([
  ['1510871468', 's', 1510871468000000n],
  ['1510871468.123456', 's', 1510871468123456n],
  ['-1.5', 's', -1500000n],
  ['1510871468123', 'ms', 1510871468123000n],
  ['1.510871468123e12', 'ms', 1510871468123000n],
  ['-1', 'ms', -1000n],
  ['9223372036854775', 'ms', 9223372036854775000n],
  ['1510871468123456', 'us', 1510871468123456n],
  ['9223372036854775807', 'us', 9223372036854775807n],
  ['-9223372036854775808', 'us', -9223372036854775808n],
  ['1510871468123456000', 'ns', 1510871468123456n],
  ['0', 'ns', 0n],
] as const)('a timestamp of %s (in %s) is %s microseconds', (json, epoch, expected) => {
  expect(value('timestamp', json, epoch)).toBe(expected);
  expect(value('timestamptz', json, epoch)).toBe(expected);
});

test.each([
  ['1510871468.1234567', 's', 'finer than a microsecond'],
  ['1510871468123.5', 'ms', 'not a whole number of ms'],
  ['1.5', 'us', 'not a whole number of us'],
  ['1510871468123456001', 'ns', 'finer than a microsecond'],
  ['1.5', 'ns', 'not a whole number of ns'],
  ['9223372036854776', 'ms', 'out of range'],
  ['9223372036854775808', 'us', 'out of range'],
] as const)('a timestamp of %s (in %s) is an error', (json, epoch, expected) => {
  expect(problem('timestamp', json, epoch)).toBe(`v: expected a timestamp, found ${json}: ${expected}`);
});

test('a timestamp is no boolean and no number in quotes', () => {
  expect(problem('timestamp', 'true')).toBe('v: expected a timestamp, found true');
  expect(problem('timestamp', '"1510871468123"')).toContain('v: expected a timestamp, found "1510871468123"');
});

// Bytes

test('a uuid is 36 characters, in any case', () => {
  const hex = 'f79c3e09677c4bbda4793f349cb785e7';
  expect(value('uuid', '"f79c3e09-677c-4bbd-a479-3f349cb785e7"')).toBe(hex);
  expect(value('uuid', '"F79C3E09-677C-4BBD-A479-3F349CB785E7"')).toBe(hex);
  for (const text of [
    hex,
    '{f79c3e09-677c-4bbd-a479-3f349cb785e7}',
    'f79c3e09-677c-4bbd-a479-3f349cb785eg',
    'f79c3e09-677c-4bbd-a479-3f349cb785e',
    'f79c3e09+677c-4bbd-a479-3f349cb785e7',
    '',
  ])
    expect(problem('uuid', `"${text}"`)).toContain('v: expected a uuid, found');
  expect(problem('uuid', '1')).toBe('v: expected a uuid, found 1');
});

test.each([
  ['""', ''],
  ['"AA=="', '00'],
  ['"AA"', '00'],
  ['"AAE="', '0001'],
  ['"AAE"', '0001'],
  ['"AAEC"', '000102'],
  ['"+/+/"', 'fbffbf'],
  ['"-_-_"', 'fbffbf'],
  ['"\\/w=="', 'ff'],
  [`"${Buffer.alloc(100, 0xab).toString('base64')}"`, 'ab'.repeat(100)],
])('the base64 text %s is read', (json, expected) => {
  expect(value('binary', json)).toBe(expected);
});

test.each([
  ['"A"', 'base64 is cut off'],
  ['"AAAAA"', 'base64 is cut off'],
  ['"AA="', 'base64 has the wrong padding'],
  ['"AAA=="', 'base64 has the wrong padding'],
  ['"AAAA="', 'base64 has the wrong padding'],
  ['"AAAA=="', 'base64 has the wrong padding'],
  ['"A==="', 'not base64'],
  ['"="', 'base64 has the wrong padding'],
  ['"AB=="', 'base64 has bits behind its last byte'],
  ['"AAF="', 'base64 has bits behind its last byte'],
  ['"AA\\n=="', 'base64 has the wrong padding'],
  ['"AA A"', 'not base64'],
  ['"+-AA"', 'base64 of two alphabets'],
])('the base64 text %s is an error', (json, expected) => {
  expect(problem('binary', json)).toBe(`v: expected a binary, found ${json}: ${expected}`);
});

test('a fixed value has exactly its length', () => {
  expect(value('fixed[3]', '"AAEC"')).toBe('000102');
  expect(problem('fixed[3]', '"AAE="')).toBe('v: expected a fixed[3], found "AAE=": it has 2 bytes');
  expect(problem('fixed[3]', '"AAECAw=="')).toBe('v: expected a fixed[3], found "AAECAw==": it has 4 bytes');
  expect(problem('binary', '12')).toBe('v: expected a binary, found 12');
});

// Nested values

test('structs, lists and maps nest', () => {
  const inner: Type = { kind: 'struct', fields: [field('x', list(map('string', list('long'))))] };
  const type: Type = { kind: 'struct', fields: [field('a', list(inner)), field('b', 'int', true)] };
  expect(value(type, '{"b":1, "a": [ {"x":[{"k":[1,null]},null,{}]}, null, {} ]}')).toEqual({
    a: [{ x: [[['k', [1n, null]]], null, []] }, null, { x: null }],
    b: 1,
  });
  expect(value(type, 'null')).toBe(null);
  expect(value(list('int'), '[]')).toEqual([]);
  expect(value(list('int'), '[ ]')).toEqual([]);
  expect(value(map('string', 'int'), '{ }')).toEqual([]);
});

test('errors name the path of what they are about', () => {
  const inner: Type = { kind: 'struct', fields: [field('b', list('int', true)), field('r', 'int', true)] };
  const type: Type = {
    kind: 'struct',
    fields: [field('a', list(inner)), field('m', map('string', 'int', true))],
  };
  expect(problem(type, '{"a":[{"b":["x"]}]}')).toBe(
    'v.a[].b[]: expected an int, found "x": not a plain integer',
  );
  expect(problem(type, '{"a":[{"b":[null],"r":1}]}')).toBe('v.a[].b[]: null in a required column');
  expect(problem(type, '{"a":[{"b":[1]}]}')).toBe('v.a[].r: missing, but the column is required');
  expect(problem(type, '{"m":{"k":null}}')).toBe('v.m{}: null in a required column');
  expect(problem(type, '{"m":[]}')).toBe('v.m: expected an object, found an array');
  expect(problem(type, '{"a":{}}')).toBe('v.a: expected an array, found an object');
  expect(problem(type, '[]')).toBe('v: expected an object, found an array');
  expect(problem(type, '{"a":[{}')).toBe('v.a[].r: missing, but the column is required');
  expect(problem(list('int'), '[1,]')).toBe('v[]: expected an int, found ]');
});

test.each([
  [
    'string',
    '{"a":1,"":2,"\\u0061\\n":3}',
    [
      ['a', 1],
      ['', 2],
      ['a\n', 3],
    ],
  ],
  [
    'int',
    '{"1":1,"-2":2}',
    [
      [1, 1],
      [-2, 2],
    ],
  ],
  ['date', '{"1e1":1}', [[10, 1]]],
  ['long', '{"9223372036854775807":1}', [[9223372036854775807n, 1]]],
  [
    'boolean',
    '{"true":1,"false":2}',
    [
      [true, 1],
      [false, 2],
    ],
  ],
  [
    'double',
    '{"1.5":1,"NaN":2,"-1e-3":3}',
    [
      [1.5, 1],
      [Number.NaN, 2],
      [-0.001, 3],
    ],
  ],
  ['decimal(9, 2)', '{"1.5":1}', [[150n, 1]]],
  [
    'date',
    '{"2024-02-29":1,"0":2}',
    [
      [19782, 1],
      [0, 2],
    ],
  ],
  [
    'time',
    '{"00:00:01":1,"2":2}',
    [
      [1000000n, 1],
      [2000n, 2],
    ],
  ],
  [
    'timestamp',
    '{"1970-01-01T00:00:01":1,"-2":2}',
    [
      [1000000n, 1],
      [-2000n, 2],
    ],
  ],
  ['timestamptz', '{"1970-01-01T00:00:01Z" : 1}', [[1000000n, 1]]],
  ['uuid', '{"f79c3e09-677c-4bbd-a479-3f349cb785e7":1}', [['f79c3e09677c4bbda4793f349cb785e7', 1]]],
  ['binary', '{"1234":1}', [['d76df8', 1]]],
  ['fixed[3]', '{"1234":1}', [['d76df8', 1]]],
] as const)('map keys of type %s are read from the text of the key', (key, json, expected) => {
  expect(value(map(key, 'int'), json)).toEqual(expected);
});

test('map keys that their type does not have are errors', () => {
  expect(problem(map('int', 'int'), '{"x":1}')).toBe(
    'v{key}: expected an int, found "x": not a plain integer',
  );
  expect(problem(map('int', 'int'), '{"1e1":1}')).toContain('not a plain integer');
  expect(problem(map('boolean', 'int'), '{"yes":1}')).toBe('v{key}: expected a boolean, found "yes"');
  expect(problem(map('boolean', 'int'), '{"true ":1}')).toBe('v{key}: expected a boolean, found "true "');
  expect(problem(map('double', 'int'), '{"1.5.5":1}')).toBe('v{key}: expected a double, found "1.5.5"');
  expect(problem(map('date', 'int'), '{"2023-02-29":1}')).toContain('no such day');
  expect(problem(map('string', 'int'), '{1:1}')).toBe('v: not JSON: expected a key, found 1 (byte 6)');
  expect(problem(map(list('int'), 'int'), '{}')).toBe(
    'v: the keys of an object cannot be read into a column of type list<int>',
  );
});

test('a map with two equal keys is an error, however they are written', () => {
  expect(problem(map('string', 'int'), '{"a":1,"b":2,"\\u0061":3}')).toBe('v: the key "a" appears twice');
  expect(problem(map('int', 'int'), '{"10":1,"\\u00310":2}')).toBe('v: the key 10 appears twice');
  expect(problem(map('long', 'int'), '{"4294967296":1,"4294967296":2}')).toBe(
    'v: the key 4294967296 appears twice',
  );
  expect(problem(map('decimal(9, 2)', 'int'), '{"1.5":1,"1.50":2}')).toBe('v: the key 150 appears twice');
  const entries = Array.from({ length: 50 }, (_, i) => `"key ${i}":${i}`);
  expect(value(map('string', 'int'), `{${entries}}`)).toHaveLength(50);
  expect(problem(map('string', 'int'), `{${entries},"key 7":1}`)).toBe('v: a key of the map appears twice');
  // Equal keys in different maps are none of it.
  expect(value(list(map('string', 'int')), '[{"a":1},{"a":2}]')).toEqual([[['a', 1]], [['a', 2]]]);
});

// Decoders of whole values

function appended(
  make: (column: BytesColumn) => ReturnType<typeof textDecoder>,
  record: string | Buffer,
): string {
  const column = makeColumn({ kind: 'binary' }, false) as BytesColumn;
  const body = Buffer.from(record as string);
  append(make(column), body, Buffer.from('9"]'));
  return Buffer.from(column.get(0)).toString('latin1');
}

test('raw JSON is kept as it is, if it is JSON', () => {
  for (const json of ['{"a": 1 }', ' [1,2] ', '"x"', '12', '-1.5e+7', 'null', 'true', '"\\ud83d"', '[[[]]]'])
    expect(appended(rawJsonDecoder, json)).toBe(json);
  for (const json of [
    '',
    ' ',
    '{',
    '1 2',
    '[1,]',
    'nul',
    '"a',
    '"\t"',
    '01',
    "{'a':1}",
    '\u00a01',
    '1\u0000',
  ])
    expect(() => appended(rawJsonDecoder, json), json).toThrow(DecodeError);
  expect(() => appended(rawJsonDecoder, Buffer.from('"\xff"', 'latin1'))).toThrow('not valid UTF-8');
});

test('text is kept as it is, if it is UTF-8', () => {
  expect(appended(textDecoder, 'a')).toBe('a');
  expect(appended(textDecoder, '')).toBe('');
  expect(appended(textDecoder, 'é')).toBe('Ã©');
  expect(() => appended(textDecoder, Buffer.from([0x61, 0xff]))).toThrow(DecodeError);
});

test('bytes are kept as they are', () => {
  expect(appended(bytesDecoder, Buffer.from([0, 0xff]))).toBe('\x00\xff');
});

test('there is nothing to prepare', async () => {
  const table = new Table([]);
  await expect(table.decoder.prepare()).resolves.toBeUndefined();
  expect(table.row('{"a":1}')).toEqual({});
});

// Generated readers

test('what most records are like is left to the generated reader', () => {
  const fields = [
    field('i', 'int'),
    field('l', 'long', true),
    field('s', 'string', true),
    field('d', 'decimal(12, 2)'),
    field('f', 'double'),
    field('b', 'boolean'),
    field('t', 'timestamptz'),
    field('u', 'uuid'),
    field('o', { kind: 'struct', fields: [field('x', 'int'), field('y', list('string'))] }),
    field('m', map('string', 'int')),
    field('e', list({ kind: 'struct', fields: [field('z', 'long')] })),
  ];
  const table = new Table(fields);
  const usual =
    '{"i":1,"l":9007199254740991,"s":"text","d":"12.34","f":0.5,"b":true,"t":1700000000000,' +
    '"u":"01234567-89ab-cdef-0123-456789abcdef","o":{"x":1,"y":["a","bcdef"]},"m":{"k":1},"e":[{"z":1},{"z":2}]}';
  const others = [
    usual,
    usual.replaceAll(/([,:])/g, '$1 ').replaceAll(/(\d): (\d)/g, '$1:$2'),
    usual.replace('"text"', '"t\\u0065xt"'),
    usual.replace('"text"', '"é"'),
    usual.replace('9007199254740991', '"9223372036854775807"'),
    usual.replace('1700000000000', '"2024-01-01T00:00:00Z"'),
    usual.replace('"b":true', '"b":null'),
    usual.replace('"i":1,', ''),
    usual.replace('"b":true', '"unknown":[1,{}],"b":false'),
    usual.replace('{"x":1,"y":["a","bcdef"]}', 'null').replace('[{"z":1},{"z":2}]', '[]'),
  ];
  for (const record of others) {
    table.row(record);
    expect(table.unusual, record).toBe(0);
  }
});

test('keys that are sometimes missing, or new, find their places', () => {
  const fields = [field('a', 'int'), field('b', 'int'), field('c', 'int'), field('d', 'int')];
  const columns = new Columns({ schemaId: 0, fields });
  const decoder = jsonDecoder(fields, columns.columns, { envelope: 'none', epoch: 'ms' });
  const records = ['{"b":2}', '{"a":1,"b":2}', '{"b":2,"d":4}', '{"a":1,"x":0,"d":4}', '{"c":3}', '{}'];
  const seen: unknown[] = [];
  let before = 0;
  for (let round = 0; round < 200; round++) {
    before = decoder.unusual;
    for (const record of records) {
      append(decoder, Buffer.from(record), around);
      if (round === 199)
        seen.push(
          columns.columns.map((c) =>
            c.isNull(c.length - 1) ? null : valueAt({ kind: 'int' }, c, c.length - 1),
          ),
        );
    }
  }
  expect(seen).toEqual([
    [null, 2, null, null],
    [1, 2, null, null],
    [null, 2, null, 4],
    [1, null, null, 4],
    [null, null, 3, null],
    [null, null, null, null],
  ]);
  expect(decoder.unusual - before, 'records of the last round that were left to the exact reader').toBe(0);
});

test('two producers with different orders of keys are both understood', () => {
  const fields = [field('a', 'int'), field('b', 'int')];
  const columns = new Columns({ schemaId: 0, fields });
  const decoder = jsonDecoder(fields, columns.columns, { envelope: 'none', epoch: 'ms' });
  const records = Array.from({ length: 5000 }, (_, i) =>
    i % 3 === 0 ? `{"b":2,"a":${i}}` : `{"a":${i},"b":2}`,
  );
  const entries = entriesOf(
    records.map((record) => Buffer.from(record)),
    around,
  );
  expect(decoder.append(entries, 0, records.length)).toBe(records.length);
  const [a, b] = columns.columns as Int32Column[];
  expect(a!.values.slice(0, 5000)).toEqual(Int32Array.from(records.keys()));
  expect(b!.values.slice(0, 5000)).toEqual(new Int32Array(5000).fill(2));
});

test.each([
  '{"a":1"b":2}',
  '{"a":1,"b":2,}',
  '{,"a":1,"b":2}',
  ',"a":1,"b":2}',
  '{"a":1{"b":2}',
  '{{"a":1,"b":2}',
  '{"a":1,,"b":2}',
  '{"a":1;"b":2}',
  '{"b":2}}',
  '{"a":1,"b":2',
  '{"a":1,"b":',
  '{"a":1,"b":2,"a":3}',
  '{"a":1,"a":1,"b":2}',
  '{"a":01,"b":2}',
  '{"a":1e0,"b":2.}',
  '{"a":nul,"b":2}',
  '{"a":nulll,"b":2}',
  '["a",1]',
])('a generated reader never takes what the exact one refuses: %s', (record) => {
  const fields = [field('a', 'int'), field('b', 'int')];
  const columns = new Columns({ schemaId: 0, fields });
  const decoder = jsonDecoder(fields, columns.columns, { envelope: 'none', epoch: 'ms' });
  for (let i = 0; i < 3; i++) append(decoder, Buffer.from('{"a":1,"b":2}'), around);
  expect(decoder.unusual).toBe(1);
  expect(() => append(decoder, Buffer.from(record), around)).toThrow(DecodeError);
  expect(columns.columns.map((column) => column.length)).toEqual([3, 3]);
});
