import avro from 'avsc';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { Columns } from '../../src/arrow/columns.ts';
import { silentLog } from '../../src/base/log.ts';
import { seededRandom } from '../../src/base/random.ts';
import { avroDecoder } from '../../src/decode/avro.ts';
import { fieldsFromAvro } from '../../src/decode/avro-fields.ts';
import { parseAvroSchema } from '../../src/decode/avro-type.ts';
import { DecodeError } from '../../src/decode/decoder.ts';
import type { Form } from '../../src/decode/generate.ts';
import type { Field, StructType } from '../../src/iceberg/types.ts';
import { RecordColumns } from '../../src/kafka/record-columns.ts';
import { valueAt } from '../unit/decode/columns.ts';
import { append, contentsOf, entriesOf } from '../unit/decode/entries.ts';
import { type Json, type Made, Schemas, type Target, Unfit } from './avro-schemas.ts';

/** Longs as bigints: no bit is lost. The library knows a branch of a union by the `typeof` of its values. */
const long = Object.create(
  avro.types.LongType.__with({
    fromBuffer: (buffer: Buffer) => buffer.readBigInt64LE(),
    toBuffer: (value: bigint) => {
      const buffer = Buffer.alloc(8);
      buffer.writeBigInt64LE(value);
      return buffer;
    },
    fromJSON: BigInt,
    toJSON: Number,
    isValid: (value: unknown) => typeof value === 'bigint',
    compare: (a: bigint, b: bigint) => (a < b ? -1 : a > b ? 1 : 0),
  }),
  {
    typeName: { value: 'bigint' },
    _update: {
      value(this: Readable, resolver: Readable, writer: Readable & { typeName: string }) {
        if (writer.typeName === 'int') resolver._read = (tap) => BigInt(writer._read(tap) as number);
        if (writer.typeName === 'bigint') resolver._read = (tap) => this._read(tap);
      },
    },
  },
);

interface Readable {
  _read(tap: unknown): unknown;
}

function avroType(schema: Json): avro.Type {
  const isLong = (part: unknown): boolean => part === 'long' || (part as { type?: unknown }).type === 'long';
  return avro.Type.forSchema(schema as avro.Schema, {
    typeHook: (part) => (isLong(part) ? long : undefined),
  });
}

const schemaId = 42;
const header = Buffer.of(0, 0, 0, 0, schemaId);

/** Columns of a table, with a decoder for one writer schema. */
class Table {
  readonly columns: Columns;
  readonly decoder: ReturnType<typeof avroDecoder>;

  private constructor(fields: readonly Field[], schema: Json, form: Form) {
    this.columns = new Columns({ schemaId: 0, fields });
    const source = { get: async () => ({ type: 'AVRO', text: JSON.stringify(schema), references: [] }) };
    this.decoder = avroDecoder(source, fields, this.columns.columns, silentLog, form);
  }

  static async of(fields: readonly Field[], schema: Json, form: Form = 'generated'): Promise<Table> {
    const table = new Table(fields, schema, form);
    const records = new RecordColumns();
    records.count = 1;
    records.bytes = header;
    records.view = new DataView(header.buffer, header.byteOffset, header.length);
    records.valueLengths[0] = header.length;
    await table.decoder.prepare(records);
    return table;
  }

  row(index: number): unknown[] {
    const { fields } = this.columns.schema;
    return fields.map(({ type }, i) => valueAt(type, this.columns.columns[i]!, index));
  }

  /**
   * What a record becomes, or that it is refused; the same whatever is around it. The generated reader takes it only where
   * something is behind it.
   */
  outcome(record: Buffer): unknown[] | 'refused' {
    const outcomes = [Buffer.alloc(0), Buffer.alloc(64), Buffer.alloc(64, 0xff)].map((around) => {
      const before = this.columns.rows;
      try {
        append(this.decoder, Buffer.concat([header, record]), around);
        return this.row(before);
      } catch (error) {
        if (!(error instanceof DecodeError)) throw error;
        return 'refused' as const;
      } finally {
        this.columns.truncate(before);
      }
    });
    for (const other of outcomes) expect(other).toEqual(outcomes[0]);
    return outcomes[0]!;
  }
}

/** A writer's schema, a table for it, and how `avsc` sees the same. */
interface Case {
  made: Made;
  target: Target;
  fields: readonly Field[];
  writer: avro.Type;
  resolver: unknown;
  reader: avro.Type;
}

function caseOf(made: Made, target: Target): Case {
  const writer = avroType(made.schema);
  const reader = avroType(target.reader);
  return {
    made,
    target,
    fields: (target.type as StructType).fields,
    writer,
    reader,
    resolver: reader.createResolver(writer),
  };
}

function expectedOf({ target, reader, resolver }: Case, encoded: Buffer): unknown {
  try {
    return target.show(reader.fromBuffer(encoded, resolver as never));
  } catch (error) {
    if (error instanceof Unfit) return 'refused';
    throw error;
  }
}

