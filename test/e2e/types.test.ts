import avsc from 'avsc';
import { afterAll, beforeAll, expect, inject, test } from 'vitest';
import { type Row, sorted } from '../tools/canonical.ts';
import { Lake } from '../tools/frazil.ts';
import { java } from '../tools/java.ts';
import { python } from '../tools/python.ts';

/** Every type from a Kafka record to two readers that are not ours, value by value. */

const parts = { brokers: inject('brokers'), registry: inject('registry') };

beforeAll(() => java.call('configure', { brokers: parts.brokers }));
afterAll(async () => {
  await java.close();
  await python.close();
});

async function produce(topic: string, partition: number, values: readonly (Buffer | null)[]): Promise<void> {
  const records = values.map((value, i) => ({
    key: null,
    value: value?.toString('base64') ?? null,
    timestamp: 1_700_000_000_000 + i,
  }));
  await java.call('produce', { topic, partition, records });
}

/** The rows as Java and as PyIceberg see them, without the metadata columns. */
async function readBack(lake: Lake, table: string): Promise<{ java: Row[]; python: Row[] }> {
  const byJava = await java.call<{ rows: Row[] }>('readTable', {
    catalog: lake.javaCatalog,
    name: 'lake',
    table,
  });
  const byPython = await python.call<{ rows: Row[] }>('readTable', {
    catalog: lake.pythonCatalog,
    name: 'lake',
    table,
  });
  return { java: byJava.rows, python: byPython.rows };
}

const hex = (text: string): Buffer => Buffer.from(text, 'hex');
const float = (n: number): string => {
  const bytes = Buffer.alloc(4);
  bytes.writeFloatBE(n);
  return bytes.toString('hex');
};
const double = (n: number): string => {
  const bytes = Buffer.alloc(8);
  bytes.writeDoubleBE(n);
  return bytes.toString('hex');
};

const optional = (type: unknown): unknown[] => ['null', type];

const everything = {
  type: 'record',
  name: 'Everything',
  namespace: 'test',
  fields: [
    { name: 'n', type: 'int' },
    { name: 'flag', type: optional('boolean') },
    { name: 'i', type: optional('int') },
    { name: 'l', type: optional('long') },
    { name: 'f', type: optional('float') },
    { name: 'd', type: optional('double') },
    { name: 'dec', type: optional({ type: 'bytes', logicalType: 'decimal', precision: 9, scale: 2 }) },
    { name: 'big', type: optional({ type: 'bytes', logicalType: 'decimal', precision: 38, scale: 10 }) },
    {
      name: 'decf',
      type: optional({
        type: 'fixed',
        name: 'D18',
        size: 8,
        logicalType: 'decimal',
        precision: 18,
        scale: 4,
      }),
    },
    { name: 'day', type: optional({ type: 'int', logicalType: 'date' }) },
    { name: 'tms', type: optional({ type: 'int', logicalType: 'time-millis' }) },
    { name: 'tus', type: optional({ type: 'long', logicalType: 'time-micros' }) },
    { name: 'tsms', type: optional({ type: 'long', logicalType: 'timestamp-millis' }) },
    { name: 'tsus', type: optional({ type: 'long', logicalType: 'timestamp-micros' }) },
    { name: 'lms', type: optional({ type: 'long', logicalType: 'local-timestamp-millis' }) },
    { name: 'lus', type: optional({ type: 'long', logicalType: 'local-timestamp-micros' }) },
    { name: 's', type: optional('string') },
    { name: 'b', type: optional('bytes') },
    { name: 'id', type: optional({ type: 'string', logicalType: 'uuid' }) },
    { name: 'fx', type: optional({ type: 'fixed', name: 'F5', size: 5 }) },
    { name: 'color', type: optional({ type: 'enum', name: 'Color', symbols: ['RED', 'GREEN'] }) },
    { name: 'tags', type: optional({ type: 'array', items: optional('string') }) },
    { name: 'attrs', type: optional({ type: 'map', values: 'long' }) },
    {
      name: 'addr',
      type: optional({
        type: 'record',
        name: 'Addr',
        fields: [
          { name: 'city', type: 'string' },
          {
            name: 'geo',
            type: optional({ type: 'record', name: 'Geo', fields: [{ name: 'lat', type: 'double' }] }),
          },
        ],
      }),
    },
    {
      name: 'lines',
      type: {
        type: 'array',
        items: {
          type: 'record',
          name: 'Line',
          fields: [
            { name: 'sku', type: 'string' },
            { name: 'qty', type: optional('int') },
            { name: 'notes', type: { type: 'array', items: 'string' } },
          ],
        },
      },
    },
  ],
};

