/**
 * Records to columns, without Kafka: the lane's decoder beside what avsc and JSON.parse need to make objects of the same
 * bytes, in turns in one process. A figure is what a batch of 500 records takes at the tenth percentile of all its turns:
 * the others shared the core with whatever else ran, or collected garbage.
 *
 *   node bench/decode.ts [--rounds 20] [--megabytes 6] [--only order]
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import { cpus } from 'node:os';
import { parseArgs } from 'node:util';
import avsc from 'avsc';
import { OrderWriter, orderColumns, orderSchema } from '../localstack/orders.ts';
import { systemClock } from '../src/base/clock.ts';
import type { Log } from '../src/base/log.ts';
import { seededRandom } from '../src/base/random.ts';
import { column } from '../src/config/columns.ts';
import { fieldsFromAvro } from '../src/decode/avro-fields.ts';
import { parseAvroSchema } from '../src/decode/avro-type.ts';
import { assignFieldIds } from '../src/iceberg/schema.ts';
import type { Field } from '../src/iceberg/types.ts';
import { RecordColumns } from '../src/kafka/record-columns.ts';
import type { ValueFormat } from '../src/lane/format.ts';
import { metadataFields } from '../src/lane/metadata-columns.ts';
import { isChunk } from '../src/lane/open-file.ts';
import { RowDecoder } from '../src/lane/row-decoder.ts';
import { printTable } from './measure.ts';

const { values: options } = parseArgs({
  options: {
    rounds: { type: 'string', default: '20' },
    megabytes: { type: 'string', default: '6' },
    only: { type: 'string', default: '' },
  },
});
const rounds = Number(options.rounds);
const bytesOfCell = Number(options.megabytes) * 1_000_000;
/** As a producer's batches of 64 KiB have. */
const recordsOfBatch = 500;

const schemaId = 7;
const wireHeader = Buffer.of(0, 0, 0, 0, schemaId);
const silent: Log = { debug() {}, info() {}, warn() {}, error() {} };
const from = { topic: 'orders', partition: 3 };

interface Cell {
  name: string;
  value: ValueFormat;
  /** The schema of the registry. */
  schema: object;
  fields: readonly Field[];
  /** Values per record. */
  values: number;
  record: (i: number) => Buffer;
}

const registry = { url: 'http://registry' };
const avro: ValueFormat = { format: 'avro', registry };
const json: ValueFormat = { format: 'json', envelope: 'none', epoch: 'us' };

function orders(value: ValueFormat): Cell {
  const writer = new OrderWriter();
  const fields = orderColumns.map((raw) => column.read(raw, [], () => {}) as Field);
  const record = (): Buffer => Buffer.from(value.format === 'avro' ? writer.avro(schemaId) : writer.json());
  return { name: `order, ${value.format}`, value, schema: orderSchema, fields, values: 10, record };
}

/** Objects of any schema, written by avsc or JSON.stringify. */
function cell(
  name: string,
  value: ValueFormat,
  schema: object,
  values: number,
  make: (i: number) => object,
): Cell {
  const type = avsc.Type.forSchema(schema as avsc.Schema);
  const fields = fieldsFromAvro(parseAvroSchema(JSON.stringify(schema)));
  const record = (i: number): Buffer =>
    value.format === 'avro'
      ? Buffer.concat([wireHeader, type.toBuffer(make(i))])
      : Buffer.from(JSON.stringify(make(i)));
  return { name: `${name}, ${value.format}`, value, schema, fields, values, record };
}

const wideKinds = ['long', 'string', 'double', 'int', ['null', 'string'], 'boolean'] as const;

function wide(value: ValueFormat, count: number): Cell {
  const fields = Array.from({ length: count }, (_, i) => ({
    name: `field_${i}`,
    type: wideKinds[i % wideKinds.length],
  }));
  const random = seededRandom(7);
  const any = (i: number): unknown => {
    const n = random.below(1_000_000);
    return [n * 1_000_003, `text ${n}`, n / 8, n, n % 3 === 0 ? null : `note ${n}`, n % 2 === 0][
      i % wideKinds.length
    ];
  };
  return cell(`${count} columns`, value, { type: 'record', name: 'Wide', fields }, count, () =>
    Object.fromEntries(fields.map(({ name }, i) => [name, any(i)])),
  );
}

function nested(value: ValueFormat): Cell {
  const address = {
    type: 'record',
    name: 'Address',
    fields: ['street', 'city', 'country'].map((name) => ({ name, type: 'string' })),
  };
  const line = {
    type: 'record',
    name: 'Line',
    fields: [
      { name: 'sku', type: 'string' },
      { name: 'count', type: 'int' },
      { name: 'cents', type: 'long' },
    ],
  };
  const schema = {
    type: 'record',
    name: 'Purchase',
    fields: [
      { name: 'id', type: 'long' },
      { name: 'billing', type: address },
      { name: 'shipping', type: ['null', 'Address'] },
      { name: 'lines', type: { type: 'array', items: line } },
      { name: 'tags', type: { type: 'array', items: 'string' } },
    ],
  };
  const random = seededRandom(9);
  const place = (): object => ({ street: `Street ${random.below(500)}`, city: 'Trondheim', country: 'NO' });
  const item = (): object => ({
    sku: `sku-${random.below(9999)}`,
    count: 1 + random.below(9),
    cents: random.below(1e9),
  });
  return cell('nested', value, schema, 21, (i) => ({
    id: 10_000_000_000 + i,
    billing: place(),
    shipping: i % 2 === 0 ? place() : null,
    lines: [item(), item(), item()],
    tags: ['new', 'gift', 'express', 'web'],
  }));
}

