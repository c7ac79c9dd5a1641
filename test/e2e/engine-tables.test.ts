import { mkdirSync, readdirSync } from 'node:fs';
import { afterAll, beforeAll, expect, inject, test } from 'vitest';
import { type Row, sorted } from '../tools/canonical.ts';
import { type Engine, sparkAt, sqliteEngineCatalog, trinoAt } from '../tools/engines.ts';
import { Lake } from '../tools/frazil.ts';
import { java } from '../tools/java.ts';
import { spark } from '../tools/spark.ts';

/** Tables made with the DDL of Spark and Trino, which is Athena's too: appended to, or refused before anything is written. */

const brokers = inject('brokers');
const topic = 'engine-tables';
let lake: Lake;
let bySpark: Engine;
let byTrino: Engine;

const values: Row[] = [
  { n: '1', region: 'eu', at: '2026-01-01T00:00:00Z', amount: '1.50', code: 'abc' },
  { n: '2', region: 'us', at: '2026-02-02T23:59:59.999999Z', amount: '-0.01', code: 'abd' },
  { n: '3', region: null, at: null, amount: null, code: null },
  { n: '4', region: 'eu', at: '2027-03-01T00:00:00Z', amount: '0.00', code: 'ä🧊x' },
  { n: '5', region: 'a b/c', at: '1969-12-31T23:59:59.999999Z', amount: '9999999.99', code: '' },
];
const micros = ['1767225600000000', '1770076799999999', null, '1803859200000000', '-1'];
const rows = values.map((row, i): Row => ({ ...row, at: micros[i]! }));
/** A row that the engine itself has put into a table before. */
const before: Row = { n: '0', region: 'eu', at: '0', amount: '0.10', code: 'old' };

beforeAll(async () => {
  await java.call('configure', { brokers });
  await java.call('createTopic', { topic });
  const records = values.map((row) => ({
    key: null,
    value: Buffer.from(JSON.stringify({ ...row, n: Number(row['n']) })).toString('base64'),
  }));
  await java.call('produce', { topic, partition: 0, records });
  lake = new Lake({});
  const catalog = sqliteEngineCatalog(`${lake.folder}/lake/catalog.db`, `file://${lake.folder}/lake`);
  bySpark = sparkAt(catalog);
  mkdirSync(`${lake.folder}/lake`);
  // Spark makes what Trino needs to find: the catalog's own tables.
  await bySpark.query('CREATE NAMESPACE IF NOT EXISTS shop');
  byTrino = await trinoAt(catalog, inject('sharedParts'));
});
afterAll(async () => {
  lake[Symbol.dispose]();
  await java.close();
  await spark.close();
});

function pipeline(name: string, tables: string[]): object {
  return {
    pipeline: name,
    source: { brokers, topics: [topic] },
    decode: { value: { format: 'json' } },
    tables: tables.map((table) => ({ table: `shop.${table}`, topics: [topic], metadataColumns: false })),
    lanes: 1,
  };
}

const sparkColumns =
  "n bigint NOT NULL COMMENT 'a number', region string, at timestamp, amount decimal(9, 2), code string";
const trinoColumns =
  "n bigint NOT NULL COMMENT 'a number', region varchar, at timestamp(6) with time zone, amount decimal(9, 2), code varchar";
const old = "(0, 'eu', TIMESTAMP '1970-01-01 00:00:00 UTC', CAST('0.10' AS decimal(9, 2)), 'old')";

/** A table, the DDL that makes it, the rows in it when we come, and in how many files a filter on `at` looks for one of ours. */
interface Made {
  name: string;
  ddl: string[];
  has?: Row[];
}

const sparkTables: Made[] = [
  {
    name: 'spark_transforms',
    ddl: [
      `CREATE TABLE shop.spark_transforms (${sparkColumns}) USING iceberg COMMENT 'by Spark'
        PARTITIONED BY (region, days(at), bucket(4, n), truncate(2, code))
        TBLPROPERTIES ('write.parquet.compression-codec' = 'gzip', 'write.metadata.metrics.default' = 'full')`,
      'ALTER TABLE shop.spark_transforms WRITE DISTRIBUTED BY PARTITION LOCALLY ORDERED BY n DESC',
      'ALTER TABLE shop.spark_transforms SET IDENTIFIER FIELDS n',
    ],
  },
  {
    name: 'spark_upgraded',
    ddl: [
      `CREATE TABLE shop.spark_upgraded (${sparkColumns}) USING iceberg
        PARTITIONED BY (hours(at)) TBLPROPERTIES ('format-version' = '1')`,
      `INSERT INTO shop.spark_upgraded VALUES ${old}`,
      "ALTER TABLE shop.spark_upgraded SET TBLPROPERTIES ('format-version' = '2')",
    ],
    has: [before],
  },
  {
    name: 'spark_evolved',
    ddl: [
      `CREATE TABLE shop.spark_evolved (${sparkColumns}) USING iceberg PARTITIONED BY (region, months(at))`,
      `INSERT INTO shop.spark_evolved VALUES ${old}`,
      'ALTER TABLE shop.spark_evolved REPLACE PARTITION FIELD months(at) WITH days(at)',
      'ALTER TABLE shop.spark_evolved DROP PARTITION FIELD region',
      'ALTER TABLE shop.spark_evolved ADD PARTITION FIELD bucket(8, code)',
    ],
    has: [before],
  },
];

