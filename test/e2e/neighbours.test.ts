import { afterAll, beforeAll, expect, inject, test, vi } from 'vitest';
import { produceOrders } from '../../localstack/produce.ts';
import type { Row } from '../tools/canonical.ts';
import { type Engine, type EngineCatalog, sparkAt, trinoAt } from '../tools/engines.ts';
import { Lake, type LogLine, type Run } from '../tools/frazil.ts';
import { java } from '../tools/java.ts';
import { countOffsets, everyOffsetOnce } from '../tools/offsets.ts';
import { ordersConfig, pause } from '../tools/pipeline.ts';
import { askDuckdb, openPlaces, type Place, type Places } from '../tools/places.ts';
import { python } from '../tools/python.ts';
import { spark } from '../tools/spark.ts';

/** Others that work on the same table, as people let them, while records land in it. */

const parts = { brokers: inject('brokers'), registry: inject('registry') };
const table = 'shop.orders';
/** The partition that the rows of others claim to be from, with a topic of their own for each append. */
const elsewhere = 99;

let places: Places;

beforeAll(async () => {
  places = await openPlaces(inject('sharedParts'));
  await java.call('configure', { brokers: parts.brokers });
});
afterAll(async () => {
  for (const tool of [spark, python, java]) await tool.close();
  vi.unstubAllEnvs();
});

/** Rows that somebody else has added, by a name of their own for each attempt. */
class Foreign {
  /** Those that were told that their rows are in. */
  readonly acknowledged: Map<string, number> = new Map();
  /** What each attempt would add. */
  readonly #rows = new Map<string, number>();

  /** Tries until it succeeds: a commit of ours may always come in between. */
  async insist<T>(what: string, action: () => Promise<T>): Promise<T> {
    for (let attempt = 1; ; attempt++) {
      try {
        return await action();
      } catch (error) {
        if (attempt === 10) throw new Error(`${what}: failed ten times`, { cause: error });
      }
    }
  }

