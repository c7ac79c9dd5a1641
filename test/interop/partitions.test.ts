import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Table } from '../../src/catalog/catalog.ts';
import { defaultSpec } from '../../src/iceberg/metadata.ts';
import { type PartitionSpec, specToJson } from '../../src/iceberg/partition-spec.ts';
import { type Schema, schemaToJson } from '../../src/iceberg/schema.ts';
import { type Field, parsePrimitiveType } from '../../src/iceberg/types.ts';
import { PartitionRouter } from '../../src/lane/partition-router.ts';
import { type Canonical, type Row, sorted } from '../tools/canonical.ts';
import { java } from '../tools/java.ts';
import { python } from '../tools/python.ts';
import type { Repl } from '../tools/repl.ts';
import { columnsOf } from '../unit/arrow/rows.ts';
import { duckRows, Lake, type Planned, plannedBy, readers, rowsBy, schemaOf } from './tables-lake.ts';

/** Tables divided by transforms: each row in the file of its partition, as Java has it, and filters that open just those. */

let lake: Lake;
beforeAll(async () => {
  lake = await Lake.open();
});
afterAll(async () => {
  await lake[Symbol.asyncDispose]();
  await java.close();
  await python.close();
});

/** Rows go where the lane would put them: a file for each partition. */
async function appendRouted(table: Table, rows: readonly Row[]): Promise<Table> {
  const schema = schemaOf(table);
  const router = new PartitionRouter(defaultSpec(table.metadata), schema, columnsOf(schema, rows));
  const groups = router
    .group()
    .map((group) => [group.partition, [...group.rows].map((row) => rows[row]!)] as const);
  return lake.appendPartitions(table, groups);
}

type Partition = Record<string, Canonical>;

async function partitionsBy(tool: Repl, table: Table, rows: readonly Row[]): Promise<Partition[]> {
  const [schema, spec] = [schemaToJson(schemaOf(table)), specToJson(defaultSpec(table.metadata))];
  const { partitions } = await tool.call<{ partitions: { partition: Partition }[] }>('partition', {
    schema,
    spec,
    rows,
  });
  return partitions.map(({ partition }) => partition);
}

/** What both libraries plan, with the partitions that each makes of the rows in our files. */
async function checkPartitions(table: Table): Promise<Planned[]> {
  const planned = await plannedBy(java, table);
  for (const [name, tool] of readers) {
    for (const file of await plannedBy(tool, table)) {
      const rows = lake.written.get(file.path);
      if (!rows) continue; // another's
      for (const partition of await partitionsBy(tool, table, rows))
        expect(partition, `${name} ${file.path}`).toEqual(file.partition);
    }
  }
  return planned;
}

const micros = [
  ...['0', '-1', '1', '3599999999', '3600000000', '-3600000000', '-3600000001', '86400000000'],
  ...['1510871468000001', '1510871468999999', '-62000000000000000', '253402200799999999'],
];
const days = ['0', '-1', '30', '31', '-365', '-366', '17486', '17500', '11016', '-718000', '2931000'];
const whole = ['0', '1', '-1', '9', '10', '-10', '-11', '34', '2147483640', '-2147483640'];
const texts = ['', 'a', 'ab', 'abc', 'abd', 'iceberg', 'größe', '日本語', '\u{1f9ca}x', '\u{1f9ca}y', 'null'];
const moments = ['year', 'month', 'day', 'hour', 'bucket[5]', 'void'];
const cases: [string, string[], Canonical[], (value: string) => string][] = [
  ['int', ['bucket[5]', 'truncate[10]', 'void'], whole, (n) => n],
  ['long', ['bucket[5]', 'truncate[10]'], [...whole, '9223372036854775807', '-9007199254740993'], (n) => n],
  [
    'decimal(9, 2)',
    ['bucket[5]', 'truncate[50]'],
    ['14.20', '-14.20', '0.00', '0.49', '0.50', '-0.01', '1.27', '1.28'],
    (n) => `${n}::DECIMAL(9, 2)`,
  ],
  [
    'decimal(38, 10)',
    ['bucket[5]', 'truncate[1000]'],
    [`${'9'.repeat(28)}.9999999999`, '-0.0000000001', '0.0000000001', '18446744073709551616.0000000000'],
    (n) => `'${n}'::DECIMAL(38, 10)`,
  ],
  ['date', moments.filter((each) => each !== 'hour'), days, (n) => `(DATE '1970-01-01' + (${n}))::DATE`],
  [
    'time',
    ['bucket[5]'],
    ['0', '81068000000', '86399999999'],
    (n) => `(TIME '00:00:00' + to_microseconds(${n}))`,
  ],
  ['timestamp', moments, micros, (n) => `make_timestamp(${n})`],
  ['timestamptz', moments, micros, (n) => `make_timestamptz(${n})`],
  ['string', ['bucket[5]', 'truncate[2]'], texts, (text) => `'${text}'`],
  [
    'uuid',
    ['bucket[5]'],
    ['f79c3e09-677c-4bbd-a479-3f349cb785e7', '00000000-0000-0000-0000-000000000000'],
    (text) => `'${text}'::UUID`,
  ],
  [
    'binary',
    ['bucket[5]', 'truncate[2]'],
    ['', '00', '0001', '000102', 'ffff00', 'ffff01'],
    (hex) => `unhex('${hex}')`,
  ],
  ['fixed[2]', ['bucket[5]'], ['0001', 'ffff'], (hex) => `unhex('${hex}')`],
];
/**
 * Java's library opens a further partition where old versions of it counted one too many: those before 1970 used to be
 * rounded up (ProjectionUtil.fixInclusiveTimeProjection).
 */