const nothing = Object.fromEntries(everything.fields.map(({ name }) => [name, null]));

/** Avro values beside what readers must see. */
const cases: { avro: Record<string, unknown>; row: Record<string, unknown> }[] = [
  { avro: { ...nothing, n: 0, lines: [] }, row: { ...nothing, n: '0', lines: [] } },
  {
    avro: {
      n: 1,
      flag: true,
      i: 2147483647,
      l: 9223372036854775807n,
      f: 1.5,
      d: -0,
      dec: hex('3b9ac9ff'),
      big: hex('4b3b4ca85a86c47a098a223fffffffff'),
      decf: hex('0de0b6b3a763ffff'),
      day: 19782,
      tms: 86399999,
      tus: 86399999999n,
      tsms: 1700000000123n,
      tsus: 253402300799999999n,
      lms: -1n,
      lus: -62135596800000000n,
      s: 'Grüße 🧊 frazil',
      b: hex('00ff80'),
      id: 'F79C3E09-677C-4BBD-A479-3F349CB785E7',
      fx: hex('0102030405'),
      color: 'GREEN',
      tags: ['a', null, ''],
      attrs: { x: 1n, ä: -1n },
      addr: { city: 'Łódź', geo: { lat: 51.77 } },
      lines: [
        { sku: 'a', qty: 1, notes: ['x', 'y'] },
        { sku: 'b', qty: null, notes: [] },
      ],
    },
    row: {
      n: '1',
      flag: true,
      i: '2147483647',
      l: '9223372036854775807',
      f: float(1.5),
      d: double(-0),
      dec: '9999999.99',
      big: '9999999999999999999999999999.9999999999',
      decf: '99999999999999.9999',
      day: '19782',
      tms: '86399999000',
      tus: '86399999999',
      tsms: '1700000000123000',
      tsus: '253402300799999999',
      lms: '-1000',
      lus: '-62135596800000000',
      s: 'Grüße 🧊 frazil',
      b: '00ff80',
      id: 'f79c3e09-677c-4bbd-a479-3f349cb785e7',
      fx: '0102030405',
      color: 'GREEN',
      tags: ['a', null, ''],
      attrs: [
        ['x', '1'],
        ['ä', '-1'],
      ],
      addr: { city: 'Łódź', geo: { lat: double(51.77) } },
      lines: [
        { sku: 'a', qty: '1', notes: ['x', 'y'] },
        { sku: 'b', qty: null, notes: [] },
      ],
    },
  },
  {
    avro: {
      ...nothing,
      n: -2147483648,
      flag: false,
      i: -2147483648,
      l: -9223372036854775808n,
      f: Number.NaN,
      d: Number.POSITIVE_INFINITY,
      dec: hex('c4653601'),
      big: hex('b4c4b357a5793b85f675ddc000000001'),
      decf: hex('f21f494c589c0001'),
      s: '',
      b: Buffer.alloc(0),
      tags: [],
      attrs: {},
      addr: { city: '', geo: null },
      lines: [],
    },
    row: {
      ...nothing,
      n: '-2147483648',
      flag: false,
      i: '-2147483648',
      l: '-9223372036854775808',
      f: '7fc00000',
      d: double(Number.POSITIVE_INFINITY),
      dec: '-9999999.99',
      big: '-9999999999999999999999999999.9999999999',
      decf: '-99999999999999.9999',
      s: '',
      b: '',
      tags: [],
      attrs: [],
      addr: { city: '', geo: null },
      lines: [],
    },
  },
];

const long = avsc.types.LongType.__with({
  fromBuffer: (bytes: Buffer) => bytes.readBigInt64LE(),
  toBuffer: (n: bigint) => {
    const bytes = Buffer.alloc(8);
    bytes.writeBigInt64LE(n);
    return bytes;
  },
  fromJSON: BigInt,
  toJSON: Number,
  isValid: (n: unknown) => typeof n === 'bigint',
  compare: (a: bigint, b: bigint) => (a === b ? 0 : a < b ? -1 : 1),
});

async function register(subject: string, schema: object): Promise<number> {
  const response = await fetch(`${parts.registry}/subjects/${subject}/versions`, {
    method: 'POST',
    headers: { 'content-type': 'application/vnd.schemaregistry.v1+json' },
    body: JSON.stringify({ schema: JSON.stringify(schema) }),
  });
  expect(response.status).toBe(200);
  return ((await response.json()) as { id: number }).id;
}

function framed(id: number, body: Buffer): Buffer {
  const head = Buffer.alloc(5);
  head.writeInt32BE(id, 1);
  return Buffer.concat([head, body]);
}

