import { afterAll, beforeAll, expect, inject, test } from 'vitest';
import { produceOrders } from '../../localstack/produce.ts';
import { type Engine, sparkAt, sqliteEngineCatalog, trinoAt } from '../tools/engines.ts';
import { Lake, type Run } from '../tools/frazil.ts';
import { java } from '../tools/java.ts';
import { countOffsets, everyOffsetOnce } from '../tools/offsets.ts';
import { ordersConfig } from '../tools/pipeline.ts';
import { python } from '../tools/python.ts';
import { spark } from '../tools/spark.ts';

/** Others that work on the same table, as people let them, while records land in it. */

const parts = { brokers: inject('brokers'), registry: inject('registry') };
const table = 'shop.orders';
/** The partition that the rows of others claim to be from, with a topic of their own for each append. */
const elsewhere = 99;

beforeAll(() => java.call('configure', { brokers: parts.brokers }));
afterAll(async () => {
  await java.close();
  await python.close();
  await spark.close();
});

/** Rows that somebody else has added, by a name of their own for each attempt. */
class Foreign {
  /** Those that were told that their rows are in. */
  readonly acknowledged: Map<string, number> = new Map();
  /** Why attempts failed. */
  readonly failures: string[] = [];
  #attempts = 0;

  /** Tries until it succeeds: a commit of ours may always come in between. */
  async insist<T>(what: string, action: () => Promise<T>): Promise<T> {
    for (let attempt = 1; ; attempt++) {
      try {
        return await action();
      } catch (error) {
        this.failures.push(`${what}: ${String(error).slice(0, 300)}`);
        if (attempt === 10) throw error;
      }
    }
  }

  append(who: string, rows: number, action: (name: string) => Promise<unknown>): Promise<void> {
    return this.insist(`${who} appends`, async () => {
      const name = `${who}-${this.#attempts++}`;
      await action(name);
      this.acknowledged.set(name, rows);
    });
  }
}

const sparkRounds = async (by: Engine, foreign: Foreign, rounds: number): Promise<number> => {
  let rewritten = 0;
  const call = (what: string, args: string): Promise<Record<string, unknown>[]> =>
    foreign.insist(`Spark ${what}`, () => by.query(`CALL lake.system.${what}(table => '${table}'${args})`));
  const hoursAgo = (hours: number): string =>
    `TIMESTAMP '${new Date(Date.now() - hours * 3_600_000).toISOString().replace('T', ' ').replace('Z', ' UTC')}'`;
  for (let round = 0; round < rounds; round++) {
    await foreign.append('spark', 20, (name) =>
      by.query(
        `INSERT INTO ${table} (order_id, currency, _kafka_topic, _kafka_partition, _kafka_offset, _kafka_timestamp)` +
          ` SELECT id, 'EUR', '${name}', ${elsewhere}, id, current_timestamp() FROM range(20)`,
      ),
    );
    const [answer] = await call('rewrite_data_files', ", options => map('min-input-files', '2')");
    rewritten += Number(answer!['rewritten_data_files_count']);
    await call('rewrite_manifests', '');
    await call('expire_snapshots', `, older_than => ${hoursAgo(0)}, retain_last => 1`);
    // Less than a day is refused by Spark.
    expect(await call('remove_orphan_files', `, older_than => ${hoursAgo(25)}`)).toEqual([]);
  }
  return rewritten;
};

const trinoRounds = async (by: Engine, foreign: Foreign, rounds: number): Promise<number> => {
  let rewritten = 0;
  const of = by.table('shop', 'orders');
  const execute = (what: string): Promise<Record<string, unknown>[]> =>
    foreign.insist(`Trino ${what}`, () => by.query(`ALTER TABLE ${of} EXECUTE ${what}`));
  for (let round = 0; round < rounds; round++) {
    await foreign.append('trino', 2, (name) =>
      by.query(
        `INSERT INTO ${of} (order_id, currency, _kafka_topic, _kafka_partition, _kafka_offset, _kafka_timestamp)` +
          ` VALUES (1, 'USD', '${name}', ${elsewhere}, 1, now()), (2, NULL, '${name}', ${elsewhere}, 2, now())`,
      ),
    );
    const answers = await execute('optimize');
    console.log(answers);
    rewritten += 1;
    await execute('optimize_manifests');
    await execute("expire_snapshots(retention_threshold => '0s')");
    await execute("remove_orphan_files(retention_threshold => '1d')");
  }
  return rewritten;
};

const pythonRounds = async (lake: Lake, foreign: Foreign, rounds: number): Promise<void> => {
  for (let round = 0; round < rounds; round++)
    await foreign.append('python', 1, (name) =>
      python.call('append', {
        catalog: lake.pythonCatalog,
        name: 'lake',
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
    );
};

test('Spark, Trino and PyIceberg compact, expire and append while records land: every offset once, every row of theirs', {
  timeout: 600_000,
}, async () => {
  const pipeline = 'neighbours';
  const columns = [
    { name: 'order_id', type: 'long' },
    { name: 'currency', type: 'string' },
  ];
  using lake = new Lake(
    ordersConfig(pipeline, parts, {
      decode: { value: { format: 'json' } },
      tables: [{ table, topics: [pipeline], create: true, schema: columns, partitionBy: ['currency'] }],
    }),
  );
  const ended = new AbortController();
  const producing = produceOrders({
    brokers: parts.brokers,
    topic: pipeline,
    partitions: 3,
    count: 10_000_000,
    format: 'json',
    rate: 1_000,
    signal: ended.signal,
  });
  const run: Run = lake.start('run');
  await run.logged('committed', 2);
  const catalog = sqliteEngineCatalog(`${lake.folder}/lake/catalog.db`, `file://${lake.folder}/lake`);
  const foreign = new Foreign();
  const bySpark = sparkAt(catalog);
  const byTrino = await trinoAt(catalog, inject('sharedParts'));
  const rewritten = await Promise.all([
    sparkRounds(bySpark, foreign, 2),
    trinoRounds(byTrino, foreign, 2),
    pythonRounds(lake, foreign, 10),
  ]);
  await run.logged('committed', run.log().filter(({ msg }) => msg === 'committed').length + 1);
  ended.abort();
  const acknowledged = await producing;
  run.kill('SIGTERM');
  expect(await run.exit, run.stderr.slice(-3000)).toBe(0);
  await lake.catchUp();
  console.log(
    rewritten,
    foreign.failures,
    run
      .log()
      .filter(({ level }) => level !== 'info')
      .map((line) => JSON.stringify(line)),
    run.log().filter(({ msg }) => msg === 'committed').length,
  );

  const counts = await countOffsets(lake, table);
  expect(counts.filter(({ partition }) => partition !== elsewhere)).toEqual(everyOffsetOnce(acknowledged));
});
