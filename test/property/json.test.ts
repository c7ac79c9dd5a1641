import { isUtf8 } from 'node:buffer';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { type BytesColumn, Columns, makeColumn } from '../../src/arrow/columns.ts';
import { DecodeError } from '../../src/decode/decoder.ts';
import type { Form } from '../../src/decode/generate.ts';
import { type JsonOptions, jsonDecoder } from '../../src/decode/json.ts';
import { rawJsonDecoder } from '../../src/decode/plain.ts';
import type { Field, MapType, PrimitiveType, Type } from '../../src/iceberg/types.ts';
import { decimalText, isoDate, isoTime, isoTimestamp } from '../../src/iceberg/value-text.ts';
import { valueAt } from '../unit/decode/columns.ts';
import { append, contentsOf, entriesOf } from '../unit/decode/entries.ts';

class Table {
  readonly columns: Columns;
  readonly decoder: ReturnType<typeof jsonDecoder>;

  constructor(fields: readonly Field[], envelope: JsonOptions['envelope'] = 'none', form?: Form) {
    this.columns = new Columns({ schemaId: 0, fields });
    this.decoder = jsonDecoder(fields, this.columns.columns, { envelope, epoch: 'us' }, () => {}, form);
  }

  rows(): unknown[][] {
    const { fields } = this.columns.schema;
    return Array.from({ length: this.columns.rows }, (_, row) =>
      fields.map(({ type }, i) => valueAt(type, this.columns.columns[i]!, row)),
    );
  }
}

/** What a record becomes, or why it does not; the same whatever is around it. */
function outcome(table: Table, record: Uint8Array): { row?: unknown[]; problem?: string } {
  // A buffer that ends where the record ends: a read of more bytes than are there throws a RangeError.
  // Only where enough is behind the record does a generated reader take it.
  const outcomes = ['', '"}]0 ', '999999999', '\\\\\\\\\\"', '    :,{['].map((around) => {
    table.columns.truncate(0);
    try {
      append(table.decoder, record, Buffer.from(around.repeat(4)));
      return { row: table.rows()[0]! };
    } catch (error) {
      if (!(error instanceof DecodeError)) throw error;
      return { problem: error.message };
    }
  });
  for (const other of outcomes) expect(other).toEqual(outcomes[0]);
  return outcomes[0]!;
}

// Random schemas, values and ways to write them

/** A value as JSON text, and what a column holds then. */
interface Written {
  text: string;
  value: unknown;
}

const space = fc.oneof({ weight: 8, arbitrary: fc.constant('') }, fc.stringMatching(/^[ \t\r\n]{1,5}$/));

/** Some way to write a string: each character as it is, or escaped in one of the ways it can be. */
function quoted(text: string): fc.Arbitrary<string> {
  const characters = Array.from(text).map((character) => {
    const units = Array.from({ length: character.length }, (_, i) => character.charCodeAt(i));
    const hex = units.map((unit) => `\\u${unit.toString(16).padStart(4, '0')}`).join('');
    const usual = JSON.stringify(character).slice(1, -1);
    return fc.oneof(
      { weight: 6, arbitrary: fc.constant(usual) },
      fc.constant(hex),
      fc.constant(hex.toUpperCase().replaceAll('\\U', '\\u')),
    );
  });
  return fc.tuple(...characters).map((parts) => `"${parts.join('')}"`);
}

function written<T>(
  values: fc.Arbitrary<T>,
  forms: (value: T) => fc.Arbitrary<string>,
  held = (value: T): unknown => value,
): fc.Arbitrary<Written> {
  return values.chain((value) => forms(value).map((text) => ({ text, value: held(value) })));
}

const text = fc.oneof(
  fc.string({ unit: 'grapheme' }),
  fc.string({ unit: 'binary' }),
  fc.string({ maxLength: 80 }),
);

function integer(min: bigint, max: bigint): fc.Arbitrary<bigint> {
  return fc.oneof(
    fc.bigInt({ min, max }),
    fc.constantFrom(min, max, 0n, -1n, 1n),
    fc.integer({ min: -1000, max: 1000 }).map(BigInt),
  );
}

/** An integer as itself, in quotes, with zeros for a fraction, or with an exponent. */
function integerForms(value: bigint): fc.Arbitrary<string> {
  const digits = String(value).replace(/0*$/, '');
  const zeros = String(value).length - digits.length;
  return fc.constantFrom(
    `${value}`,
    `${value}`,
    `"${value}"`,
    `${value}.00`,
    value === 0n ? '-0' : `${digits}e${zeros}`,
  );
}

