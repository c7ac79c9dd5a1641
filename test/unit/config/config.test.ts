import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { ConfigError, formatProblem } from '../../../src/base/errors.ts';
import { type Config, loadConfig, parseConfig } from '../../../src/config/config.ts';

const folder = mkdtempSync(join(tmpdir(), 'frazil-config-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** A sound configuration, with some of its lines replaced (by name) or further ones added. */
function config(lines: Record<string, string> = {}): string {
  const all: Record<string, string> = {
    pipeline: 'pipeline: orders',
    source: "source: { brokers: 'kafka:9092', topics: [orders] }",
    decode: 'decode: { value: { format: json } }',
    catalog: 'catalog: { type: sqlite, path: catalog.db, warehouse: wh }',
    tables: 'tables: [{ table: shop.orders, topics: [orders] }]',
    ...lines,
  };
  return Object.values(all)
    .filter((line) => line !== '')
    .join('\n');
}

function parse(text: string, environment: Record<string, string> = {}): Config {
  return parseConfig(text, environment, '/etc/frazil');
}

/** All problems of a text, as they are told; none for a sound one. */
function problems(text: string, environment: Record<string, string> = {}): string[] {
  try {
    parse(text, environment);
    return [];
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    return error.problems.map(formatProblem);
  }
}

test('a short configuration is enough: the rest has defaults', () => {
  expect(parse(config())).toEqual({
    pipeline: 'orders',
    source: {
      brokers: ['kafka:9092'],
      topics: ['orders'],
      groupProtocol: 'auto',
      metadataMaxAge: 60_000,
      rebalanceTimeout: 60_000,
      assignors: ['cooperative-sticky'],
      sessionTimeout: 45_000,
      startAt: 'earliest',
      batchBytesMax: 100_000_000,
      onGap: 'halt',
      onTopicRecreated: 'halt',
      onTruncation: 'halt',
      accessGrace: 15_000,
    },
    decode: {
      key: { format: 'bytes' },
      value: { format: 'json', envelope: 'none', epoch: 'ms' },
      onError: 'halt',
      onTombstone: 'skip',
    },
    catalog: { type: 'sqlite', path: '/etc/frazil/catalog.db', name: 'frazil', warehouse: '/etc/frazil/wh' },
    tables: [
      {
        table: 'shop.orders',
        topics: ['orders'],
        create: false,
        schema: [],
        partitionBy: [],
        metadataColumns: true,
        properties: {},
        onRollback: 'halt',
      },
    ],
    commit: { interval: 60_000, bytes: 134_217_728, rows: 5_000_000 },
    memory: { held: 536_870_912 },
    lanes: 'auto',
    log: { level: 'info', statusInterval: 10_000 },
    shutdown: { grace: 25_000 },
  });
});

test('everything that can be set is taken', () => {
  const text = `
pipeline: orders-eu.1
source:
  brokers: [a:9092, 'b:9093']
  topics: [orders]
  partitions: { orders: [0, 2] }
  startAt: 2026-03-01T12:00:00+02:00
  onGap: skip
  onTopicRecreated: restart
  onTruncation: skip
decode:
  key: { format: string }
  value: { format: json, envelope: connect, epoch: us }
  onError: skip
  onTombstone: halt
catalog: { type: sqlite, path: /var/catalog.db, name: lake, warehouse: file:///var/wh }
tables:
  - table: shop.eu.orders
    topics: [orders]
    create: true
    schema:
      - { name: id, type: long, required: true, doc: the id }
      - { name: price, type: 'decimal(12,2)' }
      - { name: tags, type: list, element: string, elementRequired: true }
      - name: address
        type: struct
        fields: [{ name: city, type: string }]
      - { name: counts, type: map, key: string, value: { type: list, element: int }, valueRequired: true }
    partitionBy: [id, _kafka_topic, key]
    keyColumn: key
    properties: { write.target-file-size-bytes: 1000, owner: me }
    onRollback: replay
commit: { interval: 5m, bytes: 1GB, rows: 10k }
memory: { held: 1GiB }
lanes: 2
log: { level: debug, statusInterval: 1s }
shutdown: { grace: 0s }
`;
  const parsed = parse(text);
  expect(parsed).toMatchObject({
    source: {
      brokers: ['a:9092', 'b:9093'],
      partitions: { orders: [0, 2] },
      startAt: Date.UTC(2026, 2, 1, 10),
      batchBytesMax: 100_000_000,
      onGap: 'skip',
      onTopicRecreated: 'restart',
      onTruncation: 'skip',
    },
    decode: { key: { format: 'string' }, value: { envelope: 'connect', epoch: 'us' }, onError: 'skip' },
    catalog: { path: '/var/catalog.db', name: 'lake', warehouse: 'file:///var/wh' },
    commit: { interval: 300_000, bytes: 1_000_000_000, rows: 10_000 },
    memory: { held: 1_073_741_824 },
    lanes: 2,
    shutdown: { grace: 0 },
  });
  expect(parsed.tables[0]).toMatchObject({
    partitionBy: ['id', '_kafka_topic', 'key'],
    keyColumn: 'key',
    properties: { 'write.target-file-size-bytes': '1000', owner: 'me' },
    schema: [
      { id: 0, name: 'id', required: true, doc: 'the id', type: { kind: 'long' } },
      { id: 0, name: 'price', required: false, type: { kind: 'decimal', precision: 12, scale: 2 } },
      { type: { kind: 'list', elementId: 0, elementRequired: true, element: { kind: 'string' } } },
      {
        type: {
          kind: 'struct',
          fields: [{ id: 0, name: 'city', required: false, type: { kind: 'string' } }],
        },
      },
      {
        type: {
          kind: 'map',
          key: { kind: 'string' },
          valueRequired: true,
          value: { kind: 'list', elementRequired: false, element: { kind: 'int' } },
        },
      },
    ],
  });
});

test('what was read cannot be changed', () => {
  const parsed = parse(config());
  const frozen = (value: unknown): boolean =>
    value === null ||
    typeof value !== 'object' ||
    (Object.isFrozen(value) && Object.values(value).every(frozen));
  expect(frozen(parsed)).toBe(true);
  expect(() => {
    (parsed.source.topics as string[]).push('x');
  }).toThrow(TypeError);
});

const avro = (registry: string): string =>
  config({ decode: `decode: { value: { format: avro, registry: ${registry} } }` });

// Text of a configuration, and all that is told about it.
test.each([
  ['nothing', '', ['missing: expected a mapping']],
  ['a text', 'hello', ['1:1 expected a mapping, found "hello"']],
  ['a list', '- a', ['1:1 expected a mapping, found ["a"]']],
  ['tabs', 'a:\n\t- b', ['2:1 not YAML: Tabs are not allowed as indentation']],
  ['a name twice', `${config()}\npipeline: again`, ['6:1 not YAML: Map keys must be unique']],
  [
    'an open bracket: nothing else is told of such a text',
    `${config()}\nlanes: [`,
    [expect.stringMatching(/^6:\d+ not YAML: /)],
  ],
  [
    'an alias of nothing',
    `${config()}\nlanes: *there`,
    [
      '6:8 not YAML: an alias of an anchor that is not there (fix: put quotes around a value that starts with *)',
    ],
  ],
  [
    'a name that is nearly right',
    `${config()}\ncomit: {}`,
    ['6:1 comit: no such setting (fix: did you mean commit?)'],
  ],
  [
    'a name that is nothing like any',
    `${config()}\nlog: { verbosity: 3 }`,
    ['6:8 log.verbosity: no such setting (fix: known here: level, statusInterval)'],
  ],
  [
    'names of JavaScript objects',
    `${config()}\n__proto__: { pipeline: x }\nconstructor: 1`,
    [
      expect.stringContaining('6:1 __proto__: no such setting'),
      expect.stringContaining('7:1 constructor: no such setting'),
    ],
  ],
  [
    'a missing setting',
    config({ pipeline: '' }),
    ['1:1 pipeline: missing: expected letters, digits, dots, dashes and underscores, at most 100'],
  ],
  [
    'a pipeline name with a blank',
    config({ pipeline: 'pipeline: my orders' }),
    ['1:11 pipeline: expected letters, digits, dots, dashes and underscores, at most 100, found "my orders"'],
  ],
  [
    'a duration without a unit',
    `${config()}\ncommit: { interval: 60 }`,
    ['6:21 commit.interval: expected a duration, found 60 (fix: write it like 60s, 5m or 1h)'],
  ],
  [
    'a duration that is too short',
    `${config()}\ncommit: { interval: 99ms }`,
    ['6:21 commit.interval: expected at least 100ms, found "99ms"'],
  ],
  [
    'a size with an unknown unit',
    `${config()}\nmemory: { held: 1TB }`,
    ['6:17 memory.held: expected a size, found "1TB" (fix: write it like 128MiB or 1GB)'],
  ],
  [
    'a size that is too small',
    `${config()}\nmemory: { held: 1MiB }`,
    ['6:17 memory.held: expected at least 32MiB, found "1MiB"'],
  ],
  ['too many lanes', `${config()}\nlanes: 65`, ['6:8 lanes: expected at most 64, found 65']],
  [
    'lanes that are no number',
    `${config()}\nlanes: many`,
    ['6:8 lanes: expected a whole number, found "many" (fix: write it like 2)'],
  ],
  [
    'an unknown word',
    `${config()}\nlog: { level: warm }`,
    ['6:15 log.level: expected debug, info, warn or error, found "warm" (fix: did you mean warn?)'],
  ],
  [
    'an unknown format',
    config({ decode: 'decode: { value: { format: protobuf } }' }),
    ['3:28 decode.value.format: expected avro or json, found "protobuf"'],
  ],
  [
    'a format without a name',
    config({ decode: 'decode: { value: json }' }),
    ['3:18 decode.value: expected a mapping with format, found "json"'],
  ],
  [
    'no brokers',
    config({ source: 'source: { brokers: [], topics: [orders] }' }),
    ['2:20 source.brokers: expected a list with at least one entry, found []'],
  ],
  [
    'a broker without a port',
    config({ source: "source: { brokers: 'a:9092, b', topics: [orders] }" }),
    ['2:20 source.brokers[1]: expected host:port, found "b"'],
  ],
  [
    'a topic name that Kafka does not have',
    config({ source: "source: { brokers: 'a:1', topics: [orders, 'a b'] }" }),
    [
      '2:44 source.topics[1]: expected a topic name (letters, digits, dots, dashes and underscores), found "a b"',
    ],
  ],
  [
    'a time that is none',
    config({ source: "source: { brokers: 'a:1', topics: [orders], startAt: yesterday }" }),
    [
      '2:54 source.startAt: expected earliest, latest or an ISO 8601 time, found "yesterday" (fix: write it like 2026-03-01T00:00:00Z)',
    ],
  ],
  [
    'a day that no year has',
    config({ source: "source: { brokers: 'a:1', topics: [orders], startAt: 2026-02-30 }" }),
    [expect.stringContaining('expected earliest, latest or an ISO 8601 time, found "2026-02-30"')],
  ],
  [
    'a topic twice, and one for no table',
    config({ source: "source: { brokers: 'a:1', topics: [orders, refunds, orders] }" }),
    [
      '2:44 source.topics[1]: topic refunds goes into no table (fix: name it in the topics of a table, or remove it here)',
      '2:53 source.topics[2]: topic orders is listed twice (fix: remove one)',
    ],
  ],
  [
    'a table for a topic that is not read',
    config({ tables: 'tables: [{ table: shop.orders, topics: [orders, order] }]' }),
    ['5:49 tables[0].topics[1]: topic order is not in source.topics (fix: did you mean orders?)'],
  ],
  [
    'a pattern that is none',
    config({ source: "source: { brokers: 'a:1', topics: [orders], topicsPattern: '*.orders' }" }),
    [
      '2:60 source.topicsPattern: expected a regular expression, found a * that repeats nothing at character 1 of *.orders (fix: write \\* for the character, or .*)',
    ],
  ],
  [
    'a pattern with lookaround',
    config({
      tables: "tables: [{ table: shop.orders, topics: [orders], topicsPattern: '(?!test).*' }]",
    }),
    [
      '5:65 tables[0].topicsPattern: expected a regular expression, found (?! (lookaround, flags and names are not supported) at character 1 of (?!test).* (fix: write (...), and say what is meant instead of what is not)',
    ],
  ],
  [
    'no topics at all',
    config({ source: "source: { brokers: 'a:1' }", tables: 'tables: [{ table: shop.orders }]' }),
    [
      '2:9 source.topics: neither topics nor topicsPattern is given (fix: write topics: [orders], or topicsPattern: shop\\..*)',
      '5:10 tables[0].topics: neither topics nor topicsPattern is given (fix: name topics of source, or write topicsPattern: .* for all)',
    ],
  ],
  [
    'a topic of a table that the pattern does not match, or must not',
    config({
      source: "source: { brokers: 'a:1', topicsPattern: '(shop|__).*' }",
      tables: 'tables: [{ table: shop.orders, topics: [shop.orders, orders, __shop] }]',
    }),
    [
      '5:54 tables[0].topics[1]: topic orders is not in source.topics (fix: add it there)',
      '5:62 tables[0].topics[2]: topic __shop is not in source.topics (fix: add it there)',
    ],
  ],
  [
    'a pattern and a fixed assignment',
    config({
      source:
        "source: { brokers: 'a:1', topics: [orders], partitions: { orders: [0] }, topicsPattern: 'shop\\..*' }",
    }),
    [
      '2:89 source.topicsPattern: a fixed assignment takes topics by name (fix: name them in source.topics, or remove source.partitions)',
    ],
  ],
  [
    'partitions of other topics',
    config({ source: "source: { brokers: 'a:1', topics: [orders], partitions: { order: [0] } }" }),
    [
      '2:57 source.partitions: topic orders has no partitions here (fix: write orders: [0, 1, ...])',
      '2:59 source.partitions.order: topic order is not in source.topics',
    ],
  ],
  [
    'a partition that is no number',
    config({ source: "source: { brokers: 'a:1', topics: [orders], partitions: { orders: [-1] } }" }),
    [expect.stringContaining('source.partitions.orders[0]: expected a whole number')],
  ],
  [
    'a catalog of another kind',
    config({ catalog: 'catalog: { type: hive }' }),
    ['4:18 catalog.type: expected sqlite, postgres, glue or rest, found "hive"'],
  ],
  [
    'a catalog without its file',
    config({ catalog: 'catalog: { type: sqlite }' }),
    [
      '4:10 catalog.path: missing: expected a path',
      '4:10 catalog.warehouse: missing: expected a folder or an s3:// URI',
    ],
  ],
  [
    'a table without a namespace',
    config({ tables: 'tables: [{ table: orders, topics: [orders] }]' }),
    ['5:19 tables[0].table: expected namespace.table, such as shop.orders, found "orders"'],
  ],
  [
    'no tables',
    config({ tables: 'tables: []' }),
    ['5:9 tables: expected a list with at least one entry, found []'],
  ],
  [
    'a table twice',
    config({
      tables: 'tables: [{ table: shop.orders, topics: [orders] }, { table: shop.orders, topics: [orders] }]',
    }),
    ['5:61 tables[1].table: table shop.orders is listed twice (fix: put all its topics into one entry)'],
  ],
  [
    'true or false by another name',
    config({ tables: 'tables: [{ table: shop.orders, topics: [orders], create: maybe }]' }),
    ['5:58 tables[0].create: expected true or false, found "maybe"'],
  ],
  [
    'a JSON table to be made without columns',
    config({ tables: 'tables: [{ table: shop.orders, topics: [orders], create: true }]' }),
    [
      '5:58 tables[0].create: JSON does not tell the columns of a table (fix: give its schema, or create the table yourself)',
    ],
  ],
  [
    'columns for an Avro table',
    config({
      decode: "decode: { value: { format: avro, registry: { url: 'http://r' } } }",
      tables: 'tables: [{ table: shop.orders, topics: [orders], schema: [{ name: a, type: int }] }]',
    }),
    ['5:58 tables[0].schema: an Avro table gets its columns from the Avro schema (fix: remove schema)'],
  ],
  [
    'a column twice, and one of our own',
    config({
      tables:
        'tables: [{ table: shop.orders, topics: [orders], keyColumn: k, schema: [{ name: a, type: int }, { name: a, type: int }, { name: _kafka_offset, type: long }, { name: k, type: int }] }]',
    }),
    [
      '5:105 tables[0].schema[1].name: column a is listed twice (fix: rename one)',
      '5:129 tables[0].schema[2].name: column _kafka_offset is filled by frazil itself (fix: rename it)',
      '5:166 tables[0].schema[3].name: column k is filled by frazil itself (fix: rename it)',
    ],
  ],
  [
    'partitions by a column that is not there, and by one twice',
    config({
      tables:
        'tables: [{ table: shop.orders, topics: [orders], create: true, schema: [{ name: region, type: string }], partitionBy: [reggion, region, region] }]',
    }),
    [
      '5:120 tables[0].partitionBy[0]: there is no column reggion (fix: did you mean region?)',
      '5:137 tables[0].partitionBy[2]: it is named twice',
    ],
  ],
  [
    'partitions by columns that cannot divide a table',
    config({
      tables:
        'tables: [{ table: shop.orders, topics: [orders], create: true, schema: [{ name: u, type: uuid }, { name: l, type: list, element: int }, { name: s, type: string }], partitionBy: [u, l, s] }]',
    }),
    [
      '5:179 tables[0].partitionBy[0]: a uuid cannot be a partition value',
      '5:182 tables[0].partitionBy[1]: a list<int> cannot be a partition value',
    ],
  ],
  [
    'partitions by transforms that cannot be',
    config({
      tables:
        'tables: [{ table: shop.orders, topics: [orders], create: true, schema: [{ name: ts, type: timestamptz }, { name: s, type: string }], partitionBy: ["day(s)", "hour(tss)", "bucket(4, s)", "bucket(ts)", "day(_kafka_timestamp)"] }]',
    }),
    [
      '5:148 tables[0].partitionBy[0]: day takes date, timestamp or timestamptz, and the column is a string',
      '5:158 tables[0].partitionBy[1]: there is no column tss (fix: did you mean ts?)',
      '5:187 tables[0].partitionBy[3]: bucket needs a number and a column: bucket(16, code)',
    ],
  ],
  [
    'partitions of an Avro table, whose columns are not known yet',
    config({
      decode: 'decode: { value: { format: avro, registry: { url: "http://r" } } }',
      tables:
        'tables: [{ table: shop.orders, topics: [orders], create: true, partitionBy: ["day(ts)", "week(ts)", "hour(_kafka_offset)"] }]',
    }),
    [
      '5:89 tables[0].partitionBy[1]: there is no transform week; known are year, month, day, hour, bucket and truncate',
      '5:101 tables[0].partitionBy[2]: hour takes timestamp or timestamptz, and the column is a long',
    ],
  ],
  [
    'partitions by a metadata column of a table that has none',
    config({
      tables:
        'tables: [{ table: shop.orders, topics: [orders], create: true, metadataColumns: false, schema: [{ name: a, type: int }], partitionBy: [_kafka_topic] }]',
    }),
    ['5:136 tables[0].partitionBy[0]: there is no column _kafka_topic'],
  ],
] as [string, string, unknown[]][])('%s', (_what, text, expected) => {
  expect(problems(text)).toEqual(expected);
});

const known =
  'boolean, int, long, float, double, decimal(12,2), date, time, timestamp, timestamptz, string, uuid, fixed[16], binary, struct, list, map';

test.each([
  [
    '{ name: a, type: strng }',
    'schema[0].type: type "strng" is not a type of Iceberg format version 2 (fix: did you mean string?)',
  ],
  ['{ name: a, type: 5 }', `schema[0].type: expected a type, found 5 (fix: known: ${known})`],
  ['{ name: a }', `schema[0].type: missing: expected a type (fix: known: ${known})`],
  [
    "{ name: a, type: 'decimal(40,2)' }",
    'schema[0].type: type decimal(40,2): precision must be between 1 and 38 (fix: did you mean decimal(12,2)?)',
  ],
  ['{ type: int }', 'schema[0].name: missing: expected a name'],
  ["{ name: '', type: int }", 'schema[0].name: missing: expected a name'],
  [
    'a',
    'schema[0]: expected a column, found "a" (fix: write it like { name: order_id, type: long, required: true })',
  ],
  [
    '{ name: a, type: int, requird: true }',
    'schema[0].requird: a int column has no requird (fix: did you mean required?)',
  ],
  ['{ name: a, type: int, required: 3 }', 'schema[0].required: expected true or false, found 3'],
  [
    '{ name: a, type: struct }',
    'schema[0]: a struct needs fields (fix: write fields: [{ name: ..., type: ... }])',
  ],
  [
    '{ name: a, type: struct, fields: [{ name: b }] }',
    `schema[0].fields[0].type: missing: expected a type (fix: known: ${known})`,
  ],
  [
    '{ name: a, type: list }',
    'schema[0]: a list needs element (fix: write element: string, or element: { type: ... })',
  ],
  [
    '{ name: a, type: list, element: { type: lst } }',
    'schema[0].element.type: type "lst" is not a type of Iceberg format version 2 (fix: did you mean list?)',
  ],
  [
    '{ name: a, type: map, value: int }',
    'schema[0]: a map needs key (fix: write key: string, or key: { type: ... })',
  ],
  [
    '{ name: a, type: map, key: int, value: int, element: int }',
    'schema[0].element: a map column has no element',
  ],
])('the column %s is wrong', (column, problem) => {
  const text = config({ tables: `tables: [{ table: shop.orders, topics: [orders], schema: [${column}] }]` });
  const told = problems(text);
  expect(told).toHaveLength(1);
  expect(told[0]!.replace(/^\d+:\d+ tables\[0\]\./, '')).toBe(problem);
  expect(told[0]).toMatch(/^5:\d+ /);
});

test('patterns of topics are ready to be used', () => {
  const { source, tables } = parse(
    config({
      source: "source: { brokers: 'a:1', topicsPattern: 'shop\\..*' }",
      tables: "tables: [{ table: shop.orders, topicsPattern: '.*\\.orders' }]",
    }),
  );
  expect(source.topics).toEqual([]);
  expect(source.topicsPattern?.matches('shop.orders')).toBe(true);
  expect(source.topicsPattern?.matches('shoporders')).toBe(false);
  expect(tables[0]?.topicsPattern?.matches('shop.orders')).toBe(true);
});

test('all problems are told at once, in the order of the file', () => {
  const text = `pipelin: p
source:
  brokers: []
  topics: orders
decode:
  value:
    format: jsn
catalog: { type: glue }
tables:
  - table: orders
    topics: [a b]
commit:
  interval: 5
`;
  expect(problems(text).map((problem) => problem.split(' ', 2).join(' '))).toEqual([
    '1:1 pipelin:',
    '1:1 pipeline:',
    '3:12 source.brokers:',
    '4:11 source.topics:',
    '7:13 decode.value.format:',
    '8:10 catalog.warehouse:',
    '10:12 tables[0].table:',
    '11:14 tables[0].topics[0]:',
    '13:13 commit.interval:',
  ]);
});

test('variables of the environment are put in, with defaults and as any type', () => {
  const text = config({
    pipeline: `pipeline: \${NAME}-\${STAGE:dev}`,
    source: `source:\n  brokers: \${BROKERS}\n  topics: [orders]\n  startAt: \${START:latest}`,
    tables: `tables: [{ table: shop.orders, topics: [orders], create: "\${CREATE:false}", properties: { a: "$\${NAME}", b: "\${EMPTY:}" } }]`,
    commit: `commit: { interval: "\${INTERVAL}", rows: "\${ROWS}" }`,
    lanes: `lanes: \${LANES}`,
  });
  const parsed = parse(text, { NAME: 'p', BROKERS: 'a:1, b:2', INTERVAL: '5s', ROWS: '10k', LANES: '3' });
  expect(parsed.pipeline).toBe('p-dev');
  expect(parsed.source.brokers).toEqual(['a:1', 'b:2']);
  expect(parsed.source.startAt).toBe('latest');
  expect(parsed.tables[0]!.create).toBe(false);
  expect(parsed.tables[0]!.properties).toEqual({ a: `\${NAME}`, b: '' });
  expect([parsed.commit.interval, parsed.commit.rows, parsed.lanes]).toEqual([5_000, 10_000, 3]);
});

test('a variable is a value, never YAML', () => {
  const text = config({
    tables: `tables: [{ table: shop.orders, topics: [orders], properties: { a: "\${A}" } }]`,
  });
  const parsed = parse(text, { A: `x, b: { c: \${PATH} }` });
  expect(parsed.tables[0]!.properties).toEqual({ a: `x, b: { c: \${PATH} }` });
});

test('a variable that is not set is told once, where it stands', () => {
  const text = config({
    commit: `commit: { interval: "\${INTERVAL}", rows: "\${ROWS}" }`,
    lanes: 'lanes: 0',
  });
  expect(problems(text)).toEqual([
    `6:21 environment variable INTERVAL is not set (fix: set it, or give a default: \${INTERVAL:value})`,
    `6:42 environment variable ROWS is not set (fix: set it, or give a default: \${ROWS:value})`,
    '7:8 lanes: expected at least 1, found 0',
  ]);
});

test('names that look like numbers stay as they are written', () => {
  const text = config({
    pipeline: 'pipeline: 1.10',
    source: "source: { brokers: 'a:1', topics: [007, 1e3, 42] }",
    tables:
      'tables: [{ table: shop.orders, topics: [007, 1e3, 42], properties: { version: 1.0, on: true } }]',
  });
  const parsed = parse(text);
  expect(parsed.pipeline).toBe('1.10');
  expect(parsed.source.topics).toEqual(['007', '1e3', '42']);
  expect(parsed.tables[0]!.properties).toEqual({ version: '1.0', on: 'true' });
  expect(parse(`${config()}\ncommit: { rows: 1e6 }`).commit.rows).toBe(1_000_000);
});

test.each([
  ['2026-03-01', Date.UTC(2026, 2, 1)],
  ['2026-03-01T12:30', Date.UTC(2026, 2, 1, 12, 30)],
  ['2026-03-01T12:30:05.25', Date.UTC(2026, 2, 1, 12, 30, 5, 250)],
  ['2026-03-01T12:30Z', Date.UTC(2026, 2, 1, 12, 30)],
  ['2026-03-01T12:30-05:00', Date.UTC(2026, 2, 1, 17, 30)],
  ['2024-02-29', Date.UTC(2024, 1, 29)],
])('reading starts at %s, whatever the zone of the machine', (time, ms) => {
  const text = config({ source: `source: { brokers: 'a:1', topics: [orders], startAt: ${time} }` });
  const zone = process.env['TZ'];
  try {
    for (const name of ['UTC', 'America/New_York', 'Asia/Kolkata']) {
      process.env['TZ'] = name;
      expect(parse(text).source.startAt).toBe(ms);
    }
  } finally {
    if (zone === undefined) delete process.env['TZ'];
    else process.env['TZ'] = zone;
  }
});

test('an anchor can be used again', () => {
  const text = config({ commit: 'commit: &c { interval: &i 5s }', shutdown: 'shutdown: { grace: *i }' });
  expect(parse(text).shutdown.grace).toBe(5_000);
});

// ---- secrets ----

const secret = 'hunter2-Geheimnis';

test('secrets come from the text, the environment or files, and files stand beside the configuration', () => {
  writeFileSync(join(folder, 'token'), `${secret}\n`);
  writeFileSync(join(folder, 'password'), secret);
  const registryOf = (auth: string, environment = {}): unknown => {
    const text = avro(`{ url: 'http://r:8081', auth: ${auth} }`);
    return parseConfig(text, environment, folder).decode.value;
  };
  const expected = (auth: object): object => ({ format: 'avro', registry: { url: 'http://r:8081', auth } });
  expect(registryOf(`{ token: ${secret} }`)).toEqual(expected({ token: secret }));
  expect(registryOf(`{ token: "\${TOKEN}" }`, { TOKEN: secret })).toEqual(expected({ token: secret }));
  expect(registryOf('{ token: { file: token } }')).toEqual(expected({ token: secret }));
  expect(registryOf(`{ token: { file: ${folder}/token } }`)).toEqual(expected({ token: secret }));
  const user = expected({ username: 'me', password: secret });
  expect(registryOf('{ username: me, password: { file: password } }')).toEqual(user);
  expect(registryOf('{ username: me, password: 0123 }')).toEqual(
    expected({ username: 'me', password: '0123' }),
  );
  expect(parse(avro("{ url: 'http://r:8081' }")).decode.value).toEqual({
    format: 'avro',
    registry: { url: 'http://r:8081' },
  });
});

test('the key’s registry has secrets of its own', () => {
  const registry = (token: string): string =>
    `{ format: avro, registry: { url: 'http://r', auth: { token: ${token} } } }`;
  const { decode } = parse(config({ decode: `decode: { key: ${registry('k')}, value: ${registry('v')} }` }));
  expect(
    [decode.key, decode.value].map((format) => format.format === 'avro' && format.registry.auth),
  ).toEqual([{ token: 'k' }, { token: 'v' }]);
});

test('a secret file that is missing or empty is told with its place', () => {
  writeFileSync(join(folder, 'empty'), '\n');
  const told = (file: string): string[] => {
    try {
      parseConfig(avro(`{ url: 'http://r', auth: { token: { file: ${file} } } }`), {}, folder);
      return [];
    } catch (error) {
      return (error as ConfigError).problems.map(formatProblem);
    }
  };
  expect(told('nowhere')).toEqual([
    expect.stringMatching(
      /^3:\d+ decode\.value\.registry\.auth\.token\.file: the secret cannot be read: ENOENT/,
    ),
  ]);
  expect(told('empty')).toEqual([
    expect.stringMatching(
      /^3:\d+ decode\.value\.registry\.auth\.token\.file: the file of the secret is empty$/,
    ),
  ]);
});

test.each([
  ['in the place of user and password', `{ url: 'http://r', auth: '${secret}' }`],
  ['in a list', `{ url: 'http://r', auth: { username: me, password: [${secret}] } }`],
  ['in a mapping', `{ url: 'http://r', auth: { username: me, password: { text: ${secret} } } }`],
  ['beside a misspelt name', `{ url: 'http://r', auth: { user: me, password: ${secret} } }`],
  ['under a misspelt name', `{ url: 'http://r', auth: { username: me, pasword: ${secret} } }`],
  ['after a star', `{ url: 'http://r', auth: { token: *${secret} } }`],
  ['after an at sign', `{ url: 'http://r', auth: { token: @${secret} } }`],
  ['after an exclamation mark', `{ url: 'http://r', auth: { token: !${secret} } }`],
  ['behind a quote', `{ url: 'http://r', auth: { token: "a" ${secret} } }`],
  ['with a bad escape', `{ url: 'http://r', auth: { token: "\\U${secret}" } }`],
  ['in a URL', `{ url: 'http://me:${secret}@r' }`],
  ['in a URL of another scheme', `{ url: 'ftp://me:${secret}@r' }`],
  ['in a URL in the place of the registry', `'http://me:${secret}@r'`],
  ['as nothing', "{ url: 'http://r', auth: { token: '' } }"],
])('a secret %s is refused and not told', (_where, registry) => {
  const told = problems(avro(registry)).join('\n');
  expect(told).not.toBe('');
  expect(told).not.toContain('hunter2');
});

test('a secret on a line of its own is not told when its YAML is wrong', () => {
  for (const line of [`|${secret}`, `>${secret}`, `]${secret}`, `"${secret}`]) {
    const told = problems(`${config()}\nshutdown:\n  grace: ${line}\n`).join('\n');
    expect(told).toContain('not YAML');
    expect(told).not.toContain('hunter2');
  }
});

// ---- files ----

test('a configuration is read from a file, and its paths are relative to it', () => {
  const file = join(folder, 'frazil.yaml');
  writeFileSync(file, config());
  const loaded = loadConfig(file, {});
  expect(loaded.catalog).toMatchObject({ path: join(folder, 'catalog.db'), warehouse: join(folder, 'wh') });
  writeFileSync(file, `${config()}\nlanes: 0\n`);
  expect(() => loadConfig(file, {})).toThrow(
    new ConfigError([{ path: 'lanes', line: 6, column: 8, message: 'expected at least 1, found 0' }], file),
  );
});

test('a file that is not there is a problem of the configuration', () => {
  const file = join(folder, 'nowhere.yaml');
  const loading = (): unknown => loadConfig(file, {});
  expect(loading).toThrow(ConfigError);
  expect(loading).toThrow(`reading configuration ${file}: 1 problem\n  ENOENT: no such file or directory`);
  expect(loading).toThrow('(fix: name the file with -c)');
});