function openedToo(tool: Repl, transform: string, type: string, part: Canonical): string[] {
  const isOfTime =
    ['year', 'month', 'day', 'hour'].includes(transform) && !(type === 'date' && transform === 'day');
  if (tool !== java || !isOfTime || part === null || BigInt(part as string) >= 0n) return [];
  return [String(BigInt(part as string) + 1n)];
}

/** Filters of which DuckDB 1.5.5 makes the wrong partition, or none, in tables of Java's too: test/tools/README.md. */
function isBeyondDuckDb(type: string, transform: string, value: Canonical): boolean {
  if (type === 'uuid') return transform.startsWith('bucket');
  if (type.startsWith('timestamp'))
    return ['day', 'month'].includes(transform) && String(value).startsWith('-');
  const is64Bits = value === null || String(value).length <= 19;
  return (
    transform.startsWith('truncate') &&
    type.startsWith('decimal') &&
    !(is64Bits && !String(value).startsWith('-'))
  );
}

const fields = (type: string): Field[] => [
  { id: 0, name: 'c', required: false, type: parsePrimitiveType(type) },
  { id: 0, name: 'n', required: true, type: { kind: 'long' } },
];

describe('a table divided by', () => {
  test.each(
    cases.flatMap(([type, transforms, values, literal]) =>
      transforms.map((transform) => [transform, type, values, literal] as const),
    ),
  )(
    '%s of a %s is read by all, and filters open the files they must and no others',
    async (transform, type, values, literal) => {
      const spec = (schema: Schema): PartitionSpec => ({
        specId: 0,
        fields: [{ sourceId: schema.fields[0]!.id, fieldId: 1000, name: 'c_part', transform }],
      });
      // Without bounds of columns nothing but partitions can keep a file from being opened.
      const properties = { 'write.metadata.metrics.default': 'none' };
      const name = `${transform} ${type}`;
      let table = await lake.create(name, { fields: fields(type), spec, properties });
      const rows = [...values, null, ...values].map((c, i): Row => ({ c, n: String(i) }));
      table = await appendRouted(table, rows);
      const planned = await checkPartitions(table);
      const partitions = await partitionsBy(java, table, rows);
      expect(planned).toHaveLength(new Set(partitions.map(({ c_part }) => c_part)).size);
      for (const [, tool] of readers) expect(await rowsBy(tool, table)).toEqual(sorted(rows));
      expect(await duckRows(table)).toEqual(sorted(rows));

      for (const [i, value] of [...values, null].entries()) {
        if (value !== null && i % 4 !== 1) continue; // a few are enough: all have been compared above
        const filter = value === null ? { op: 'is-null', field: 'c' } : { op: 'eq', field: 'c', value };
        const expected = sorted(rows.filter(({ c }) => c === value));
        for (const [reader, tool] of readers) {
          const opened = await plannedBy(tool, table, { filter });
          const what = `${reader} ${JSON.stringify(filter)}`;
          const part = partitions[i]!['c_part']!;
          const parts = new Set([part, ...openedToo(tool, transform, type, part)]);
          const inTable = [...new Set(partitions.map(({ c_part }) => c_part!))];
          expect(opened.map(({ partition }) => partition['c_part']).sort(), what).toEqual(
            inTable.filter((each) => parts.has(each)).sort(),
          );
          expect(await rowsBy(tool, table, { filter }), what).toEqual(expected);
        }
        if (isBeyondDuckDb(type, transform, value)) continue;
        const where = value === null ? 'c IS NULL' : `c = ${literal(value as string)}`;
        expect(await duckRows(table, `SELECT * FROM t WHERE ${where}`), where).toEqual(expected);
      }
    },
  );

  test.each([
    ['timestamptz', 'day', micros],
    ['timestamp', 'month', micros],
    ['timestamptz', 'hour', micros],
    ['date', 'year', days],
    ['int', 'truncate[10]', whole],
  ])('a range of %s opens just the files of its partitions by %s', async (type, transform, values) => {
    const properties = { 'write.metadata.metrics.default': 'none' };
    const spec = (schema: Schema): PartitionSpec => ({
      specId: 0,
      fields: [{ sourceId: schema.fields[0]!.id, fieldId: 1000, name: 'c_part', transform }],
    });
    let table = await lake.create(`range ${transform} ${type}`, { fields: fields(type), spec, properties });
    const rows = [...values, null].map((c, i): Row => ({ c, n: String(i) }));
    table = await appendRouted(table, rows);
    const partitions = await partitionsBy(java, table, rows);
    for (const [i, value] of values.entries()) {
      if (i % 3 !== 1) continue;
      const filter = { op: 'lt-eq', field: 'c', value };
      const holds = ({ c }: Row): boolean => c !== null && BigInt(c as string) <= BigInt(value);
      const within = (bound: string): Set<string> =>
        new Set(
          partitions
            .map(({ c_part }) => c_part as string)
            .filter((part) => part !== null && BigInt(part) <= BigInt(bound)),
        );
      for (const [reader, tool] of readers) {
        expect(await rowsBy(tool, table, { filter }), `${reader} ${value}`).toEqual(
          sorted(rows.filter(holds)),
        );
        const opened = (await plannedBy(tool, table, { filter })).map(({ partition }) => partition['c_part']);
        const part = partitions[i]!['c_part'] as string;
        const [bound = part] = openedToo(tool, transform, type, part);
        expect(opened.sort(), `${reader} ${value}`).toEqual([...within(bound)].sort());
      }
    }
  });
});