/** The records of a cell, as the reader of record sets hands them out. */
function batchesOf({ record }: Cell): RecordColumns[] {
  const batches: RecordColumns[] = [];
  let bytes = 0;
  for (let n = 0; bytes < bytesOfCell; ) {
    const batch = new RecordColumns();
    const parts: Buffer[] = [];
    let end = 0;
    for (let i = 0; i < recordsOfBatch; i++, n++) {
      const value = record(n);
      // What stands between values in a batch: the headers of one record, and what comes before the next value.
      parts.push(Buffer.alloc(6), value);
      batch.offsets[i] = n;
      batch.timestamps[i] = 1_790_000_000_000 + n;
      batch.keyLengths[i] = -1;
      batch.valueStarts[i] = end + 6;
      batch.valueLengths[i] = value.length;
      end += 6 + value.length;
    }
    batch.count = recordsOfBatch;
    batch.bytes = Buffer.concat([...parts, Buffer.alloc(1)]);
    batch.view = new DataView(batch.bytes.buffer, batch.bytes.byteOffset, batch.bytes.length);
    batches.push(batch);
    bytes += end;
  }
  return batches;
}

function decoderOf({ fields, value, schema: text }: Cell, metadata: boolean): RowDecoder {
  const all = metadata ? [...fields, ...metadataFields] : fields;
  const schema = { schemaId: 0, ...assignFieldIds([...all]) };
  return new RowDecoder({ schema, value, key: { format: 'bytes' }, keyColumn: undefined }, new Map(), {
    clock: systemClock,
    random: seededRandom(1),
    log: silent,
    fetch: async () => Response.json({ schema: JSON.stringify(text) }),
  });
}

let kept: unknown;

function byLibrary({ value, schema }: Cell): (batch: RecordColumns) => void {
  const type = avsc.Type.forSchema(schema as avsc.Schema);
  const read =
    value.format === 'avro'
      ? (bytes: Buffer, start: number, end: number) => type.fromBuffer(bytes.subarray(start + 5, end))
      : (bytes: Buffer, start: number, end: number) => JSON.parse(bytes.toString('utf8', start, end));
  return ({ count, bytes, valueStarts, valueLengths }) => {
    for (let i = 0; i < count; i++) kept = read(bytes, valueStarts[i]!, valueStarts[i]! + valueLengths[i]!);
  };
}

function byDecoder(decoder: RowDecoder): (batch: RecordColumns) => void {
  return (batch) => {
    if (decoder.append(from, batch, 0, batch.count) < batch.count) throw decoder.failure!;
    if (isChunk(decoder.rows)) decoder.rows.truncate(0);
  };
}

interface Result {
  name: string;
  bytes: number;
  values: number;
  /** Nanoseconds per record. */
  columns: number;
  withMetadata: number;
  library: number;
}

async function measure(one: Cell): Promise<Result> {
  const batches = batchesOf(one);
  const bytes =
    batches.reduce((sum, batch) => sum + batch.bytes.length, 0) / batches.length / recordsOfBatch - 6;
  const decoders = [decoderOf(one, false), decoderOf(one, true)];
  for (const decoder of decoders) await decoder.prepare(batches[0]!);
  const ways = [...decoders.map(byDecoder), byLibrary(one)];
  const turns: number[][] = ways.map(() => []);
  for (let round = 0; round < rounds; round++)
    for (const [i, way] of ways.entries())
      for (const batch of batches) {
        const startMs = performance.now();
        way(batch);
        if (round > 0) turns[i]!.push(((performance.now() - startMs) / recordsOfBatch) * 1e6);
      }
  const [columns, withMetadata, library] = turns.map(
    (each) => each.sort((a, b) => a - b)[Math.floor(each.length / 10)]!,
  );
  return {
    name: one.name,
    bytes,
    values: one.values,
    columns: columns!,
    withMetadata: withMetadata!,
    library: library!,
  };
}

const results: Result[] = [];
for (const value of [avro, json]) {
  const cells = [orders(value), wide(value, 10), wide(value, 100), wide(value, 300), nested(value)];
  for (const one of cells) if (one.name.includes(options.only)) results.push(await measure(one));
}
if (kept === undefined) throw new Error('nothing was decoded');
console.log(`Node ${process.versions.node}, ${cpus().length} x ${cpus()[0]?.model}; ns per record\n`);
printTable([
  ['record', 'bytes', 'into columns', 'per value', 'with metadata', 'by the library', 'times less'],
  ...results.map((each) => [
    each.name,
    each.bytes.toFixed(0),
    each.columns.toFixed(0),
    (each.columns / each.values).toFixed(1),
    each.withMetadata.toFixed(0),
    each.library.toFixed(0),
    (each.library / each.columns).toFixed(1),
  ]),
]);
const folder = new URL('results/', import.meta.url);
mkdirSync(folder, { recursive: true });
writeFileSync(new URL('decode.json', folder), JSON.stringify(results, null, 2));
