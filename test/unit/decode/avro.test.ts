import { describe, expect, test } from 'vitest';
import { Columns, makeColumn } from '../../../src/arrow/columns.ts';
import { valueAt } from '../../../src/arrow/values.ts';
import { FatalError, NotFoundError, TransientError } from '../../../src/base/errors.ts';
import { type Log, silentLog } from '../../../src/base/log.ts';
import { avroDecoder, avroKeyDecoder, wireSchemaId } from '../../../src/decode/avro.ts';
import { DecodeError, type Decoder } from '../../../src/decode/decoder.ts';
import type { RegisteredSchema } from '../../../src/decode/registry.ts';
import { type Field, parsePrimitiveType, type Type } from '../../../src/iceberg/types.ts';
import { RecordColumns } from '../../../src/kafka/record-columns.ts';
import { contentsOf } from './entries.ts';

type Json = null | boolean | number | string | Json[] | { [key: string]: Json };

/** Avro by hand: what no writer would write can be written too. */
class Bytes {
  readonly #parts: Buffer[] = [];

  static of(...parts: (Buffer | Bytes)[]): Buffer {
    return Buffer.concat(parts.map((part) => (part instanceof Bytes ? part.all : part)));
  }

  get all(): Buffer {
    return Buffer.concat(this.#parts);
  }

  raw(...bytes: number[]): this {
    this.#parts.push(Buffer.from(bytes));
    return this;
  }

  long(value: bigint | number): this {
    let rest = BigInt.asUintN(64, (BigInt(value) << 1n) ^ (BigInt(value) >> 63n));
    const bytes: number[] = [];
    for (; rest > 127n; rest >>= 7n) bytes.push(Number(rest & 127n) | 128);
    return this.raw(...bytes, Number(rest));
  }

  bytes(bytes: Buffer | string): this {
    const buffer = Buffer.from(bytes as string);
    this.long(buffer.length);
    this.#parts.push(buffer);
    return this;
  }

  double(value: number): this {
    const buffer = Buffer.alloc(8);
    buffer.writeDoubleLE(value);
    this.#parts.push(buffer);
    return this;
  }

  float(value: number): this {
    const buffer = Buffer.alloc(4);
    buffer.writeFloatLE(value);
    this.#parts.push(buffer);
    return this;
  }
}

const b = (): Bytes => new Bytes();

function field(name: string, type: Type | string, required = false): Field {
  return { id: 1, name, required, type: typeof type === 'string' ? parsePrimitiveType(type) : type };
}

function record(...fields: [string, Json][]): Json {
  return { type: 'record', name: 'R', fields: fields.map(([name, type]) => ({ name, type })) };
}

/** In Confluent's wire format. */
function wire(id: number, body: Buffer): Buffer {
  const header = Buffer.alloc(5);
  header.writeInt32BE(id, 1);
  return Buffer.concat([header, body]);
}

/** Records that are the values (and keys) of one batch, behind each other. */
function batchOf(values: readonly (Buffer | null)[], keys: readonly (Buffer | null)[] = []): RecordColumns {
  const records = new RecordColumns();
  records.count = values.length;
  const parts: Buffer[] = [Buffer.alloc(7, 0xff)];
  let end = 7;
  const place = (bytes: Buffer | null, starts: Int32Array, lengths: Int32Array, i: number): void => {
    starts[i] = end;
    lengths[i] = bytes?.length ?? -1;
    if (bytes) parts.push(bytes);
    end += bytes?.length ?? 0;
  };
  for (const [i, value] of values.entries()) {
    place(keys[i] ?? null, records.keyStarts, records.keyLengths, i);
    place(value, records.valueStarts, records.valueLengths, i);
  }
  records.bytes = Buffer.concat([...parts, Buffer.alloc(20, 0xff)]);
  records.view = new DataView(records.bytes.buffer, records.bytes.byteOffset, records.bytes.length);
  return records;
}

/** How many values of a batch became rows, and why the next did not. */
async function appended(decoder: Decoder, records: RecordColumns): Promise<[number, DecodeError?]> {
  await decoder.prepare(records);
  const { bytes, view, valueStarts: starts, valueLengths: lengths } = records;
  let made = 0;
  for (let i = 0; i < records.count; ) {
    let to = i;
    while (to < records.count && lengths[to]! >= 0) to++;
    const end = decoder.append({ bytes, view, starts, lengths }, i, to);
    made += end - i;
    if (end < to) return [made, decoder.failure!];
    i = to + 1;
  }
  return [made];
}

/** Schemas by id, and which of them were asked for. */
class Registry {
  readonly asked: number[] = [];
  readonly schemas = new Map<number, RegisteredSchema | Error>();