const everyTransform: [string, string][] = [
  ['id', 'identity'],
  ['id', 'bucket[3]'],
  ['id', 'truncate[10]'],
  ['at', 'day'],
  ['on', 'month'],
  ['name', 'truncate[1]'],
  ['name', 'bucket[2]'],
];
const together: [string, string][] = [
  ['on', 'month'],
  ['name', 'truncate[1]'],
  ['id', 'bucket[3]'],
  ['at', 'day'],
];
const columns = { id: 'long', at: 'timestamptz', on: 'date', name: 'string' };
const foreignSchema = {
  type: 'struct',
  'schema-id': 0,
  fields: Object.entries(columns).map(([name, type], i) => ({ id: i + 1, name, required: false, type })),
};
const foreignSpec = (...by: [string, string][]): object => ({
  'spec-id': 0,
  fields: by.map(([column, transform], i) => ({
    'source-id': Object.keys(columns).indexOf(column) + 1,
    'field-id': 1000 + i,
    name: transform === 'identity' ? column : `${column}_${transform.replace(/\W/g, '')}`,
    transform,
  })),
});
const foreignRow = (i: number): Row => ({
  id: i % 5 === 4 ? null : String(i - 20),
  at: String(BigInt(i - 20) * 7_000_000_000n),
  on: i % 7 === 6 ? null : String((i - 20) * 9),
  name: ['x', 'yy', 'größe', '', null][i % 5]!,
});
const foreignRows = (from: number): Row[] => Array.from({ length: 20 }, (_, i) => foreignRow(from + i));