test('Avro: all types, nested, null-heavy and extreme, over several partitions and commits', async () => {
  const topic = 'types-avro';
  await java.call('createTopic', { topic, partitions: 3 });
  const id = await register(`${topic}-value`, everything);
  const type = avsc.Type.forSchema(
    everything as avsc.Schema,
    {
      typeHook: (node: unknown) =>
        node === 'long' || (node as { type?: unknown } | null)?.type === 'long' ? long : undefined,
    } as object,
  );
  using lake = new Lake({
    pipeline: topic,
    source: { brokers: [parts.brokers], topics: [topic] },
    decode: { value: { format: 'avro', registry: { url: parts.registry } } },
    tables: [{ table: 'test.everything', topics: [topic], create: true, metadataColumns: false }],
  });
  const bytes = cases.map(({ avro }) => framed(id, type.toBuffer(avro)));
  await produce(topic, 0, bytes);
  await produce(
    topic,
    1,
    Array.from({ length: 500 }, (_, i) => bytes[i % 3]!),
  );
  await lake.catchUp();
  await produce(topic, 2, [bytes[1]!, null, bytes[0]!]);
  const summary = await lake.catchUp();
  expect(summary).toMatchObject({ records: 3, rows: 2, tombstones: 1 });

  const expected = [
    ...cases.map(({ row }) => row),
    ...Array.from({ length: 500 }, (_, i) => cases[i % 3]!.row),
    cases[1]!.row,
    cases[0]!.row,
  ] as Row[];
  const { java: byJava, python: byPython } = await readBack(lake, 'test.everything');
  expect(sorted(byJava)).toEqual(sorted(expected));
  expect(sorted(byPython)).toEqual(sorted(expected));
});

test('JSON: all types from their JSON forms, into a table partitioned by text and day, with keys and metadata', async () => {
  const topic = 'types-json';
  await java.call('createTopic', { topic, partitions: 2 });
  using lake = new Lake({
    pipeline: topic,
    source: { brokers: [parts.brokers], topics: [topic] },
    decode: { key: { format: 'string' }, value: { format: 'json' } },
    tables: [
      {
        table: 'test.json',
        topics: [topic],
        create: true,
        keyColumn: 'k',
        partitionBy: ['region', 'day'],
        schema: [
          { name: 'n', type: 'long', required: true },
          { name: 'region', type: 'string' },
          { name: 'day', type: 'date' },
          { name: 'amount', type: 'decimal(38,3)' },
          { name: 'at', type: 'timestamptz' },
          { name: 'local', type: 'timestamp' },
          { name: 'time', type: 'time' },
          { name: 'id', type: 'uuid' },
          { name: 'raw', type: 'binary' },
          { name: 'ratio', type: 'double' },
          { name: 'ok', type: 'boolean' },
          {
            name: 'addr',
            type: 'struct',
            fields: [
              { name: 'city', type: 'string' },
              { name: 'zip', type: 'int' },
            ],
          },
          { name: 'tags', type: 'list', element: 'string' },
          { name: 'm', type: 'map', key: 'string', value: 'long' },
        ],
      },
    ],
  });
  const values = [
    '{"n":9223372036854775807,"region":"EU west","day":"2024-02-29","amount":12345678901234567890123456789012345.678,"at":"2026-01-01T00:00:00.000001Z","local":"2026-01-01T12:00:00","time":"23:59:59.999999","id":"f79c3e09-677c-4bbd-a479-3f349cb785e7","raw":"AP+A","ratio":0.1,"ok":true,"addr":{"zip":1,"city":"x\\u00e9"},"tags":["a",null],"m":{"x":-1}}',
    '{"n":-9223372036854775808,"region":"EU west","day":"2024-02-29","amount":"-0.001","at":1767225600000}',
    '{ "unknown": {"a":[1,2,{"b":null}]}, "n": 0, "region": null }',
    '{"n":1,"region":"US/east"}',
  ];
  await java.call('produce', {
    topic,
    partition: 0,
    records: values.map((value, i) => ({
      key: i === 2 ? null : Buffer.from(`key-${i}`).toString('base64'),
      value: Buffer.from(value).toString('base64'),
      timestamp: 1_700_000_000_000 + i,
    })),
  });
  await lake.catchUp();
  const blank = {
    amount: null,
    at: null,
    local: null,
    time: null,
    id: null,
    raw: null,
    ratio: null,
    ok: null,
    addr: null,
    tags: null,
    m: null,
  };
  const meta = (offset: number): object => ({
    k: offset === 2 ? null : `key-${offset}`,
    _kafka_topic: topic,
    _kafka_partition: '0',
    _kafka_offset: String(offset),
    _kafka_timestamp: String((1_700_000_000_000 + offset) * 1000),
  });
  const expected = [
    {
      n: '9223372036854775807',
      region: 'EU west',
      day: '19782',
      amount: '12345678901234567890123456789012345.678',
      at: '1767225600000001',
      local: '1767268800000000',
      time: '86399999999',
      id: 'f79c3e09-677c-4bbd-a479-3f349cb785e7',
      raw: '00ff80',
      ratio: double(0.1),
      ok: true,
      addr: { city: 'xé', zip: '1' },
      tags: ['a', null],
      m: [['x', '-1']],
      ...meta(0),
    },
    {
      n: '-9223372036854775808',
      region: 'EU west',
      day: '19782',
      ...blank,
      amount: '-0.001',
      at: '1767225600000000',
      ...meta(1),
    },
    { n: '0', region: null, day: null, ...blank, ...meta(2) },
    { n: '1', region: 'US/east', day: null, ...blank, ...meta(3) },
  ] as Row[];
  const { java: byJava, python: byPython } = await readBack(lake, 'test.json');
  expect(sorted(byJava)).toEqual(sorted(expected));
  expect(sorted(byPython)).toEqual(sorted(expected));
  const { files } = await java.call<{
    files: { path: string; partition: object; recordCount: string | number }[];
  }>('planFiles', {
    catalog: lake.javaCatalog,
    name: 'lake',
    table: 'test.json',
    filter: { op: 'eq', field: 'region', value: 'EU west' },
  });
  expect(files.map(({ recordCount }) => Number(recordCount))).toEqual([2]);
  expect(files[0]!.path).toContain('/region=EU+west/day=2024-02-29/');
});