const trinoTables: Made[] = [
  {
    name: 'trino_transforms',
    ddl: [
      `CREATE TABLE TABLE_NAME (${trinoColumns}) COMMENT 'by Trino' WITH (
        partitioning = ARRAY['region', 'month(at)', 'bucket(n, 4)', 'truncate(code, 2)'],
        sorted_by = ARRAY['n DESC NULLS LAST'], format = 'PARQUET')`,
    ],
  },
  {
    name: 'trino_upgraded',
    ddl: [
      `CREATE TABLE TABLE_NAME (${trinoColumns}) WITH (format_version = 1, partitioning = ARRAY['day(at)'])`,
      `INSERT INTO TABLE_NAME VALUES ${old}`,
      'ALTER TABLE TABLE_NAME SET PROPERTIES format_version = 2',
    ],
    has: [before],
  },
  {
    name: 'trino_orc',
    ddl: [
      `CREATE TABLE TABLE_NAME (${trinoColumns}) WITH (
        format = 'ORC', object_store_layout_enabled = true, partitioning = ARRAY['year(at)'])`,
      `INSERT INTO TABLE_NAME VALUES ${old}`,
    ],
    has: [before],
  },
];

test('tables of Spark and Trino with transforms, orders, comments and pasts of their own take our rows', async () => {
  for (const { ddl } of sparkTables) for (const sql of ddl) await bySpark.query(sql);
  for (const { name, ddl } of trinoTables)
    for (const sql of ddl) await byTrino.query(sql.replace('TABLE_NAME', byTrino.table('shop', name)));
  const tables = [...sparkTables, ...trinoTables];
  lake.configure(
    pipeline(
      'appends',
      tables.map(({ name }) => name),
    ),
  );
  expect(await lake.catchUp()).toMatchObject({ rows: 5 * tables.length });

  for (const { name, has = [] } of tables)
    for (const engine of [bySpark, byTrino]) {
      const from = `FROM ${engine.table('shop', name)}`;
      const who = `${name} by ${engine.name}`;
      expect(sorted(await engine.query(`SELECT * ${from}`)), who).toEqual(sorted([...has, ...rows]));
      // The file of its partition is found, and no other is opened.
      for (const [condition, n] of [
        ["at = TIMESTAMP '2026-02-02 23:59:59.999999 UTC'", '2'],
        ["at = TIMESTAMP '1969-12-31 23:59:59.999999 UTC'", '5'],
        ['at IS NULL', '3'],
      ] as const)
        expect(await engine.scan(`SELECT n ${from} WHERE ${condition}`), `${who}: ${condition}`).toEqual({
          rows: [{ n }],
          files: 1,
        });
    }
  const [comment] = await byTrino.query(
    `SELECT comment FROM ${byTrino.table('information_schema', 'columns').replace(/"information_schema"/, 'information_schema')}
     WHERE table_name = 'spark_transforms' AND column_name = 'n'`,
  );
  expect(comment).toEqual({ comment: 'a number' });
});

test.each([
  [
    'of format version 1',
    "'format-version' = '1'",
    'format-version is 1, only version 2 can be written; upgrade it',
  ],
  ['of format version 3', "'format-version' = '3'", 'format-version is 3, only version 2 can be written'],
])('a table %s is refused before anything is written', async (_name, properties, reason) => {
  const name = `refused_${properties.replace(/\D/g, '')}`;
  await bySpark.query(
    `CREATE TABLE shop.${name} (${sparkColumns}) USING iceberg TBLPROPERTIES (${properties})`,
  );
  const files = (): string[] =>
    readdirSync(`${lake.folder}/lake/shop/${name}`, { recursive: true }) as string[];
  const untouched = files();
  lake.configure(pipeline(name, [name]));
  const run = lake.start('run', '--until-caught-up');
  expect(await run.exit).toBe(1);
  expect(run.stderr).toContain(`opening table shop.${name}: its ${reason}`);
  expect(files()).toEqual(untouched);
});
