import { expect, test } from 'vitest';
import type { Schema } from '../../../src/iceberg/schema.ts';
import type { PrimitiveType } from '../../../src/iceberg/types.ts';
import { type EncodingOptions, encodingOptions } from '../../../src/parquet/encoder.ts';
import { parquetEncoder } from '../../../src/parquet/file-writer.ts';
import { readThrift, type ThriftList, type ThriftStruct } from '../../../src/parquet/thrift.ts';
import type { Canonical } from '../../tools/canonical.ts';
import { columnsOf, doubleBits, floatBits } from '../arrow/rows.ts';

/** What is said of the values of one column, written as one row group with so many rows in a page. */
async function indexOf(
  type: PrimitiveType,
  pages: readonly (readonly Canonical[])[],
  options: Partial<EncodingOptions> = {},
) {
  const schema: Schema = { schemaId: 0, fields: [{ id: 1, name: 'v', required: false, type }] };
  const pageRows = pages[0]!.length;
  const how = { ...encodingOptions({}), codec: 'uncompressed' as const, ...options, pageRows };
  const file = parquetEncoder.open(schema, how);
  await file.write(
    columnsOf(
      schema,
      pages.flat().map((value) => ({ v: value })),
    ),
  );
  const bytes = Buffer.concat((await file.close()).parts);
  const footer = readThrift(bytes.subarray(-8 - bytes.readUInt32LE(bytes.length - 8), -8));
  const chunk = structs(member(structs(member(footer, 4))[0]!, 1))[0]!;
  const metadata = member(chunk, 3) as ThriftStruct;
  const part = (offset: number, length: number): ThriftStruct | undefined => {
    const start = member(chunk, offset);
    return start === undefined
      ? undefined
      : readThrift(bytes.subarray(Number(start), Number(start) + Number(member(chunk, length))));
  };
  return {
    bytes,
    metadata,
    statistics: member(metadata, 12) as ThriftStruct,
    values: part(6, 7),
    rows: part(4, 5)!,
  };
}

function member(struct: ThriftStruct, id: number) {
  return struct.find((field) => field.id === id)?.value;
}

function structs(list: unknown): ThriftStruct[] {
  return (list as ThriftList).values as ThriftStruct[];
}

const hex = (value: unknown): string | undefined =>
  value === undefined ? undefined : Buffer.from(value as Uint8Array).toString('hex');
const list = (struct: ThriftStruct | undefined, id: number): unknown[] =>
  (member(struct!, id) as ThriftList).values.map((value) =>
    value instanceof Uint8Array ? hex(value) : value,
  );

const long = { kind: 'long' } as const;
const le64 = (value: bigint): string => {
  const out = Buffer.alloc(8);
  out.writeBigInt64LE(value);
  return out.toString('hex');
};

test.each([
  [{ kind: 'boolean' }, [true, false], '00', '01'],
  [{ kind: 'boolean' }, [true, true], '01', '01'],
  [{ kind: 'int' }, ['-2147483648', '5', '2147483647'], '00000080', 'ffffff7f'],
  [{ kind: 'date' }, ['-1', '1'], 'ffffffff', '01000000'],
  // Beyond what doubles tell apart.
  [long, ['9007199254740993', '9007199254740992'], le64(2n ** 53n), le64(2n ** 53n + 1n)],
  [long, ['-9223372036854775808', '9223372036854775807'], le64(-(2n ** 63n)), le64(2n ** 63n - 1n)],
  [long, ['4294967296', '4294967295', '1'], le64(1n), le64(2n ** 32n)],
  [{ kind: 'decimal', precision: 9, scale: 2 }, ['-0.01', '1.00'], 'ffffffff', '64000000'],
  [{ kind: 'decimal', precision: 18, scale: 0 }, ['-1', '1'], le64(-1n), le64(1n)],
  [
    { kind: 'decimal', precision: 19, scale: 0 },
    ['-1', '1', '-2'],
    'fffffffffffffffffe',
    '000000000000000001',
  ],
  [{ kind: 'string' }, ['b', 'a', 'ab', ''], '', '62'],
  [{ kind: 'binary' }, ['ff', '00', '7f'], '00', 'ff'],
  [{ kind: 'fixed', length: 2 }, ['ff00', '00ff'], '00ff', 'ff00'],
  // Java's library orders uuids by other rules.
  [
    { kind: 'uuid' },
    ['00000000-0000-0000-0000-000000000001', 'ffffffff-ffff-ffff-ffff-ffffffffffff'],
    undefined,
    undefined,
  ],
] as [PrimitiveType, Canonical[], string | undefined, string | undefined][])(
  'of %j the least and the greatest of %j are exact',
  async (type, values, min, max) => {
    for (const dictionaryBytes of [1, 1024]) {
      // Often enough that a dictionary is worth its while.
      const often = Array(8).fill(values).flat() as Canonical[];
      const { statistics } = await indexOf(type, [[...often, null]], { dictionaryBytes });
      expect([hex(member(statistics, 6)), hex(member(statistics, 5))]).toEqual([min, max]);
      expect(member(statistics, 3)).toBe(1n);
      if (min !== undefined) expect([member(statistics, 7), member(statistics, 8)]).toEqual([true, true]);
    }
  },
);