test("JSON in Kafka Connect's envelope, with its logical types", async () => {
  const topic = 'types-connect';
  await java.call('createTopic', { topic });
  using lake = new Lake({
    pipeline: topic,
    source: { brokers: [parts.brokers], topics: [topic] },
    decode: { value: { format: 'json', envelope: 'connect' } },
    tables: [
      {
        table: 'test.connect',
        topics: [topic],
        create: true,
        metadataColumns: false,
        schema: [
          { name: 'id', type: 'long', required: true },
          { name: 'amount', type: 'decimal(12,2)' },
          { name: 'day', type: 'date' },
          { name: 'at', type: 'timestamptz' },
          { name: 'note', type: 'string' },
        ],
      },
    ],
  });
  const schema = {
    type: 'struct',
    optional: false,
    fields: [
      { field: 'id', type: 'int64', optional: false },
      {
        field: 'amount',
        type: 'bytes',
        optional: true,
        name: 'org.apache.kafka.connect.data.Decimal',
        parameters: { scale: '2' },
      },
      { field: 'day', type: 'int32', optional: true, name: 'org.apache.kafka.connect.data.Date' },
      { field: 'at', type: 'int64', optional: true, name: 'org.apache.kafka.connect.data.Timestamp' },
      { field: 'note', type: 'string', optional: true },
    ],
  };
  const payload = { id: 7, amount: 'AeJA', day: 19782, at: 1_700_000_000_123, note: 'x' };
  await produce(topic, 0, [
    Buffer.from(JSON.stringify({ schema, payload })),
    Buffer.from(JSON.stringify({ schema, payload: { id: 8 } })),
  ]);
  await lake.catchUp();
  const { java: byJava } = await readBack(lake, 'test.connect');
  expect(sorted(byJava)).toEqual(
    sorted([
      { id: '7', amount: '1234.56', day: '19782', at: '1700000000123000', note: 'x' },
      { id: '8', amount: null, day: null, at: null, note: null },
    ] as Row[]),
  );
});

test('a table without rows is one that readers open', async () => {
  const topic = 'types-empty';
  await java.call('createTopic', { topic });
  using lake = new Lake({
    pipeline: topic,
    source: { brokers: [parts.brokers], topics: [topic] },
    decode: { value: { format: 'json' } },
    tables: [{ table: 'test.empty', topics: [topic], create: true, schema: [{ name: 'a', type: 'string' }] }],
  });
  await lake.catchUp();
  expect(await readBack(lake, 'test.empty')).toEqual({ java: [], python: [] });
  await produce(topic, 0, [null, null]);
  expect(await lake.catchUp()).toMatchObject({ records: 2, rows: 0, tombstones: 2, snapshots: 1 });
  expect(await readBack(lake, 'test.empty')).toEqual({ java: [], python: [] });
});
