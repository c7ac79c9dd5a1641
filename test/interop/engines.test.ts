import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest';
import { newSpec } from '../../src/iceberg/partition-by.ts';
import type { PartitionValue } from '../../src/iceberg/transforms.ts';
import { isPrimitive } from '../../src/iceberg/types.ts';
import { localLocation } from '../../src/storage/local.ts';
import { type Row, sorted } from '../tools/canonical.ts';
import { type Engine, sparkAt, sqliteEngineCatalog, trinoAt } from '../tools/engines.ts';
import { spark } from '../tools/spark.ts';
import { everyType, floatBits } from '../unit/arrow/rows.ts';
import {
  asSparkReads,
  checkFilter,
  everyTypeFiles,
  field,
  filteredFields,
  filteredFiles,
  filters,
  partitionings,
  sparkColumns,
} from './samples.ts';
import { Lake } from './tables-lake.ts';

/** Tables that the program wrote, queried by Trino and Spark: values, and which files they open for a filter. */

let lake: Lake;
let engines: Engine[];
beforeAll(async () => {
  lake = await Lake.open('frazil größe %41-');
  // Makes the database.
  await lake.create('first', { fields: [field('n', { kind: 'long' })] });
  const catalog = sqliteEngineCatalog(
    join(lake.folder, 'catalog.db'),
    localLocation(join(lake.folder, 'warehouse')),
  );
  engines = [await trinoAt(catalog, inject('sharedParts')), sparkAt(catalog)];
});
afterAll(async () => {
  await lake[Symbol.asyncDispose]();
  await spark.close();
});

const byEngine = test.each([['Trino'], ['Spark']]);
const engine = (name: string): Engine => engines.find((each) => each.name === name)!;

/** Spark has no type for a time of day. */
const sparkReads = (type: { kind: string }): boolean => type.kind !== 'time';

describe('a table of every type', () => {
  const everything = { Trino: everyTypeFiles.flat(), Spark: everyTypeFiles.flat().map(asSparkReads) };
  const counts: number[] = [];

  beforeAll(async () => {
    const properties = { 'write.parquet.row-group-size-bytes': '2000' };
    for (const [name, fields, convert] of [
      ['every type', everyType.fields, (row: Row): Row => row],
      ['every type but time', sparkColumns, asSparkReads],
    ] as const) {
      let table = await lake.create(name, { fields, properties });
      for (const rows of everyTypeFiles)
        table = await lake.appendPartitions(table, [[[], rows.map(convert)]], 20);
    }
    for (const rows of everyTypeFiles) counts.push((counts.at(-1) ?? 0) + rows.length);
  });

  byEngine('%s reads every value', async (name) => {
    const { query, table } = engine(name);
    const of = table('db', name === 'Trino' ? 'every type' : 'every type but time');
    expect(sorted(await query(`SELECT * FROM ${of}`))).toEqual(
      sorted(everything[name as keyof typeof everything]),
    );
  });
});

byEngine('%s reads pages of version 2 with deltas, many values at once', async (name) => {
  // Spark reads many at once where nothing is nested.
  const fields = sparkColumns.filter(({ type }) => isPrimitive(type));
  const rows = everyTypeFiles
    .flat()
    .map((row): Row => Object.fromEntries(fields.map((each) => [each.name, row[each.name]!])));
  const { query, table } = engine(name);
  const created = await lake.create(`version 2 for ${name.toLowerCase()}`, {
    fields,
    properties: {
      'write.parquet.compression-codec': 'zstd',
      'write.parquet.page-version': 'v2',
      'write.parquet.page-row-limit': '50',
      'write.parquet.dict-size-bytes': '300',
    },
  });
  await lake.append(created, rows);
  expect(sorted(await query(`SELECT * FROM ${table('db', `version 2 for ${name.toLowerCase()}`)}`))).toEqual(
    sorted(rows),
  );
});

describe('tables divided by the values of a column', () => {
  const nan = floatBits(Number.NaN);
  /** Trino takes the value from the partition, where -0 is 0 to it. */
  const withoutMinusZero = (row: Row): Row =>
    Object.fromEntries(
      Object.entries(row).map(([name, value]) => [name, value === floatBits(-0) ? floatBits(0) : value]),
    );

  test.each(
    partitionings.map(
      (each) =>
        [`${each[0].kind} ${'precision' in each[0] ? each[0].precision : ''}`.trim(), ...each] as const,
    ),
  )(
    'by a %s: every value is read, and a filter opens the one file that has it',
    async (name, type, values, toPartition) => {
      const of = field('wo größe', type);
      const table = await lake.create(`by ${name}`, {
        fields: [of, field('n', { kind: 'long' })],
        spec: (schema) => newSpec(schema, [of.name]),
      });
      const files = [...values, null].map((value, i): [PartitionValue[], Row[]] => [
        [value === null ? null : toPartition(value as string)],
        [{ [of.name]: value, n: String(i) }],
      ]);
      await lake.appendPartitions(table, files);
      for (const { name: reader, query, scan, table: named, column, literal } of engines) {
        if (reader === 'Spark' && !sparkReads(type)) continue;
        const from = `FROM ${named('db', `by ${name}`)}`;
        const expected = files.flatMap(([, rows]) => rows);
        expect(sorted(await query(`SELECT * ${from}`)), reader).toEqual(
          sorted(reader === 'Trino' ? expected.map(withoutMinusZero) : expected),
        );
        for (const value of [values[0]!, values.at(-1)!, null]) {
          if (value === nan) continue; // equal to nothing, or to itself: engines differ
          const condition = value === null ? 'IS NULL' : `= ${literal(type, value)}`;
          const found = await scan(`SELECT n ${from} WHERE ${column(of.name)} ${condition}`);
          expect(found, `${reader}: ${condition}`).toEqual({
            rows: [{ n: String(value === null ? values.length : values.indexOf(value)) }],
            files: 1,
          });
        }
      }
    },
  );
});

describe('filters', () => {
  beforeAll(async () => {
    let table = await lake.create('filtered', { fields: filteredFields });
    for (const rows of Object.values(filteredFiles)) table = await lake.append(table, rows);
  });

  // The files are those that Java opens too (tables.test.ts).
  test.each(filters)('%s opens %i files', async (...filter) => {
    for (const engine of engines) await checkFilter(engine, engine.table('db', 'filtered'), ...filter);
  });
});