const seed = fc.integer({ min: 0, max: 2 ** 32 - 1 });

test('a table holds what the reference library decodes, whatever the schema and however the table has evolved', async () => {
  let unusual = 0;
  let all = 0;
  await fc.assert(
    fc.asyncProperty(seed, fc.integer({ min: 0, max: 2 }), async (from, depth) => {
      const schemas = new Schemas(seededRandom(from));
      const made = schemas.record(depth);
      if (!schemas.isOdd)
        expect(derived(made.schema)).toEqual((made.targets()[0]!.type as StructType).fields);
      for (const target of made.targets()) {
        const one = caseOf(made, target);
        const table = await Table.of(one.fields, made.schema);
        const closures = await Table.of(one.fields, made.schema, 'closures');
        const encoded = Array.from({ length: 6 }, () => one.writer.toBuffer(made.value(target.type)));
        const expected = encoded.map((record) => {
          const row = expectedOf(one, record);
          expect(table.outcome(record)).toEqual(row);
          return row;
        });
        // All together, with what the table refuses between them.
        const entries = entriesOf(
          encoded.map((record) => Buffer.concat([header, record])),
          Buffer.alloc(16, 0xff),
        );
        const before = table.decoder.unusual;
        for (const { decoder } of [table, closures])
          for (let i = 0; i < encoded.length; i++) i = decoder.append(entries, i, encoded.length);
        unusual += table.decoder.unusual - before;
        all += encoded.length;
        const rows = expected.filter((row) => row !== 'refused');
        expect(rows.map((_, i) => table.row(i))).toEqual(rows);
        expect(table.columns.columns.map(contentsOf)).toEqual(closures.columns.columns.map(contentsOf));
      }
    }),
    { numRuns: 700 },
  );
  expect(unusual / all, 'records that the generated readers left').toBeLessThan(0.1);
}, 60_000);

function derived(schema: Json): Field[] {
  return fieldsFromAvro(parseAvroSchema(JSON.stringify(schema)));
}

/** A varint: of a length or a count that no record has, or just any. */
const varint = fc
  .oneof(
    fc.constantFrom(2n ** 31n - 1n, 2n ** 31n, 2n ** 32n + 2n, 2n ** 63n, 2n ** 64n - 1n, 2n ** 70n),
    fc.bigInt({ min: 0n, max: 2n ** 64n }),
  )
  .map((value) => {
    const bytes: number[] = [];
    for (; value > 127n; value >>= 7n) bytes.push(Number(value & 127n) | 128);
    return Buffer.from([...bytes, Number(value)]);
  });

test('a damaged record is refused or is some record, and never more than its own bytes', async () => {
  await fc.assert(
    fc.asyncProperty(
      seed,
      fc.array(fc.tuple(fc.double({ min: 0, max: 0.9999, noNaN: true }), fc.nat(255)), { maxLength: 4 }),
      fc.option(fc.tuple(fc.double({ min: 0, max: 0.9999, noNaN: true }), varint), { nil: undefined }),
      fc.double({ min: 0, max: 1.2, noNaN: true }),
      async (from, changes, number, length) => {
        const made = new Schemas(seededRandom(from)).record(2);
        const target = made.targets()[1]!;
        const one = caseOf(made, target);
        const { fields, writer } = one;
        const table = await Table.of(fields, made.schema);
        for (let i = 0; i < 3; i++) {
          let encoded = writer.toBuffer(made.value(target.type));
          for (const [at, byte] of changes) encoded[Math.floor(at * encoded.length)] = byte;
          if (number) {
            const at = Math.floor(number[0] * encoded.length);
            encoded = Buffer.concat([encoded.subarray(0, at), number[1], encoded.subarray(at + 1)]);
          }
          const cut = Math.round(length * encoded.length);
          const record = Buffer.concat([
            encoded.subarray(0, cut),
            Buffer.alloc(Math.max(0, cut - encoded.length), 1),
          ]);
          const outcome = table.outcome(record);
          // Whether it is one can be told by the library alone, which accepts less.
          if (outcome === 'refused' || !isReadable(writer, record)) continue;
          expect(outcome).toEqual(expectedOf(one, record));
        }
      },
    ),
    { numRuns: 1000 },
  );
}, 60_000);

function isReadable(type: avro.Type, record: Buffer): boolean {
  try {
    const value = type.fromBuffer(record);
    return type.toBuffer(value).equals(record);
  } catch {
    return false;
  }
}

test('random bytes are refused or are some record', async () => {
  await fc.assert(
    fc.asyncProperty(seed, fc.uint8Array({ maxLength: 200 }), async (from, noise) => {
      const made = new Schemas(seededRandom(from)).record(3);
      const table = await Table.of((made.targets()[0]!.type as StructType).fields, made.schema);
      table.outcome(Buffer.from(noise));
    }),
    { numRuns: 1000 },
  );
}, 60_000);