const micros = integer(-(2n ** 63n), 2n ** 63n - 1n);
const day = 86_400_000_000n;
/** Most within the years 1 to 9999. */
const moments = fc.oneof(micros, fc.bigInt({ min: -719162n * day, max: 2932896n * day }));
/** JavaScript's dates, which write the texts, end in the year 275760. */
const lastWritable = 8_640_000_000_000_000_000n;

function momentForms(value: bigint, zone: string): fc.Arbitrary<string> {
  if (value > lastWritable || value < -lastWritable) return fc.constant(`${value}`);
  const iso = isoTimestamp(value);
  return fc.constantFrom(`${value}`, `"${iso}${zone}"`, `"${iso.replace('T', ' ')}${zone}"`);
}

function base64Forms(bytes: Uint8Array): fc.Arbitrary<string> {
  const standard = Buffer.from(bytes).toString('base64');
  return fc
    .constantFrom(standard, standard.replace(/=+$/, ''), Buffer.from(bytes).toString('base64url'))
    .chain(quoted);
}

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('hex');
}

function leaf(type: PrimitiveType): fc.Arbitrary<Written> {
  switch (type.kind) {
    case 'boolean':
      return written(fc.boolean(), (value) => fc.constant(String(value)));
    case 'int':
      return written(integer(-(2n ** 31n), 2n ** 31n - 1n), integerForms, Number);
    case 'long':
      return written(integer(-(2n ** 63n), 2n ** 63n - 1n), integerForms);
    case 'float':
      return written(fc.float(), (value) => fc.constant(floatText(value)));
    case 'double':
      return written(fc.double(), (value) => fc.constant(floatText(value)));
    case 'decimal': {
      const limit = 10n ** BigInt(type.precision) - 1n;
      return written(
        integer(-limit, limit).map((value) => (value > limit || value < -limit ? 0n : value)),
        (value) => {
          const plain = decimalText(value, type.scale);
          return fc.constantFrom(plain, `"${plain}"`, `${value}e-${type.scale}`, `"${value}E-${type.scale}"`);
        },
      );
    }
    case 'date':
      return written(fc.integer({ min: -719162, max: 2932896 }), (value) =>
        fc.constantFrom(`${value}`, `"${isoDate(value)}"`),
      );
    case 'time':
      return written(fc.bigInt({ min: 0n, max: day - 1n }), (value) =>
        fc.constantFrom(`${value}`, `"${isoTime(value)}"`),
      );
    case 'timestamp':
      return written(moments, (value) => momentForms(value, ''));
    case 'timestamptz':
      return written(moments, (value) =>
        fc.constantFrom('', 'Z', '+00:00', '-0000').chain((zone) => momentForms(value, zone)),
      );
    case 'string':
      return written(
        text.filter((value) => value.isWellFormed()),
        quoted,
      );
    case 'uuid':
      return written(
        fc.uuid(),
        (value) => fc.constantFrom(value, value.toUpperCase()).chain(quoted),
        (value) => value.replaceAll('-', ''),
      );
    case 'binary':
      return written(fc.uint8Array({ maxLength: 70 }), base64Forms, hex);
    case 'fixed':
      return written(fc.uint8Array({ minLength: type.length, maxLength: type.length }), base64Forms, hex);
  }
}

function floatText(value: number): string {
  if (Number.isFinite(value)) return Object.is(value, -0) ? '-0' : String(value);
  return `"${value}"`;
}

const primitiveType: fc.Arbitrary<PrimitiveType> = fc.oneof(
  fc
    .constantFrom(
      'boolean',
      'int',
      'long',
      'float',
      'double',
      'date',
      'time',
      'timestamp',
      'timestamptz',
      'string',
      'uuid',
      'binary',
    )
    .map((kind) => ({ kind }) as PrimitiveType),
  fc.integer({ min: 1, max: 20 }).map((length) => ({ kind: 'fixed', length }) as PrimitiveType),
  fc
    .integer({ min: 1, max: 38 })
    .chain((precision) =>
      fc
        .integer({ min: 0, max: precision })
        .map((scale) => ({ kind: 'decimal', precision, scale }) as PrimitiveType),
    ),
);