describe('a table that others have made', () => {
  async function create(tool: Repl, name: string, spec: object, properties: object = {}): Promise<Table> {
    await tool.call('createTable', {
      ...lake.at(tool, `db.${name}`),
      schema: foreignSchema,
      spec,
      properties,
    });
    return lake.load(name);
  }

  /** Theirs, ours, theirs: all rows are there, each in its partition. */
  async function takesTurns(tool: Repl, name: string, spec: object, properties: object = {}): Promise<Table> {
    await create(tool, name, spec, properties);
    const at = lake.at(tool, `db.${name}`);
    await tool.call('append', { ...at, rows: foreignRows(0) });
    const ours = await appendRouted(await lake.load(name), foreignRows(20));
    await checkPartitions(ours);
    await tool.call('append', { ...at, rows: foreignRows(40) });
    await expectRows(name, [...foreignRows(0), ...foreignRows(20), ...foreignRows(40)]);
    return lake.load(name);
  }

  async function expectRows(name: string, rows: readonly Row[]): Promise<void> {
    const table = await lake.load(name);
    for (const [, tool] of readers) expect(await rowsBy(tool, table)).toEqual(sorted(rows));
    expect(await duckRows(table)).toEqual(sorted(rows));
  }

  test.each(readers)('by %s takes our rows for each transform', async (reader, tool) => {
    for (const [i, by] of everyTransform.entries()) await takesTurns(tool, `${reader} ${i}`, foreignSpec(by));
    await takesTurns(tool, `${reader} all`, foreignSpec(...together));
  });

  test('and given another partition spec since', async () => {
    await create(java, 'evolved', foreignSpec(['name', 'identity']));
    const at = lake.at(java, 'db.evolved');
    await java.call('append', { ...at, rows: foreignRows(0) });
    await java.call('updateSpec', {
      ...at,
      remove: ['name'],
      add: [
        { transform: 'day', column: 'at' },
        { transform: 'bucket', width: 4, column: 'id' },
      ],
    });
    const ours = await appendRouted(await lake.load('evolved'), foreignRows(20));
    const planned = await checkPartitions(ours);
    expect(new Set(planned.map(({ specId }) => specId))).toEqual(new Set([0, 1]));
    await expectRows('evolved', [...foreignRows(0), ...foreignRows(20)]);
  });

  test('in format version 1 and upgraded since', async () => {
    await create(java, 'upgraded', foreignSpec(['name', 'identity'], ['at', 'day'], ['id', 'bucket[4]']), {
      'format-version': '1',
      'commit.manifest-merge.enabled': 'false',
    });
    const at = lake.at(java, 'db.upgraded');
    await java.call('append', { ...at, rows: foreignRows(0) });
    // In version 1 a field that is removed stays, always null.
    await java.call('updateSpec', { ...at, remove: ['name'] });
    await java.call('append', { ...at, rows: foreignRows(20) });
    await java.call('setProperties', { ...at, properties: { 'format-version': '2' } });
    const table = await lake.load('upgraded');
    expect(defaultSpec(table.metadata).fields.map(({ transform }) => transform)).toEqual([
      'void',
      'day',
      'bucket[4]',
    ]);
    await checkPartitions(await appendRouted(table, foreignRows(40)));
    await expectRows('upgraded', [...foreignRows(0), ...foreignRows(20), ...foreignRows(40)]);
    await java.call('append', { ...at, rows: foreignRows(60) });
    await java.call('rewriteManifests', at);
    await expectRows('upgraded', [0, 20, 40, 60].flatMap(foreignRows));
  });

  test('and lost a column that it was divided by once', async () => {
    await create(java, 'lost', foreignSpec(['name', 'identity'], ['id', 'bucket[4]']), {
      'format-version': '1',
    });
    const at = lake.at(java, 'db.lost');
    await java.call('updateSpec', { ...at, remove: ['name'] });
    await java.call('updateSchema', { ...at, drop: ['name'] });
    await java.call('setProperties', { ...at, properties: { 'format-version': '2' } });
    const rows = foreignRows(0).map(({ name: _, ...rest }) => rest);
    const table = await appendRouted(await lake.load('lost'), rows);
    expect(await rowsBy(java, table)).toEqual(sorted(rows));
    expect(await duckRows(table)).toEqual(sorted(rows));
    expect((await plannedBy(java, table)).map(({ partition }) => partition['name'])).toEqual(
      new Array(5).fill(null),
    );
    expect(await rowsBy(python, table)).toEqual(sorted(rows));
  });
});
