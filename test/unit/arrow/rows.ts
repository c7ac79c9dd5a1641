import fc from 'fast-check';
import { type Column, Columns } from '../../../src/arrow/columns.ts';
import type { Schema } from '../../../src/iceberg/schema.ts';
import type { Field, MapType, PrimitiveType, StructType, Type } from '../../../src/iceberg/types.ts';
import type { Canonical, Row } from '../../tools/canonical.ts';

/** Schemas and rows in the canonical form of test/tools/README.md: how to make them at random, put them into columns and get them back. */

// ---- columns ----

/** Thrown by a {@link Budget} that is spent: a record that stops making sense somewhere in its middle. */
export class Spent extends Error {}

/** How many more leaves may be appended. */
export interface Budget {
  left: number;
}

export function columnsOf(schema: Schema, rows: readonly Row[]): Columns {
  const columns = new Columns(schema);
  for (const row of rows) appendRow(columns, row);
  return columns;
}

export function appendRow(columns: Columns, row: Row, budget?: Budget): void {
  for (const [i, field] of columns.schema.fields.entries())
    append(columns.columns[i]!, field.type, row[field.name]!, budget);
}

export function rowsOf(columns: Columns): Row[] {
  return Array.from({ length: columns.rows }, (_, row) =>
    Object.fromEntries(
      columns.schema.fields.map((field, i) => [field.name, valueAt(columns.columns[i]!, field.type, row)]),
    ),
  );
}

export function append(column: Column, type: Type, value: Canonical, budget?: Budget): void {
  if (budget && budget.left-- <= 0) throw new Spent();
  if (value === null) return column.appendNull();
  switch (column.kind) {
    case 'boolean':
      return column.append(value as boolean);
    case 'int32':
      return column.append(Number(value));
    case 'int64':
      return column.appendBigInt(BigInt(value as string));
    case 'float32':
      return column.append(Buffer.from(value as string, 'hex').readFloatBE());
    case 'float64':
      return column.append(Buffer.from(value as string, 'hex').readDoubleBE());
    case 'decimal':
      return column.appendBigInt(unscaled(value as string));
    case 'fixed':
      return column.append(Buffer.from((value as string).replaceAll('-', ''), 'hex'), 0);
    case 'bytes': {
      const bytes = Buffer.from(value as string, type.kind === 'string' ? 'utf8' : 'hex');
      return column.append(bytes, 0, bytes.length);
    }
    case 'struct': {
      const { fields } = type as StructType;
      for (const [i, field] of fields.entries())
        append(column.children[i]!, field.type, (value as Row)[field.name]!, budget);
      return column.append();
    }
    case 'list': {
      const { element } = type as Extract<Type, { kind: 'list' }>;
      for (const item of value as Canonical[]) append(column.element, element, item, budget);
      return column.append();
    }
    case 'map': {
      const map = type as MapType;
      for (const [key, item] of value as [Canonical, Canonical][]) {
        append(column.key, map.key, key, budget);
        append(column.value, map.value, item, budget);
      }
      return column.append();
    }
  }
}

export function valueAt(column: Column, type: Type, row: number): Canonical {
  if (column.isNull(row)) return null;
  switch (column.kind) {
    case 'boolean':
      return column.get(row);
    case 'int32':
    case 'int64':
      return String(column.values[row]);
    case 'float32':
      return floatBits(column.values[row]!);
    case 'float64':
      return doubleBits(column.values[row]!);
    case 'decimal':
      return decimalText(column.get(row), (type as Extract<Type, { kind: 'decimal' }>).scale);
    case 'fixed':
    case 'bytes':
      return bytesText(type as PrimitiveType, column.get(row));
    case 'struct':
      return Object.fromEntries(
        (type as StructType).fields.map((field, i) => [
          field.name,
          valueAt(column.children[i]!, field.type, row),
        ]),
      );
    case 'list': {
      const { element } = type as Extract<Type, { kind: 'list' }>;
      return range(column.offsets, row).map((i) => valueAt(column.element, element, i));
    }
    case 'map': {
      const { key, value } = type as MapType;
      return range(column.offsets, row).map((i) => [
        valueAt(column.key, key, i),
        valueAt(column.value, value, i),
      ]);
    }
  }
}

function range(offsets: Int32Array, row: number): number[] {
  return Array.from({ length: offsets[row + 1]! - offsets[row]! }, (_, i) => offsets[row]! + i);
}

// ---- the canonical form of single values ----

export function floatBits(value: number): string {
  const out = Buffer.alloc(4);
  out.writeFloatBE(value);
  return Number.isNaN(value) ? '7fc00000' : out.toString('hex');
}

export function doubleBits(value: number): string {
  const out = Buffer.alloc(8);
  out.writeDoubleBE(value);
  return Number.isNaN(value) ? '7ff8000000000000' : out.toString('hex');
}

export function decimalText(unscaledValue: bigint, scale: number): string {
  const sign = unscaledValue < 0n ? '-' : '';
  const digits = String(unscaledValue < 0n ? -unscaledValue : unscaledValue).padStart(scale + 1, '0');
  const point = digits.length - scale;
  return scale === 0 ? sign + digits : `${sign}${digits.slice(0, point)}.${digits.slice(point)}`;
}