const { type: anyType } = fc.letrec<{ type: Type; fields: Field[] }>((tie) => ({
  type: fc.oneof(
    { maxDepth: 3, depthSize: 'small' },
    primitiveType,
    fc.record({ kind: fc.constant('struct' as const), fields: tie('fields') }),
    fc.record({
      kind: fc.constant('list' as const),
      elementId: fc.constant(1),
      elementRequired: fc.boolean(),
      element: tie('type'),
    }),
    fc.record({
      kind: fc.constant('map' as const),
      keyId: fc.constant(1),
      key: primitiveType,
      valueId: fc.constant(1),
      valueRequired: fc.boolean(),
      value: tie('type'),
    }),
  ),
  fields: fieldsOf(tie('type')),
}));

function fieldsOf(types: fc.Arbitrary<Type>): fc.Arbitrary<Field[]> {
  const names = fc.oneof(fc.string({ maxLength: 12 }), text).filter((name) => name.isWellFormed());
  return fc.uniqueArray(fc.record({ id: fc.constant(1), name: names, required: fc.boolean(), type: types }), {
    maxLength: 6,
    selector: ({ name }) => name,
  });
}

/** A value, or null where there may be none. */
function slot(type: Type, required: boolean): fc.Arbitrary<Written> {
  if (required) return valueFor(type);
  return fc.oneof({ weight: 3, arbitrary: valueFor(type) }, fc.constant({ text: 'null', value: null }));
}

function valueFor(type: Type): fc.Arbitrary<Written> {
  switch (type.kind) {
    case 'struct':
      return objectOf(type.fields);
    case 'list':
      return fc.array(slot(type.element, type.elementRequired), { maxLength: 4 }).chain((elements) =>
        joined(
          '[',
          elements.map(({ text }) => text),
          ']',
        ).map((text) => ({ text, value: elements.map(({ value }) => value) })),
      );
    case 'map':
      return mapOf(type);
    default:
      return leaf(type);
  }
}

/** A value as a key: in quotes, even if values of its type have none. Integers in quotes are plain. */
function keyOf(type: PrimitiveType): fc.Arbitrary<Written> {
  const isInteger = type.kind === 'int' || type.kind === 'long';
  return leaf(type).map(({ text, value }) => {
    const bare = isInteger ? String(value) : text;
    return { text: bare.startsWith('"') ? bare : `"${bare}"`, value };
  });
}

function mapOf(type: MapType): fc.Arbitrary<Written> {
  const key = keyOf(type.key as PrimitiveType);
  const entry = fc.tuple(key, slot(type.value, type.valueRequired));
  return fc.uniqueArray(entry, { maxLength: 5, selector: ([{ value }]) => String(value) }).chain((entries) =>
    members(entries.map(([{ text }, value]) => [text, value.text])).map((text) => ({
      text,
      value: entries.map(([{ value: k }, { value: v }]) => [k, v]),
    })),
  );
}

/** An object with the fields in any order, nulls perhaps left out, and members that nobody knows. */
function objectOf(fields: readonly Field[]): fc.Arbitrary<Written & { value: unknown[] }> {
  const known = new Set(fields.map(({ name }) => name));
  const values = fc.tuple(...fields.map(({ type, required }) => slot(type, required)));
  const keys = fc.tuple(...fields.map(({ name }) => quoted(name)));
  const strangers = fc.array(fc.tuple(fc.string({ maxLength: 8 }), fc.json({ maxDepth: 3 })), {
    maxLength: 3,
  });
  return fc.tuple(values, keys, strangers, fc.boolean()).chain(([written, names, others, keepNulls]) => {
    const all = written
      .map(({ text }, i): [string, string] => [names[i]!, text])
      .filter(([, text]) => keepNulls || text !== 'null')
      .concat(
        others.filter(([name]) => !known.has(name)).map(([name, json]) => [JSON.stringify(name), json]),
      );
    return fc
      .shuffledSubarray(all, { minLength: all.length })
      .chain(members)
      .map((text) => ({ text, value: written.map(({ value }) => value) }));
  });
}

function members(entries: [string, string][]): fc.Arbitrary<string> {
  return fc
    .tuple(
      ...entries.map(([key, value]) =>
        fc.tuple(space, space).map(([before, after]) => `${key}${before}:${after}${value}`),
      ),
    )
    .chain((parts) => joined('{', parts, '}'));
}

function joined(open: string, parts: string[], close: string): fc.Arbitrary<string> {
  return fc
    .array(fc.tuple(space, space), { minLength: parts.length + 1, maxLength: parts.length + 1 })
    .map((spaces) => {
      const items = parts.map((part, i) => `${spaces[i]![0]}${part}${spaces[i]![1]}`);
      return `${open}${items.join(',')}${spaces[parts.length]![0]}${close}`;
    });
}