const bitsOf = { float: floatBits, double: doubleBits };
const reversed = (bits: string): string => Buffer.from(bits, 'hex').reverse().toString('hex');

test.each(['float', 'double'] as const)('NaN is no bound of a %s, and zeros are both zeros', async (kind) => {
  const bits = bitsOf[kind];
  const bounds = async (...values: number[]): Promise<unknown[]> => {
    const { statistics } = await indexOf({ kind }, [values.map(bits)]);
    return [hex(member(statistics, 6)), hex(member(statistics, 5)), member(statistics, 9)];
  };
  const le = (value: number): string => reversed(bits(value));
  expect(await bounds(Number.NaN, 1, -2)).toEqual([le(-2), le(1), 1n]);
  expect(await bounds(0)).toEqual([le(-0), le(0), 0n]);
  expect(await bounds(-0)).toEqual([le(-0), le(0), 0n]);
  expect(await bounds(-0, 5)).toEqual([le(-0), le(5), 0n]);
  expect(await bounds(-5, -0)).toEqual([le(-5), le(0), 0n]);
  expect(await bounds(Number.NaN)).toEqual([undefined, undefined, 1n]);
  expect(await bounds(Number.NEGATIVE_INFINITY)).toEqual([le(-Infinity), le(-Infinity), 0n]);
});

test('each page has its bounds, its nulls, and its place', async () => {
  const { bytes, metadata, values, rows } = await indexOf(long, [
    ['3', '1', null],
    [null, null, null],
    ['4', '9', '5'],
  ]);
  expect(list(values, 1)).toEqual([false, true, false]);
  expect(list(values, 2)).toEqual([le64(1n), '', le64(4n)]);
  expect(list(values, 3)).toEqual([le64(3n), '', le64(9n)]);
  expect(member(values!, 4)).toBe(1);
  expect(list(values, 5)).toEqual([1n, 3n, 0n]);
  const pages = structs(member(rows, 1));
  expect(pages.map((page) => member(page, 3))).toEqual([0n, 3n, 6n]);
  let at = Number(member(metadata, 9));
  for (const page of pages) {
    expect(Number(member(page, 1))).toBe(at);
    // A page header begins with its type, a data page's with 0.
    expect(hex(bytes.subarray(at, at + 2))).toBe('1500');
    at += member(page, 2) as number;
  }
  expect(at - Number(member(metadata, 9))).toBe(Number(member(metadata, 7)));
});

test.each([
  [[['1'], ['2'], ['2']], 1],
  [[['3'], ['2'], ['2']], 2],
  [[['3'], ['5'], ['4']], 0],
  [[[null], ['5'], [null], ['4']], 2],
  [
    [
      ['1', '9'],
      ['2', '8'],
    ],
    0,
  ],
  [[['-1'], ['9007199254740992'], ['9007199254740993']], 1],
] as [Canonical[][], number][])('the order of the pages %j is %i', async (pages, order) => {
  expect(member((await indexOf(long, pages)).values!, 4)).toBe(order);
});

test('a column in which a page has nothing but NaNs has no index of values', async () => {
  const { values, rows } = await indexOf({ kind: 'double' }, [[doubleBits(1)], [doubleBits(Number.NaN)]]);
  expect(values).toBeUndefined();
  expect(structs(member(rows, 1))).toHaveLength(2);
});

const long64 = 'é'.repeat(32);
test.each([
  ['string', long64, long64, long64, true],
  // 63 bytes, then a character that does not fit.
  ['string', `a${long64}z`, `a${'é'.repeat(31)}`, `a${'é'.repeat(30)}ê`, false],
  ['string', `${'\u{10ffff}'.repeat(20)}`, '\u{10ffff}'.repeat(16), '\u{10ffff}'.repeat(20), true],
  ['binary', '01'.repeat(65), '01'.repeat(64), `${'01'.repeat(63)}02`, false],
  ['binary', `01${'ff'.repeat(70)}`, `01${'ff'.repeat(63)}`, '02', false],
  ['binary', 'ff'.repeat(65), 'ff'.repeat(64), 'ff'.repeat(65), true],
] as ['string' | 'binary', string, string, string, boolean][])(
  'long values of %s are cut to bounds below and above them: %s',
  async (kind, value, min, max, isMaxExact) => {
    const bytesOf = (text: string): string =>
      Buffer.from(text, kind === 'string' ? 'utf8' : 'hex').toString('hex');
    const { statistics, values } = await indexOf({ kind }, [[value]]);
    expect(hex(member(statistics, 6))).toBe(bytesOf(min));
    expect(hex(member(statistics, 5))).toBe(bytesOf(max));
    expect([member(statistics, 7), member(statistics, 8)]).toEqual([isMaxExact, min === value]);
    expect(list(values, 2)).toEqual([bytesOf(min)]);
    expect(list(values, 3)).toEqual([bytesOf(max)]);
  },
);