export function unscaled(text: string): bigint {
  return BigInt(text.replace('.', ''));
}

export function bytesText(type: PrimitiveType, bytes: Uint8Array): string {
  const buffer = Buffer.from(bytes);
  if (type.kind === 'string') return buffer.toString('utf8');
  const hex = buffer.toString('hex');
  if (type.kind !== 'uuid') return hex;
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5');
}

// ---- at random ----

const plainKinds = [
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
] as const;

const primitiveTypes: fc.Arbitrary<PrimitiveType> = fc.oneof(
  { weight: 12, arbitrary: fc.constantFrom(...plainKinds).map((kind) => ({ kind })) },
  { weight: 1, arbitrary: fc.integer({ min: 1, max: 20 }).map((length) => ({ kind: 'fixed', length })) },
  {
    weight: 2,
    arbitrary: fc
      .integer({ min: 1, max: 38 })
      .chain((precision) =>
        fc.integer({ min: 0, max: precision }).map((scale) => ({ kind: 'decimal', precision, scale })),
      ),
  },
) as fc.Arbitrary<PrimitiveType>;

/** Types nested at most `depth` deep. All ids are 0: {@link schemas} gives them. */
export function types(depth: number): fc.Arbitrary<Type> {
  if (depth === 0) return primitiveTypes;
  const inner = types(depth - 1);
  return fc.oneof(
    { weight: 5, arbitrary: primitiveTypes },
    { weight: 2, arbitrary: structs(inner) },
    {
      weight: 2,
      arbitrary: fc
        .tuple(inner, fc.boolean())
        .map(
          ([element, elementRequired]): Type => ({ kind: 'list', elementId: 0, elementRequired, element }),
        ),
    },
    {
      weight: 2,
      arbitrary: fc.tuple(primitiveTypes, inner, fc.boolean()).map(
        ([key, value, valueRequired]): Type => ({
          kind: 'map',
          keyId: 0,
          key,
          valueId: 0,
          valueRequired,
          value,
        }),
      ),
    },
  );
}

function structs(inner: fc.Arbitrary<Type>): fc.Arbitrary<StructType> {
  return fields(inner, 3).map((members) => ({ kind: 'struct', fields: members }));
}

const names = ['a', 'B', 'c_1', 'd e', 'größe', '日本', '_f', 'g-h'];

function fields(inner: fc.Arbitrary<Type>, maxLength: number): fc.Arbitrary<Field[]> {
  return fc
    .array(fc.tuple(inner, fc.boolean()), { minLength: 1, maxLength })
    .map((members) => members.map(([type, required], i) => ({ id: 0, name: names[i]!, required, type })));
}

/** Schemas of up to `width` columns nested at most `depth` deep, with ids that are neither dense nor in order. */
export function schemas(depth: number, width = 5): fc.Arbitrary<Schema> {
  return fc
    .tuple(fields(types(depth), width), fc.integer({ min: 1, max: 50 }))
    .map(([members, first]) => ({ schemaId: 0, fields: numbered(members, first) }));
}

/** Gives every node an id of its own: every second number, descending within a struct. */
function numbered(members: readonly Field[], first: number): Field[] {
  let next = first;
  const id = (): number => (next += 2);
  const type = (given: Type): Type => {
    switch (given.kind) {
      case 'struct':
        return { kind: 'struct', fields: struct(given.fields) };
      case 'list':
        return { ...given, element: type(given.element), elementId: id() };
      case 'map':
        return { ...given, value: type(given.value), valueId: id(), key: type(given.key), keyId: id() };
      default:
        return given;
    }
  };
  const struct = (given: readonly Field[]): Field[] =>
    given
      .toReversed()
      .map((field) => ({ ...field, type: type(field.type), id: id() }))
      .toReversed();
  return struct(members);
}

const int64 = fc.oneof(
  fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }),
  fc.bigInt({ min: -1000n, max: 1000n }),
  fc.constantFrom(
    -(2n ** 63n),
    2n ** 63n - 1n,
    0n,
    -1n,
    2n ** 32n,
    -(2n ** 32n),
    2n ** 31n,
    -(2n ** 53n) - 1n,
  ),
);
const int32 = fc.oneof(fc.integer(), fc.constantFrom(-(2 ** 31), 2 ** 31 - 1, 0, -1));
const hexOf = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');

/** Text of any code points; the library's own arbitrary for them takes a second to make. */
export function anyText(maxLength: number): fc.Arbitrary<string> {
  const points = fc.oneof(fc.integer({ min: 0, max: 0xd7ff }), fc.integer({ min: 0xe000, max: 0x10ffff }));
  return fc.array(points, { maxLength }).map((text) => String.fromCodePoint(...text));
}

const texts = fc.oneof(
  anyText(24),
  fc.string({
    unit: fc.constantFrom('a', 'é', '\u{10ffff}', '\ud7ff', '\uffff', '\u{10000}', '\0'),
    maxLength: 20,
  }),
  fc.string({ maxLength: 4 }),
);