test('whatever way a row is written, its values arrive', { timeout: 60_000 }, () => {
  let unusual = 0;
  let all = 0;
  const tables = fieldsOf(anyType).chain((fields) =>
    fc.record({
      fields: fc.constant(fields),
      records: fc.array(objectOf(fields), { minLength: 1, maxLength: 4 }),
    }),
  );
  fc.assert(
    fc.property(tables, ({ fields, records }) => {
      const table = new Table([
        ...fields,
        { id: 1, name: '\u0000 last', required: false, type: { kind: 'int' } },
      ]);
      for (const { text } of records) append(table.decoder, Buffer.from(text), Buffer.from('9"{'));
      expect(table.rows()).toEqual(records.map(({ value }) => [...value, null]));
      // Each twice in a row, so that its keys are where they are expected; then all of them, mostly by the exact readers.
      const generated = new Table(table.columns.schema.fields);
      const closures = new Table(table.columns.schema.fields, 'none', 'closures');
      for (const { decoder } of [generated, closures]) {
        const texts = [...records.flatMap((one) => [one, one]), ...records].map(({ text }) =>
          Buffer.from(text),
        );
        const entries = entriesOf(texts, Buffer.from('"}],{[:9"0123456789'));
        expect(decoder.append(entries, 0, texts.length)).toBe(texts.length);
      }
      expect(generated.columns.columns.map(contentsOf)).toEqual(closures.columns.columns.map(contentsOf));
      unusual += generated.decoder.unusual;
      all += records.length * 3;
    }),
    { numRuns: 400 },
  );
  expect(unusual / all, 'records that were left to the exact readers').toBeLessThan(0.9);
});

// Damaged records

/** A number's text stays what it was: JSON.parse would round it. */
class NumberText {
  readonly text: string;
  constructor(text: string) {
    this.text = text;
  }
}

type Reviver = (key: string, value: unknown, context: { source?: string }) => unknown;

/**
 * JSON.parse may take a key that is one escape for a backslash, once it has seen a key that is a backslash
 * (https://github.com/nodejs/node/issues/63785). It cannot tell what such records hold.
 */
const misreadByEngine = /"\\(?:u[0-9a-fA-F]{4}|.)"/;

/** The value of JSON text as JSON.parse sees it; undefined when it sees none. */
function parsed(record: Buffer): { json: unknown } | undefined {
  if (!isUtf8(record)) return undefined;
  const keepNumbers: Reviver = (_key, value, { source }) =>
    typeof value === 'number' ? new NumberText(source!) : value;
  try {
    return { json: JSON.parse(record.toString(), keepNumbers as (key: string, value: unknown) => unknown) };
  } catch {
    return undefined;
  }
}

/** `number * 10^scale` by plain arithmetic on its text; undefined when that is no integer. */
function scaled(number: string, scale: number): bigint | undefined {
  const [mantissa, exponent = '0'] = number.toLowerCase().split('e') as [string, string?];
  const [whole, fraction = ''] = mantissa.split('.') as [string, string?];
  const digits = BigInt(whole + fraction);
  const power = Number(exponent) - fraction.length + scale;
  if (digits === 0n) return 0n;
  if (power > 1000 || power < -1000) return undefined;
  if (power >= 0) return digits * 10n ** BigInt(power);
  const divisor = 10n ** BigInt(-power);
  return digits % divisor === 0n ? digits / divisor : undefined;
}

/** What the reference makes of a value; a symbol never equals what a column holds. */
const unfit = Symbol('unfit');