  set(id: number, schema: Json | Error, references: readonly Json[] = [], type = 'AVRO'): this {
    this.schemas.set(
      id,
      schema instanceof Error
        ? schema
        : { type, text: JSON.stringify(schema), references: references.map((text) => JSON.stringify(text)) },
    );
    return this;
  }

  async get(id: number): Promise<RegisteredSchema> {
    this.asked.push(id);
    return this.find(id);
  }

  async find(id: number): Promise<RegisteredSchema> {
    const found = this.schemas.get(id) ?? new NotFoundError('HTTP 404');
    if (found instanceof Error) throw found;
    return found;
  }
}

/** A table that is filled by generated readers, and one by closures: there must never be a difference. */
class Table {
  readonly columns: Columns;
  readonly decoder: ReturnType<typeof avroDecoder>;
  readonly #twin: Columns;
  readonly #closures: Decoder;

  constructor(registry: Registry, fields: readonly Field[], log: Log = silentLog) {
    this.columns = new Columns({ schemaId: 0, fields });
    this.decoder = avroDecoder(registry, fields, this.columns.columns, log);
    this.#twin = new Columns({ schemaId: 0, fields });
    const unasked = { get: (id: number) => registry.find(id) };
    this.#closures = avroDecoder(unasked, fields, this.#twin.columns, silentLog, 'closures');
  }

