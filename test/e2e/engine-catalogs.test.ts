import { afterAll, beforeAll, expect, inject, test, vi } from 'vitest';
import { systemClock } from '../../src/base/clock.ts';
import { systemRandom } from '../../src/base/random.ts';
import { loadConfig } from '../../src/config/config.ts';
import { unpartitioned } from '../../src/iceberg/partition-spec.ts';
import type { Field } from '../../src/iceberg/types.ts';
import { openCatalog } from '../../src/worker/open.ts';
import { append, writeDataFile } from '../contract/appends.ts';
import {
  asPyIcebergReads,
  asSparkReads,
  checkFilter,
  everyTypeFiles,
  filteredFields,
  filteredFiles,
  filters,
  sparkColumns,
} from '../interop/samples.ts';
import { type Row, sorted } from '../tools/canonical.ts';
import { type Engine, sparkAt, trinoAt } from '../tools/engines.ts';
import { Lake } from '../tools/frazil.ts';
import { java } from '../tools/java.ts';
import { askDuckdb, openPlaces, type Place, type Places } from '../tools/places.ts';
import { python } from '../tools/python.ts';
import { spark } from '../tools/spark.ts';
import { everyType } from '../unit/arrow/rows.ts';

/** What the program lands by way of Glue, REST and PostgreSQL, read by others by way of the same catalog. */

const brokers = inject('brokers');
let places: Places;

beforeAll(async () => {
  places = await openPlaces(inject('sharedParts'));
  await java.call('configure', { brokers });
});
afterAll(async () => {
  for (const tool of [spark, python, java]) await tool.close();
  vi.unstubAllEnvs();
});

const values: Row[] = [
  {
    n: '1',
    region: 'eu west',
    at: '2026-01-01T00:00:00.000001Z',
    amount: '1.50',
    raw: 'AP+A',
    tags: ['a', null],
  },
  { n: '2', region: 'us', at: '2026-02-02T00:00:00Z', amount: '-0.01', raw: '', tags: [] },
  { n: '3', region: null, at: null, amount: null, raw: null, tags: null },
];
const rows: Row[] = [
  { ...values[0]!, at: '1767225600000001', raw: '00ff80' },
  { ...values[1]!, at: '1769990400000000', raw: '' },
  values[2]!,
];

/** Makes a table in the configured catalog and appends these rows, a file for each list. */
async function landFiles(
  lake: Lake,
  name: string,
  fields: readonly Field[],
  files: Iterable<readonly Row[]>,
): Promise<void> {
  const { catalog, store } = await openCatalog(loadConfig(lake.configFile));
  const ports = { store, clock: systemClock, random: systemRandom };
  const creation = { fields, spec: () => unpartitioned, properties: {} };
  let table = await catalog.create({ namespace: ['shop'], name }, creation);
  for (const rows of files)
    table = await append(catalog, table, [await writeDataFile(table, rows, [], ports)], ports);
  await catalog.close();
}

/** Every value of every type, as each reader finds it. */
async function checkEveryType(lake: Lake, place: Place, trino: Engine, spark: Engine): Promise<void> {
  const ofSpark = everyTypeFiles.map((rows) => rows.map(asSparkReads));
  await landFiles(lake, 'every_type', everyType.fields, everyTypeFiles);
  await landFiles(lake, 'every_type_but_time', sparkColumns, ofSpark);
  const all = sorted(everyTypeFiles.flat());
  const byTrino = await trino.query(`SELECT * FROM ${trino.table('shop', 'every_type')}`);
  expect(sorted(byTrino), 'Trino').toEqual(all);
  const bySpark = await spark.query(`SELECT * FROM ${spark.table('shop', 'every_type_but_time')}`);
  expect(sorted(bySpark), 'Spark').toEqual(sorted(ofSpark.flat()));
  const at = { name: place.engines(lake).name, table: 'shop.every_type' };
  const byJava = await java.call<{ rows: Row[] }>('readTable', { ...at, catalog: place.java(lake) });
  expect(sorted(byJava.rows), 'Java').toEqual(all);
  const byPython = await python.call<{ rows: Row[] }>('readTable', { ...at, catalog: place.python(lake) });
  expect(sorted(byPython.rows), 'PyIceberg').toEqual(sorted(asPyIcebergReads(all)));
  expect(sorted(await askDuckdb(place, lake, at.table, 'SELECT * FROM t')), 'DuckDB').toEqual(all);
}

test.each(['glue', 'rest', 'postgres'] as const)(
  'what lands by way of %s is read by Trino, Spark, Java, PyIceberg and DuckDB, of which filters open the files they must',
  async (kind) => {
    const place = places[kind];
    const topic = `by-way-of-${kind}`;
    await java.call('createTopic', { topic });
    using lake = new Lake({});
    lake.configure({
      pipeline: topic,
      source: { brokers, topics: [topic] },
      decode: { value: { format: 'json' } },
      tables: [
        {
          table: 'shop.things',
          topics: [topic],
          create: true,
          metadataColumns: false,
          partitionBy: ['region', 'day(at)'],
          schema: [
            { name: 'n', type: 'long', required: true },
            { name: 'region', type: 'string' },
            { name: 'at', type: 'timestamptz' },
            { name: 'amount', type: 'decimal(38,2)' },
            { name: 'raw', type: 'binary' },
            { name: 'tags', type: 'list', element: 'string' },
          ],
        },
      ],
      lanes: 1,
      ...place.settings(lake),
    });
    for (const some of [values.slice(0, 2), values.slice(2)]) {
      const records = some.map((row) => ({
        key: null,
        value: Buffer.from(JSON.stringify({ ...row, n: Number(row['n']) })).toString('base64'),
      }));
      await java.call('produce', { topic, partition: 0, records });
      expect(await lake.catchUp()).toMatchObject({ rows: some.length });
    }
    await landFiles(lake, 'filtered', filteredFields, Object.values(filteredFiles));
    const catalog = place.engines(lake);
    const engines = [await trinoAt(catalog, inject('sharedParts')), sparkAt(catalog)] as const;
    for (const engine of engines) {
      const from = `FROM ${engine.table('shop', 'things')}`;
      expect(sorted(await engine.query(`SELECT * ${from}`)), engine.name).toEqual(sorted(rows));
      const condition = "at >= TIMESTAMP '2026-02-01 00:00:00 UTC'";
      expect(await engine.scan(`SELECT n ${from} WHERE ${condition}`), engine.name).toEqual({
        rows: [{ n: '2' }],
        files: 1,
      });
      for (const filter of filters) await checkFilter(engine, engine.table('shop', 'filtered'), ...filter);
    }
    await checkEveryType(lake, place, ...engines);
  },
);