function reference(type: Type, json: unknown): unknown {
  if (json === null || json === undefined) return null;
  switch (type.kind) {
    case 'boolean':
      return typeof json === 'boolean' ? json : unfit;
    case 'string':
      return typeof json === 'string' && json.isWellFormed() ? json : unfit;
    case 'int':
    case 'long': {
      const text = json instanceof NumberText ? json.text : typeof json === 'string' ? json : '';
      if (!/^-?\d/.test(text)) return unfit;
      const value = scaled(text, 0) ?? unfit;
      return type.kind === 'int' && value !== unfit ? Number(value) : value;
    }
    case 'double':
      return json instanceof NumberText || json === 'NaN'
        ? Number(json instanceof NumberText ? json.text : json)
        : unfit;
    case 'decimal': {
      const text = json instanceof NumberText ? json.text : typeof json === 'string' ? json : '';
      return /^-?\d/.test(text) ? (scaled(text, type.scale) ?? unfit) : unfit;
    }
    case 'date':
      return json instanceof NumberText ? Number(json.text) : days(String(json));
    case 'timestamptz':
      return json instanceof NumberText ? (scaled(json.text, 0) ?? unfit) : referenceMoment(String(json));
    case 'binary':
      return typeof json === 'string' ? Buffer.from(json, 'base64').toString('hex') : unfit;
    case 'list':
      return Array.isArray(json) ? json.map((element) => reference(type.element, element)) : unfit;
    case 'map':
      return isObject(json)
        ? sorted(Object.entries(json).map(([key, value]) => [key, reference(type.value, value)]))
        : unfit;
    case 'struct':
      return isObject(json) ? type.fields.map((field) => reference(field.type, json[field.name])) : unfit;
    default:
      throw new Error(`no reference for ${type.kind}`);
  }
}

/** A date as JavaScript reads it, where a signed year has six digits and zero has no minus. */
function javaScriptDate(iso: string): string {
  return iso
    .replace(/^([+-])(\d{4,6})(?=-)/, (_, sign, year) => `${sign}${year.padStart(6, '0')}`)
    .replace(/^-000000/, '+000000');
}

function days(iso: string): number {
  return Date.parse(`${javaScriptDate(iso)}T00:00:00Z`) / 86_400_000;
}

/** Milliseconds by the engine, the digits behind them by hand. */
function referenceMoment(iso: string): bigint | typeof unfit {
  const parts = /^(.*?\d\d:\d\d(?::\d\d)?)(\.\d+)?(Z|[+-].*)?$/.exec(iso);
  if (!parts) return unfit;
  const zone = (parts[3] ?? 'Z').replace(
    /^([+-]\d\d)(\d\d)?$/,
    (_, hours, minutes) => `${hours}:${minutes ?? '00'}`,
  );
  const seconds = Date.parse(javaScriptDate(parts[1]!).replace(' ', 'T') + zone);
  if (Number.isNaN(seconds)) return unfit;
  return BigInt(seconds) * 1000n + BigInt((parts[2] ?? '.').slice(1).padEnd(6, '0').slice(0, 6));
}

/** JavaScript's objects do not keep the order of their keys. */
function sorted(entries: [string, unknown][]): [string, unknown][] {
  return entries.sort(([a], [b]) => (a < b ? -1 : 1));
}

function isObject(json: unknown): json is { [key: string]: unknown } {
  return typeof json === 'object' && json !== null && !Array.isArray(json) && !(json instanceof NumberText);
}

function optional(name: string, type: Type): Field {
  return { id: 1, name, required: false, type };
}

const damagedFields = [
  optional('b', { kind: 'boolean' }),
  optional('i', { kind: 'int' }),
  optional('l', { kind: 'long' }),
  optional('d', { kind: 'double' }),
  optional('m', { kind: 'decimal', precision: 12, scale: 2 }),
  optional('s', { kind: 'string' }),
  optional('t', { kind: 'date' }),
  optional('z', { kind: 'timestamptz' }),
  optional('y', { kind: 'binary' }),
  optional('list', { kind: 'list', elementId: 1, elementRequired: false, element: { kind: 'long' } }),
  optional('map', {
    kind: 'map',
    keyId: 1,
    key: { kind: 'string' },
    valueId: 1,
    valueRequired: false,
    value: { kind: 'double' },
  }),
  optional('struct', {
    kind: 'struct',
    fields: [optional('é', { kind: 'string' }), optional('k', { kind: 'int' })],
  }),
];

const mapField = damagedFields.findIndex(({ name }) => name === 'map');

const wholeRecord =
  '{"b":true,"i":-12,"l":9007199254740993,"d":1.5e3,"m":"12.34","s":"a\\u00e9\\n\\ud83d\\ude00 é😀","t":"2024-02-29",' +
  '"z":"2024-02-29T12:34:56.789012+05:30","y":"AAEC/w==","list":[1,null,-3],"map":{"k":1.25,"q\\"":null},' +
  '"struct":{"é":"x","k":7},"unknown":[{"a":"\\\\x","b":[true,false,null,0.1e-7]},""]}';