  /** Appends values until one makes no row. */
  async append(...values: (Buffer | null)[]): Promise<void> {
    const records = batchOf(values);
    const [made, wrong] = await appended(this.decoder, records);
    const [madeByTwin, wrongByTwin] = await appended(this.#closures, records);
    expect([made, wrong]).toEqual([madeByTwin, wrongByTwin]);
    expect(this.columns.columns.map(contentsOf)).toEqual(this.#twin.columns.map(contentsOf));
    if (wrong) throw wrong;
  }

  row(index: number): unknown {
    const { fields } = this.columns.schema;
    return Object.fromEntries(
      fields.map(({ name, type }, i) => [name, valueAt(this.columns.columns[i]!, index, type)]),
    );
  }

  get rows(): unknown[] {
    return Array.from({ length: this.columns.rows }, (_, i) => this.row(i));
  }
}

/** What one value becomes in a column `f` that is an Avro field of the same name. */
async function read(
  avro: Json,
  type: Type | string,
  body: Buffer | Bytes,
  required = false,
): Promise<unknown> {
  const table = new Table(new Registry().set(1, record(['f', avro])), [field('f', type, required)]);
  await table.append(wire(1, Bytes.of(body)));
  const [column] = table.columns.columns;
  const isInteger = column!.kind === 'int64' || column!.kind === 'decimal';
  if (isInteger)
    return column!.isNull(0) ? null : column!.kind === 'decimal' ? column.get(0) : column!.values[0];
  if (column!.kind === 'float64' || column!.kind === 'float32') return column!.values[0];
  return (table.row(0) as { f: unknown }).f;
}

async function refusal(
  avro: Json,
  type: Type | string,
  body: Buffer | Bytes,
  required = false,
): Promise<string> {
  const error = await read(avro, type, body, required).then(
    (value) => new Error(`it was read as ${value}`),
    (failed) => failed,
  );
  expect(error, error.stack).toBeInstanceOf(DecodeError);
  return error.message;
}

const timestamps = { type: 'long', logicalType: 'timestamp-millis' };
const decimal = (precision: number, scale: number): Json => ({
  type: 'bytes',
  logicalType: 'decimal',
  precision,
  scale,
});

function unscaled(value: bigint): Buffer {
  let length = 1;
  while (BigInt.asIntN(length * 8, value) !== value) length++;
  return Buffer.from(
    BigInt.asUintN(length * 8, value)
      .toString(16)
      .padStart(length * 2, '0'),
    'hex',
  );
}

describe('values at their limits', () => {
  test.each([0n, -1n, 1n, 2n ** 31n, -(2n ** 31n), 2n ** 53n + 1n, 2n ** 63n - 1n, -(2n ** 63n)])(
    'long %i',
    async (value) => {
      expect(await read('long', 'long', b().long(value))).toBe(value);
    },
  );

  test.each([0, -1, 63, 64, -64, -65, 8191, 8192, 2 ** 31 - 1, -(2 ** 31)])('int %i', async (value) => {
    expect(await read('int', 'int', b().long(value))).toBe(value);
    expect(await read('int', 'long', b().long(value))).toBe(BigInt(value));
    expect(await read('int', 'double', b().long(value))).toBe(value);
  });

  test('double and float', async () => {
    for (const value of [0, -0, Number.NaN, Infinity, -Infinity, Number.MIN_VALUE, Number.MAX_VALUE])
      expect(await read('double', 'double', b().double(value))).toBe(value);
    for (const value of [0, -0, Number.NaN, Infinity, -Infinity, 2 ** -149])
      for (const type of ['float', 'double']) expect(await read('float', type, b().float(value))).toBe(value);
  });

  test('string and bytes', async () => {
    for (const text of ['', 'a', 'ü€🛶', '\0', 'x'.repeat(100_000)])
      for (const avro of ['string', 'bytes']) expect(await read(avro, 'string', b().bytes(text))).toBe(text);
    expect(await read('bytes', 'binary', b().bytes(Buffer.of(0, 255)))).toBe('AP8=');
    expect(await read('string', 'binary', b().bytes('ab'))).toBe('YWI=');
  });

  test('timestamps of milliseconds, to the last microsecond that fits', async () => {
    const largest = (2n ** 63n - 1n) / 1000n;
    const smallest = -(2n ** 63n) / 1000n;
    for (const value of [
      0n,
      -1n,
      9_007_199_254_740n,
      9_007_199_254_741n,
      -9_007_199_254_741n,
      largest,
      smallest,
    ])
      expect(await read(timestamps, 'timestamptz', b().long(value))).toBe(value * 1000n);
    expect(await refusal(timestamps, 'timestamptz', b().long(largest + 1n))).toBe(
      `f: ${(largest + 1n) * 1000n} microseconds are beyond 64 bits`,
    );
    expect(await refusal(timestamps, 'timestamptz', b().long(smallest - 1n))).toContain('f: -');
    expect(await refusal(timestamps, 'timestamp', b().long(2n ** 63n - 1n))).toContain('beyond 64 bits');
    const micros = { type: 'long', logicalType: 'timestamp-micros' };
    for (const value of [2n ** 63n - 1n, -(2n ** 63n)])
      expect(await read(micros, 'timestamptz', b().long(value))).toBe(value);
  });

  test('decimals of up to 38 digits, either sign, and not one more', async () => {
    for (const precision of [1, 2, 4, 5, 9, 14, 15, 18, 19, 28, 38]) {
      const most = 10n ** BigInt(precision) - 1n;
      for (const value of [0n, 1n, -1n, most, -most])
        expect(await read(decimal(precision, 0), `decimal(${precision},0)`, b().bytes(unscaled(value)))).toBe(
          value,
        );
      for (const value of [most + 1n, -most - 1n])
        expect(
          await refusal(decimal(precision, 0), `decimal(${precision},0)`, b().bytes(unscaled(value))),
        ).toBe(`f: ${value} does not fit a decimal(${precision}, 0)`);
    }
    const least = -(10n ** 36n) + 1n;
    expect(await read(decimal(36, 2), 'decimal(38,4)', b().bytes(unscaled(least)))).toBe(least * 100n);
    expect(await refusal(decimal(36, 2), 'decimal(38,4)', b().bytes(unscaled(-(10n ** 36n))))).toBe(
      `f: -${'1'.padEnd(35, '0')}.0000 does not fit a decimal(38, 4)`,
    );
  });

  test('decimals in more bytes than they need, or in none', async () => {
    const padded = (sign: number, ...bytes: number[]) =>
      Buffer.concat([Buffer.alloc(30, sign), Buffer.from(bytes)]);
    expect(await read(decimal(9, 2), 'decimal(9,2)', b().bytes(padded(0, 0, 7)))).toBe(7n);
    expect(await read(decimal(9, 2), 'decimal(9,2)', b().bytes(padded(255, 255, 249)))).toBe(-7n);
    expect(await read(decimal(9, 2), 'decimal(9,2)', b().bytes(''))).toBe(0n);
    const fixed = { type: 'fixed', name: 'F', size: 6, logicalType: 'decimal', precision: 14, scale: 3 };
    for (const value of [2n ** 46n - 1n, -(2n ** 46n)])
      expect(
        await read(
          fixed,
          'decimal(15,3)',
          Buffer.from(BigInt.asUintN(48, value).toString(16).padStart(12, '0'), 'hex'),
        ),
      ).toBe(value);
  });

  test('a decimal of millions of digits is refused by its length', async () => {
    expect(await refusal(decimal(9, 2), 'decimal(9,2)', b().bytes(Buffer.alloc(10_000_000, 0x55)))).toBe(
      'f: a number of 10000000 bytes does not fit a decimal(9, 2)',
    );
  });

  test('uuids', async () => {
    const id = '01234567-89ab-cdef-0123-456789abcdef';
    const text = { type: 'string', logicalType: 'uuid' };
    expect(await read(text, 'uuid', b().bytes(id))).toBe(id);
    expect(await read('string', 'uuid', b().bytes(id.toUpperCase()))).toBe(id);
    expect(
      await read({ type: 'fixed', name: 'F', size: 16 }, 'uuid', Buffer.from(id.replaceAll('-', ''), 'hex')),
    ).toBe(id);
    for (const wrong of [
      '',
      id.slice(1),
      `${id}0`,
      id.replace('0', 'g'),
      id.replaceAll('-', ''),
      'x'.repeat(1000),
    ])
      expect(await refusal(text, 'uuid', b().bytes(wrong))).toBe(`f: "${wrong.slice(0, 64)}" is not a uuid`);
  });
});

describe('unions', () => {
  test('with null in either order', async () => {
    expect(await read(['null', 'string'], 'string', b().long(0))).toBeNull();
    expect(await read(['null', 'string'], 'string', b().long(1).bytes('v'))).toBe('v');
    expect(await read(['string', 'null'], 'string', b().long(1))).toBeNull();
    expect(await read(['string', 'null'], 'string', b().long(0).bytes('v'))).toBe('v');
    expect(await read(['string'], 'string', b().long(0).bytes('v'))).toBe('v');
  });

  test('with a branch that is not there', async () => {
    for (const branch of [2, -1, 2 ** 31 - 1])
      expect(await refusal(['null', 'string'], 'string', b().long(branch))).toBe(
        `f: union branch ${branch} does not exist`,
      );
    expect(await refusal(['null', 'string'], 'string', b().long(2n ** 40n))).toBe(
      'f: a number is longer than 32 bits',
    );
  });

  test('null in a required column', async () => {
    expect(await refusal(['null', 'string'], 'string', b().long(0), true)).toBe(
      'f: null in a required column',
    );
    expect(await read('null', 'string', Buffer.alloc(0))).toBeNull();
  });
});

describe('what is not Avro is refused, by the name of the field', () => {
  test.each<[string, Json, Type | string, Buffer | Bytes, string]>([
    [
      'a string that is not UTF-8',
      'string',
      'string',
      b().bytes(Buffer.of(0x61, 0xc3)),
      'f: the string is not UTF-8',
    ],
    [
      'half of a surrogate pair',
      'string',
      'string',
      b().bytes(Buffer.of(0xed, 0xa0, 0x80)),
      'f: the string is not UTF-8',
    ],
    [
      'an overlong character',
      'bytes',
      'string',
      b().bytes(Buffer.of(0xc0, 0x80)),
      'f: the string is not UTF-8',
    ],
    [
      'a string that ends too early',
      'string',
      'string',
      b().long(5).raw(0x61),
      'f: a length of 5 bytes does not fit the 1 bytes left',
    ],
    [
      'a negative length',
      'string',
      'string',
      b().long(-1),
      'f: a length of -1 bytes does not fit the 0 bytes left',
    ],
    ['a length of 3 GB', 'bytes', 'binary', b().long(3_000_000_000), 'f: a number is longer than 32 bits'],
    ['an int of 33 bits', 'int', 'int', b().long(2n ** 31n), 'f: a number is longer than 32 bits'],
    ['an endless int', 'int', 'int', Buffer.alloc(20, 0xff), 'f: a number is longer than 32 bits'],
    ['an endless long', 'long', 'long', Buffer.alloc(20, 0xff), 'f: a number is longer than 64 bits'],
    [
      'a long of 65 bits',
      'long',
      'long',
      b().raw(...new Array(9).fill(0x80), 2),
      'f: a number is longer than 64 bits',
    ],
    ['a boolean of 2', 'boolean', 'boolean', b().raw(2), 'f: 2 is not a boolean'],
    [
      'a missing boolean',
      'boolean',
      'boolean',
      Buffer.alloc(0),
      'f: a length of 1 bytes does not fit the 0 bytes left',
    ],
    [
      'half a double',
      'double',
      'double',
      Buffer.alloc(4),
      'f: a length of 8 bytes does not fit the 4 bytes left',
    ],
    [
      'a float of two bytes',
      'float',
      'double',
      Buffer.alloc(2),
      'f: a length of 4 bytes does not fit the 2 bytes left',
    ],
    [
      'a short fixed',
      { type: 'fixed', name: 'F', size: 3 },
      'fixed[3]',
      Buffer.alloc(2),
      'f: a length of 3 bytes does not fit the 2 bytes left',
    ],
    [
      'an unknown symbol',
      { type: 'enum', name: 'E', symbols: ['A', 'B'] },
      'string',
      b().long(2),
      'f: enum symbol 2 does not exist, there are 2',
    ],
    [
      'a negative symbol',
      { type: 'enum', name: 'E', symbols: ['A', 'B'] },
      'string',
      b().long(-1),
      'f: enum symbol -1 does not exist, there are 2',
    ],
  ])('%s', async (_, avro, type, body, message) => {
    expect(await refusal(avro, type, body)).toBe(message);
  });

  test('a record that ends too early, wherever it ends', async () => {
    const schema = record(
      ['a', 'long'],
      ['b', 'string'],
      ['c', ['null', 'double']],
      ['d', { type: 'array', items: 'int' }],
    );
    const whole = b()
      .long(2n ** 40n)
      .bytes('text')
      .long(1)
      .double(1.5)
      .long(2)
      .long(300)
      .long(-300)
      .long(0).all;
    const list: Type = { kind: 'list', elementId: 0, elementRequired: true, element: { kind: 'int' } };
    const fields = [field('a', 'long'), field('b', 'string'), field('c', 'double'), field('d', list)];
    const table = new Table(new Registry().set(1, schema), fields);
    await table.append(wire(1, whole));
    for (let length = 0; length < whole.length; length++)
      await expect(table.append(wire(1, whole.subarray(0, length))), `cut at ${length}`).rejects.toThrow(
        DecodeError,
      );
    for (let more = 1; more < 12; more++)
      await expect(table.append(wire(1, Buffer.concat([whole, Buffer.alloc(more)])))).rejects.toThrow(
        `${more} bytes are left after the record`,
      );
  });

  test('names fields inside of others', async () => {
    const schema = record([
      'outer',
      {
        type: 'array',
        items: {
          type: 'map',
          values: { type: 'record', name: 'I', fields: [{ name: 'v', type: 'boolean' }] },
        },
      },
    ]);
    const struct: Type = { kind: 'struct', fields: [field('v', 'boolean')] };
    const map: Type = {
      kind: 'map',
      keyId: 0,
      key: { kind: 'string' },
      valueId: 0,
      valueRequired: true,
      value: struct,
    };
    const list: Type = { kind: 'list', elementId: 0, elementRequired: true, element: map };
    const table = new Table(new Registry().set(1, schema), [field('outer', list)]);
    const body = b().long(1).long(1).bytes('key').raw(7);
    await expect(table.append(wire(1, body.all))).rejects.toThrow('outer[]{}.v: 7 is not a boolean');
  });
});

describe('arrays and maps', () => {
  const list = (element: Type | string): Type => ({
    kind: 'list',
    elementId: 0,
    elementRequired: true,
    element: typeof element === 'string' ? parsePrimitiveType(element) : element,
  });
  const map: Type = {
    kind: 'map',
    keyId: 0,
    key: { kind: 'string' },
    valueId: 0,
    valueRequired: true,
    value: { kind: 'int' },
  };
  const ints = { type: 'array', items: 'int' };

  test('in several blocks, with their sizes or without', async () => {
    const blocks = b().long(2).long(1).long(2).long(-1).long(1).long(3).long(1).long(4).long(0);
    expect(await read(ints, list('int'), blocks)).toEqual([1, 2, 3, 4]);
    const pairs = b().long(-1).long(3).bytes('a').long(1).long(1).bytes('b').long(2).long(0);
    expect(await read({ type: 'map', values: 'int' }, map, pairs)).toEqual({ a: 1, b: 2 });
    expect(await read(ints, list('int'), b().long(0))).toEqual([]);
    // A reader that does not skip has no use for the size: also a wrong one does no harm.
    expect(await read(ints, list('int'), b().long(-1).long(99).long(5).long(0))).toEqual([5]);
  });

  test('that are read over', async () => {
    const schema = record(['skipped', ints], ['pairs', { type: 'map', values: 'int' }], ['f', 'int']);
    const body = b().long(2).long(1).long(2).long(-1).long(1).long(3).long(0);
    body.long(-1).long(3).bytes('a').long(1).long(0).long(7);
    const table = new Table(new Registry().set(1, schema), [field('f', 'int')]);
    await table.append(wire(1, body.all));
    expect(table.rows).toEqual([{ f: 7 }]);
  });

  test('of huge counts end with the record', async () => {
    for (const count of [2 ** 31 - 1, -(2 ** 31)]) {
      const body = b().long(count).long(1000).long(1);
      expect(await refusal(ints, list('int'), body)).toMatch(/^f\[\]: the record ends inside (it|a number)$/);
    }
    expect(await refusal(ints, list('int'), b().long(2n ** 31n))).toBe(
      'f[]: a number is longer than 32 bits',
    );
    expect(
      await refusal({ type: 'array', items: 'string' }, list('string'), b().long(1000).bytes('a')),
    ).toMatch(/^f\[\]: /);
  });

  test('of items without content are bounded', async () => {
    const empty = { type: 'array', items: { type: 'record', name: 'E', fields: [] } };
    const struct: Type = { kind: 'struct', fields: [] };
    const startMs = performance.now();
    expect(await read(empty, list(struct), b().long(1000).long(0))).toHaveLength(1000);
    for (const count of [2 ** 31 - 1, -(2 ** 31)])
      expect(await refusal(empty, list(struct), b().long(count).long(0))).toBe(
        `f[]: ${Math.abs(count)} items without content`,
      );
    const blocks = b();
    for (let i = 0; i < 1100; i++) blocks.long(1000);
    expect(await refusal(empty, list(struct), blocks)).toMatch(/^f\[\]: \d+ items without content$/);
    expect(performance.now() - startMs).toBeLessThan(2_000);
  });
});

describe('what is read over', () => {
  const tree: Json = {
    type: 'record',
    name: 'Node',
    fields: [
      { name: 'v', type: 'int' },
      { name: 'next', type: ['null', 'Node'] },
    ],
  };
  const chain = (length: number): Buffer => {
    const body = b();
    for (let i = 1; i < length; i++) body.long(i).long(1);
    return body.long(0).long(0).all;
  };

  test('may contain itself', async () => {
    const table = new Table(new Registry().set(1, record(['tree', tree], ['f', 'int'])), [field('f', 'int')]);
    await table.append(
      ...[1, 2, 100, 500].map((length) => wire(1, Bytes.of(chain(length), b().long(length)))),
    );
    expect(table.rows).toEqual([1, 2, 100, 500].map((f) => ({ f })));
  });

  test('may not be so deep that it takes the stack', async () => {
    const table = new Table(new Registry().set(1, record(['tree', tree], ['f', 'int'])), [field('f', 'int')]);
    for (const length of [501, 1_000_000])
      await expect(table.append(wire(1, Bytes.of(chain(length), b().long(1))))).rejects.toThrow(
        'tree: more than 500 records inside each other',
      );
    // The next record starts from the ground.
    await table.append(wire(1, Bytes.of(chain(500), b().long(1))));
  });

  test('is told once for each schema', async () => {
    const warnings: unknown[] = [];
    const log: Log = { ...silentLog, warn: (message, fields) => warnings.push([message, fields]) };
    const registry = new Registry().set(1, record(['f', 'int'], ['g', 'int'])).set(2, record(['f', 'int']));
    const table = new Table(registry, [field('f', 'int')], log);
    const values = [wire(1, b().long(1).long(2).all), wire(2, b().long(3).all)];
    await table.append(...values, ...values);
    await table.append(...values);
    expect(warnings).toEqual([
      ['fields of the schema have no column and are not landed', { schemaId: 1, fields: ['g'] }],
    ]);
  });
});

describe('the wire format', () => {
  const registry = () =>
    new Registry().set(1, record(['f', 'int'])).set(7, record(['g', 'string'], ['f', 'long']));
  const columns = [field('f', 'long')];

  test('names the schema of each record', async () => {
    const source = registry();
    const table = new Table(source, columns);
    const one = wire(1, b().long(1).all);
    const seven = wire(7, b().bytes('x').long(7).all);
    await table.append(one, seven, seven, one, null, one);
    await table.append(seven, one);
    expect(table.rows).toEqual([1, 7, 7, 1, 1, 7, 1].map((f) => ({ f })));
    expect(source.asked).toEqual([1, 7]);
  });

  test.each([
    ['another first byte', Buffer.of(1, 0, 0, 0, 1, 2), 'found 0x010000000102'],
    ['JSON', Buffer.from('{"f":1234567890}'), 'found 0x7b2266223a313233'],
    ['four bytes', Buffer.of(0, 0, 0, 1), 'found 0x00000001'],
    ['nothing', Buffer.alloc(0), 'found 0x'],
  ])('is missing: %s', async (_, value, found) => {
    await expect(new Table(registry(), columns).append(value)).rejects.toThrow(
      `not in the Confluent wire format: expected a zero byte and a schema id, ${found}`,
    );
  });

  test('with an id that the registry does not have', async () => {
    const source = registry();
    const table = new Table(source, columns);
    await expect(table.append(wire(9, b().long(1).all))).rejects.toThrow(
      new DecodeError('', 'schema 9 is not in the registry'),
    );
    // It may be there later: it is asked again with the next batch.
    source.set(9, record(['f', 'int']));
    await table.append(wire(9, b().long(5).all));
    expect(table.rows.at(-1)).toEqual({ f: 5 });
    expect(source.asked).toEqual([9, 9]);
  });

  test.each([-1, -(2 ** 31)])('with an id that is none: %i', async (id) => {
    const source = registry();
    const table = new Table(source, columns);
    await table.append(wire(1, b().long(1).all)); // whose schema must not be used for what comes
    await expect(table.append(wire(id, b().long(1).all))).rejects.toThrow(
      new DecodeError('', `${id} is not the id of a schema`),
    );
    await expect(table.append(wire(1, b().long(2).all), wire(id, b().long(1).all))).rejects.toThrow(
      DecodeError,
    );
    expect(source.asked).toEqual([1]);
  });

  test('with a schema that is not Avro, is broken, or does not fit the table', async () => {
    const source = new Registry()
      .set(1, { type: 'object' }, [], 'JSON')
      .set(2, record(['f', 'Unknown']))
      .set(3, record(['f', 'string']))
      .set(4, 'int')
      .set(5, record(['g', 'int']));
    const reasons = [
      'schema 1: it is JSON, expected AVRO',
      'schema 2: Avro schema: it refers to Unknown, which nothing defines',
      'schema 3: field f: string cannot go into a column of type long',
      'schema 4: expected a record, the schema is int',
      'schema 5: field f: the column is required, the schema R does not have it',
    ];
    const table = new Table(source, [field('f', 'long', true)]);
    for (const [i, reason] of reasons.entries())
      await expect(table.append(wire(i + 1, Buffer.of(2)))).rejects.toThrow(new DecodeError('', reason));
    expect(table.rows).toEqual([]);
  });

  test.each([
    new TransientError('HTTP 503'),
    new FatalError('HTTP 401: check decode.*.registry.auth'),
    new TypeError('undefined is not a function'),
  ])('never makes records bad when the registry is: %s', async (error) => {
    const table = new Table(new Registry().set(1, error), columns);
    await expect(table.append(wire(1, b().long(1).all))).rejects.toBe(error);
  });

  test('tells the schema', () => {
    const bytes = Buffer.concat([Buffer.of(9, 9), wire(1234, Buffer.alloc(0))]);
    expect(wireSchemaId(bytes, 2, 5)).toBe(1234);
    expect(wireSchemaId(bytes, 2, 4)).toBeUndefined();
    expect(wireSchemaId(bytes, 0, 7)).toBeUndefined();
    expect(wireSchemaId(bytes, 2, -1)).toBeUndefined();
  });

  test('with references to other schemas', async () => {
    const inner: Json = {
      type: 'record',
      name: 'Inner',
      namespace: 'n',
      fields: [{ name: 'v', type: 'int' }],
    };
    const middle: Json = {
      type: 'record',
      name: 'Middle',
      namespace: 'n',
      fields: [{ name: 'inner', type: 'Inner' }],
    };
    const schema = record(['middle', 'n.Middle'], ['direct', ['null', 'n.Inner']]);
    const struct = (...fields: Field[]): Type => ({ kind: 'struct', fields });
    const table = new Table(new Registry().set(1, schema, [inner, middle]), [
      field('middle', struct(field('inner', struct(field('v', 'int'))))),
      field('direct', struct(field('v', 'int'))),
    ]);
    await table.append(wire(1, b().long(1).long(1).long(2).all));
    expect(table.rows).toEqual([{ middle: { inner: { v: 1 } }, direct: { v: 2 } }]);
  });
});

describe('a failed record', () => {
  test('leaves nothing behind once the columns are truncated', async () => {
    const schema = record(
      ['a', 'int'],
      ['b', ['null', { type: 'array', items: 'string' }]],
      ['c', 'boolean'],
    );
    const list: Type = { kind: 'list', elementId: 0, elementRequired: true, element: { kind: 'string' } };
    const table = new Table(new Registry().set(1, schema), [
      field('a', 'int'),
      field('b', list),
      field('c', 'boolean'),
    ]);
    const good = wire(1, b().long(1).long(1).long(2).bytes('x').bytes('y').long(0).raw(1).all);
    const bad = wire(1, b().long(9).long(1).long(2).bytes('p').bytes('q').long(0).raw(9).all);
    await table.append(good);
    await expect(table.append(bad)).rejects.toThrow('c: 9 is not a boolean');
    table.columns.truncate(1);
    await table.append(good);
    expect(table.rows).toEqual(new Array(2).fill({ a: 1, b: ['x', 'y'], c: true }));
  });
});

describe('keys', () => {
  async function key(schema: Json, type: Type | string, body: Bytes): Promise<unknown> {
    const target = field('_key', type);
    const column = makeColumn(target.type, true);
    const decoder = avroKeyDecoder(new Registry().set(3, schema), target, column);
    const bytes = wire(3, body.all);
    const records = batchOf([Buffer.from('the value is something else')], [bytes]);
    await decoder.prepare(records);
    const { view, keyStarts: starts, keyLengths: lengths } = records;
    if (decoder.append({ bytes: records.bytes, view, starts, lengths }, 0, 1) === 0) throw decoder.failure!;
    expect(decoder.unusual, 'values that the generated reader left').toBe(0);
    return valueAt(column, 0, target.type);
  }

  test('are whole values of any type in one column', async () => {
    expect(await key('string', 'string', b().bytes('customer-1'))).toBe('customer-1');
    expect(await key('long', 'long', b().long(12))).toBe(12);
    expect(
      await key(
        { type: 'string', logicalType: 'uuid' },
        'uuid',
        b().bytes('01234567-89ab-cdef-0123-456789abcdef'),
      ),
    ).toBe('01234567-89ab-cdef-0123-456789abcdef');
    const struct: Type = { kind: 'struct', fields: [field('id', 'long'), field('more', 'string')] };
    expect(await key(record(['id', 'int']), struct, b().long(5))).toEqual({ id: 5, more: null });
  });

  test('that are not Avro are refused', async () => {
    await expect(key('string', 'string', b().long(5).raw(1))).rejects.toThrow(
      '_key: a length of 5 bytes does not fit the 1 bytes left',
    );
    await expect(key('boolean', 'string', b().raw(1))).rejects.toThrow(
      'schema 3: field _key: boolean cannot go into a column of type string',
    );
  });
});

test('readers are made once for each schema, not for each record', async () => {
  const registry = new Registry().set(1, record(['f', 'int']));
  const table = new Table(registry, [field('f', 'int')]);
  for (let i = 0; i < 10; i++) await table.append(...new Array(10).fill(wire(1, b().long(i).all)));
  expect(registry.asked).toEqual([1]);
  expect(table.columns.rows).toBe(100);
});