  /** Names whose rows are not there once each. An append that failed may have landed, but never twice. */
  wrong(found: ReadonlyMap<string, number>): string[] {
    const missing = [...this.acknowledged].filter(([name, rows]) => found.get(name) !== rows);
    const doubled = [...found].filter(([name, rows]) => rows !== this.#rows.get(name));
    return [...missing, ...doubled].map(([name]) => name);
  }

  append(who: string, rows: number, action: (name: string) => Promise<unknown>): Promise<void> {
    return this.insist(`${who} appends`, async () => {
      const name = `${who}-${this.#rows.size}`;
      this.#rows.set(name, rows);
      await action(name);
      this.acknowledged.set(name, rows);
    });
  }
}

const commits = (run: Run): LogLine[] => run.log().filter(({ msg }) => msg === 'committed');

const names = 'order_id, currency, _kafka_topic, _kafka_partition, _kafka_offset, _kafka_timestamp';
const ago = (hours: number): string =>
  new Date(Date.now() - hours * 3_600_000).toISOString().replace('T', ' ').replace('Z', ' UTC');

/** What a nightly Spark job does. */
async function sparkAtWork(catalog: EngineCatalog, foreign: Foreign): Promise<void> {
  const by = sparkAt(catalog);
  const call = (procedure: string, args: string): Promise<Row[]> =>
    foreign.insist(`Spark ${procedure}`, () =>
      by.query(`CALL \`${catalog.name}\`.system.${procedure}(table => '${table}'${args})`),
    );
  await foreign.append('spark', 20, (name) =>
    by.query(
      `INSERT INTO ${table} (${names}) SELECT id, 'EUR', '${name}', ${elsewhere}, id, current_timestamp() FROM range(20)`,
    ),
  );
  const [rewritten] = await call('rewrite_data_files', ", options => map('min-input-files', '2')");
  expect(Number(rewritten!['rewritten_data_files_count'])).toBeGreaterThan(1);
  // Where every commit merges, there may be a single one left, and nothing to do.
  await call('rewrite_manifests', '');
  const [expired] = await call('expire_snapshots', `, older_than => TIMESTAMP '${ago(0)}', retain_last => 1`);
  expect(Number(expired!['deleted_data_files_count'])).toBeGreaterThan(1);
  // Spark refuses less than a day. Without a Hadoop file system for S3 it is Iceberg that lists the files.
  const listing = catalog.spark['io-impl'] ? ', prefix_listing => true' : '';
  expect(await call('remove_orphan_files', `, older_than => TIMESTAMP '${ago(25)}'${listing}`)).toEqual([]);
}

/** The same as Athena does it. */
async function trinoAtWork(by: Engine, foreign: Foreign): Promise<void> {
  const of = by.table('shop', 'orders');
  const execute = (procedure: string): Promise<Row[]> =>
    foreign.insist(`Trino ${procedure}`, () => by.query(`ALTER TABLE ${of} EXECUTE ${procedure}`));
  const rewritten = async (): Promise<number> => {
    const [found] = await by.query(
      "SELECT coalesce(max(CAST(element_at(summary, 'deleted-data-files') AS integer)), 0) AS n" +
        ` FROM ${by.table('shop', 'orders$snapshots')} WHERE operation = 'replace'`,
    );
    return Number(found!['n']);
  };
  const value = (name: string, i: number): string =>
    `(${i}, 'USD', '${name}', ${elsewhere}, ${i}, current_timestamp)`;
  await foreign.append('trino', 2, (name) =>
    by.query(`INSERT INTO ${of} (${names}) VALUES ${value(name, 1)}, ${value(name, 2)}`),
  );
  // Spark has left no snapshot of its compaction.
  expect(await rewritten()).toBe(0);
  await execute('optimize');
  expect(await rewritten()).toBeGreaterThan(1);
  await execute('optimize_manifests');
  await execute("expire_snapshots(retention_threshold => '0s')");
  await execute("remove_orphan_files(retention_threshold => '1d')");
}

/** PyIceberg appends a row every now and then, until it is told to end. */
function pythonAppends(place: Place, lake: Lake, foreign: Foreign): { end(): Promise<void> } {
  let ended = false;
  const appending = (async (): Promise<void> => {
    while (!ended)
      await foreign
        .append('python', 1, (name) =>
          python.call('append', {
            catalog: place.python(lake),
            name: place.engines(lake).name,
            table,
            rows: [
              {
                order_id: '1',
                currency: 'JPY',
                _kafka_topic: name,
                _kafka_partition: String(elsewhere),
                _kafka_offset: '1',
                _kafka_timestamp: '0',
              },
            ],
          }),
        )
        .then(() => pause(1_000));
  })();
  appending.catch(() => undefined); // end tells
  return {
    end: () => {
      ended = true;
      return appending;
    },
  };
}

/** The rows of others by the name that they gave, as DuckDB counts them. */
async function foreignRows(place: Place, lake: Lake): Promise<Map<string, number>> {
  const sql = `select _kafka_topic as name, count(*) as n from t where _kafka_partition = ${elsewhere} group by 1`;
  const rows = await askDuckdb(place, lake, table, sql);
  return new Map(rows.map(({ name, n }) => [String(name), Number(n)]));
}

const columns = [
  { name: 'order_id', type: 'long' },
  { name: 'currency', type: 'string' },
];

test.each(['sqlite', 'postgres', 'glue', 'rest'] as const)(
  'by way of %s, Spark, Trino and PyIceberg compact, expire and append while records land: every offset once, every row of theirs',
  { timeout: 600_000 },
  async (kind) => {
    const place = places[kind];
    const pipeline = `neighbours-${kind}`;
    using lake = new Lake({});
    lake.configure(
      ordersConfig(pipeline, parts, {
        decode: { value: { format: 'json' } },
        tables: [
          {
            table,
            topics: [pipeline],
            create: true,
            schema: columns,
            properties: {
              // As people set it for tables into which somebody writes all the time.
              'commit.retry.num-retries': '20',
              'write.metadata.delete-after-commit.enabled': 'true',
              // Manifests of all are merged every few commits, by all but PyIceberg.
              'commit.manifest.min-count-to-merge': '4',
            },
          },
        ],
        commit: { interval: '2s' },
        ...place.settings(lake),
      }),
    );
    const ended = new AbortController();
    const producing = produceOrders({
      brokers: parts.brokers,
      topic: pipeline,
      partitions: 3,
      count: 10_000_000,
      format: 'json',
      rate: 200,
      signal: ended.signal,
    });
    const run = lake.start('run');
    await run.logged('committed', 1);
    const foreign = new Foreign();
    const appending = pythonAppends(place, lake, foreign);
    await sparkAtWork(place.engines(lake), foreign);
    await trinoAtWork(await trinoAt(place.engines(lake), inject('sharedParts')), foreign);
    await appending.end();
    await run.logged('committed', commits(run).length + 1);
    ended.abort();
    const acknowledged = await producing;
    run.kill('SIGTERM');
    expect(await run.exit, run.stderr.slice(-3000)).toBe(0);
    await lake.catchUp();

    const counts = await countOffsets(lake, table, place);
    expect(counts.filter(({ partition }) => partition !== elsewhere)).toEqual(everyOffsetOnce(acknowledged));
    expect(foreign.wrong(await foreignRows(place, lake))).toEqual([]);
    // None of ours had to wait for long.
    expect(Math.max(...commits(run).map(({ attempts }) => attempts as number))).toBeLessThanOrEqual(10);
  },
);