/** Bytes that are likely to matter. */
const significant = fc.constantFrom(
  ...Buffer.from('{}[]",:\\u0123456789-+.eEtfnaZT \n\t/é\u0000'),
  0xff,
  0xc3,
  0x80,
);
const anyByte = fc.oneof({ weight: 5, arbitrary: significant }, fc.integer({ min: 0, max: 255 }));

type Damage = (record: Buffer) => Buffer;

const damage: fc.Arbitrary<Damage> = fc
  .tuple(
    fc.nat(),
    fc.nat(),
    anyByte,
    fc.nat({ max: 20 }),
    fc.constantFrom('set', 'insert', 'remove', 'cut', 'copy'),
  )
  .map(([where, other, byte, length, how]) => (record) => {
    const at = where % (record.length + 1);
    const from = other % (record.length + 1);
    const before = record.subarray(0, at);
    const after = record.subarray(at);
    if (how === 'set') return Buffer.concat([before, Buffer.of(byte), after.subarray(1)]);
    if (how === 'insert') return Buffer.concat([before, Buffer.of(byte), after]);
    if (how === 'remove') return Buffer.concat([before, after.subarray(length % 5)]);
    if (how === 'cut') return Buffer.from(before);
    return Buffer.concat([before, record.subarray(from, from + length), after]);
  });

function damaged(record: string): fc.Arbitrary<Buffer> {
  const apply = (bytes: Buffer, step: Damage): Buffer => step(bytes);
  return fc
    .array(damage, { minLength: 1, maxLength: 3 })
    .map((steps) => steps.reduce(apply, Buffer.from(record)));
}

const damagedRecord = damaged(wholeRecord);

test('a damaged record is what the reference reads, or an error', { timeout: 60_000 }, () => {
  const table = new Table(damagedFields);
  let read = 0;
  fc.assert(
    fc.property(damagedRecord, (record) => {
      const { row } = outcome(table, record);
      if (row === undefined || misreadByEngine.test(record.toString())) return;
      read++;
      const entries = row[mapField] as [string, unknown][] | null;
      if (entries) sorted(entries);
      const json = parsed(record);
      expect(json, 'JSON.parse refuses it').toBeDefined();
      expect(row).toEqual(reference({ kind: 'struct', fields: damagedFields }, json!.json));
    }),
    { numRuns: 20_000 },
  );
  expect(read).toBeGreaterThan(500);
});

const wholeEnvelope =
  '{"schema":{"type":"struct","optional":false,"fields":[{"field":"l","type":"int64","default":5},' +
  '{"field":"m","type":"bytes","name":"org.apache.kafka.connect.data.Decimal","parameters":{"scale":"2"}},' +
  '{"field":"z","type":"int64","name":"io.debezium.time.MicroTimestamp","optional":true},' +
  '{"field":"list","type":"array","items":{"type":"int32"}},' +
  '{"field":"map","type":"map","keys":{"type":"string"},"values":{"type":"double"},"optional":true}]},' +
  '"payload":{"l":1,"m":"BNI=","z":1709190296789012,"list":[1,2],"map":{"k":1.5}}}';

test('a damaged envelope is read or is an error, and spoils no other', { timeout: 60_000 }, () => {
  const table = new Table(damagedFields, 'connect');
  const whole = outcome(table, Buffer.from(wholeEnvelope));
  expect(whole.row).toBeDefined();
  fc.assert(
    fc.property(damaged(wholeEnvelope), (record) => {
      outcome(table, record);
      expect(outcome(table, Buffer.from(wholeEnvelope))).toEqual(whole);
    }),
    { numRuns: 5000 },
  );
});

test('raw JSON is accepted exactly when JSON.parse accepts it', { timeout: 60_000 }, () => {
  const column = makeColumn({ kind: 'string' }, false) as BytesColumn;
  const decoder = rawJsonDecoder(column);
  const records = fc.oneof(
    damagedRecord,
    fc.json().map((json) => Buffer.from(json)),
    fc.array(anyByte, { maxLength: 8 }).map((bytes) => Buffer.from(bytes)),
  );
  fc.assert(
    fc.property(records, (record) => {
      column.truncate(0);
      let accepted = true;
      try {
        append(decoder, record, Buffer.from('"9'));
      } catch (error) {
        expect(error).toBeInstanceOf(DecodeError);
        accepted = false;
      }
      expect(accepted).toBe(parsed(record) !== undefined);
      if (accepted) expect(Buffer.from(column.get(0)).equals(record)).toBe(true);
    }),
    { numRuns: 20_000 },
  );
});