/** Values of a type, extremes among them. Times of day and moments are of the ranges that Iceberg's readers can show. */
function values(type: Type, required: boolean): fc.Arbitrary<Canonical> {
  const present = presentValues(type);
  return required
    ? present
    : fc.oneof({ weight: 2, arbitrary: fc.constant(null) }, { weight: 3, arbitrary: present });
}

function presentValues(type: Type): fc.Arbitrary<Canonical> {
  switch (type.kind) {
    case 'boolean':
      return fc.boolean();
    case 'int':
      return int32.map(String);
    case 'date':
      return fc.integer({ min: -719_162, max: 2_932_896 }).map(String); // 0001-01-01 to 9999-12-31
    case 'long':
      return int64.map(String);
    case 'time':
      return fc.bigInt({ min: 0n, max: 86_399_999_999n }).map(String);
    case 'timestamp':
    case 'timestamptz':
      return fc.bigInt({ min: -62_135_596_800_000_000n, max: 253_402_300_799_999_999n }).map(String);
    case 'float':
      return fc.float().map(floatBits);
    case 'double':
      return fc.double().map(doubleBits);
    case 'decimal': {
      const max = 10n ** BigInt(type.precision) - 1n;
      return fc
        .oneof(fc.bigInt({ min: -max, max }), fc.constantFrom(-max, max, 0n, max < 10n ? 1n : -10n))
        .map((value) => decimalText(value, type.scale));
    }
    case 'string':
      return texts;
    case 'uuid':
      return fc.uint8Array({ minLength: 16, maxLength: 16 }).map((bytes) => bytesText(type, bytes));
    case 'fixed':
      return fc.uint8Array({ minLength: type.length, maxLength: type.length }).map(hexOf);
    case 'binary':
      return fc
        .oneof(
          fc.uint8Array({ maxLength: 24 }),
          fc.integer({ min: 0, max: 30 }).map((length) => new Uint8Array(length).fill(0xff)),
        )
        .map(hexOf);
    case 'struct':
      return rowValues(type.fields);
    case 'list':
      return fc.array(values(type.element, type.elementRequired), { maxLength: 4 });
    case 'map':
      return fc
        .uniqueArray(fc.tuple(presentValues(type.key), values(type.value, type.valueRequired)), {
          selector: ([key]) => JSON.stringify(key),
          maxLength: 4,
        })
        .map((pairs) => pairs.sort(([a], [b]) => Buffer.compare(keyBytes(a), keyBytes(b))));
  }
}

function keyBytes(key: Canonical): Buffer {
  return Buffer.from(JSON.stringify(key));
}

function rowValues(members: readonly Field[]): fc.Arbitrary<Row> {
  return fc
    .tuple(...members.map((field) => values(field.type, field.required)))
    .map((row) => Object.fromEntries(members.map((field, i) => [field.name, row[i]!])));
}

/** Rows of a schema. */
export function rows(schema: Schema, size: { minLength?: number; maxLength: number }): fc.Arbitrary<Row[]> {
  return fc.array(rowValues(schema.fields), size);
}

/** Every type of format version 2, plain and nested, optional and required. */
export const everyType: Schema = everyTypeSchema();

function everyTypeSchema(): Schema {
  const leaf: Type[] = [
    ...plainKinds.map((kind) => ({ kind })),
    { kind: 'fixed', length: 5 },
    { kind: 'decimal', precision: 9, scale: 2 },
    { kind: 'decimal', precision: 18, scale: 0 },
    { kind: 'decimal', precision: 38, scale: 10 },
  ];
  const name = (type: Type, i: number): string =>
    type.kind === 'decimal' ? `decimal${type.precision}` : `${type.kind}${i < 0 ? i : ''}`;
  const field = (fieldName: string, type: Type, required = false): Field => ({
    id: 0,
    name: fieldName,
    required,
    type,
  });
  const point: Type = {
    kind: 'struct',
    fields: [field('x', { kind: 'double' }, true), field('label', { kind: 'string' })],
  };
  const listOf = (element: Type, elementRequired = false): Type => ({
    kind: 'list',
    elementId: 0,
    elementRequired,
    element,
  });
  const mapOf = (key: Type, value: Type, valueRequired = false): Type => ({
    kind: 'map',
    keyId: 0,
    key,
    valueId: 0,
    valueRequired,
    value,
  });
  const members = [
    field('id', { kind: 'long' }, true),
    ...leaf.map((type, i) => field(name(type, i), type)),
    field('point', point),
    field('solid', point, true),
    field('texts', listOf({ kind: 'string' })),
    field('longs', listOf({ kind: 'long' }, true), true),
    field('points', listOf(point)),
    field('matrix', listOf(listOf({ kind: 'int' }))),
    field('counts', mapOf({ kind: 'string' }, { kind: 'long' })),
    field('by_day', mapOf({ kind: 'int' }, point, true)),
    field(
      'deep',
      mapOf({ kind: 'string' }, listOf(mapOf({ kind: 'int' }, { kind: 'decimal', precision: 9, scale: 2 }))),
    ),
  ];
  return { schemaId: 0, fields: numbered(members, 0) };
}
