import { writeFileSync } from 'node:fs';
import { afterAll, beforeAll, expect, inject, test } from 'vitest';
import { Lake, Run } from '../tools/frazil.ts';
import { java } from '../tools/java.ts';
import { countOffsets, everyOffsetOnce } from '../tools/offsets.ts';
import { groupOffsets, orders, ordersConfig, pause, shortSessions } from '../tools/pipeline.ts';
import { python } from '../tools/python.ts';

/** The program as people and supervisors use it. */

const parts = { brokers: inject('brokers'), registry: inject('registry') };
const table = 'shop.orders';

beforeAll(() => java.call('configure', { brokers: parts.brokers }));
afterAll(async () => {
  await java.close();
  await python.close();
});

test('validate reports every problem at once, with line and column, and exits with 2', async () => {
  using lake = new Lake({});
  writeFileSync(
    lake.configFile,
    'pipeline: p\nsource:\n  broker: ["a:1"]\n  topics: [t]\ncommit: { interval: 60 }\n',
  );
  const run = lake.start('validate');
  expect(await run.exit).toBe(2);
  expect(run.stderr).toContain('3:3 source.broker: no such setting (fix: did you mean brokers?)');
  expect(run.stderr).toContain(
    '5:21 commit.interval: expected a duration, found 60 (fix: write it like 60s, 5m or 1h)',
  );
  const json = lake.start('validate', '--json');
  expect(await json.exit).toBe(2);
  expect(JSON.parse(json.stdout).problems.length).toBeGreaterThan(4);
  const started = lake.start('run');
  expect(await started.exit).toBe(2);
});

test('an unknown command or option exits with 2 and names the nearest', async () => {
  const run = new Run(['rn']);
  expect(await run.exit).toBe(2);
  expect(run.stderr).toContain('Did you mean run?');
  const help = new Run(['run', '--help']);
  expect(await help.exit).toBe(0);
  expect(help.stdout).toContain('Examples:');
});

test('peek shows decoded records and where they would go, and writes nothing', async () => {
  await orders('peeked', parts, 10, 1);
  const partitionBy = ['truncate(2, currency)', 'day(created_at)', 'bucket(4, order_id)'];
  using lake = new Lake(
    ordersConfig('peeked', parts, { tables: [{ table, topics: ['peeked'], create: true, partitionBy }] }),
  );
  const lines = (await lake.call('peek', '-n', '2', '--json'))
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line));
  expect(lines).toHaveLength(2);
  expect(lines[1]).toMatchObject({
    topic: 'peeked',
    partition: 0,
    offset: 1,
    key: null,
    tables: [
      {
        table,
        partition: expect.stringMatching(
          /^currency_trunc=GB\/created_at_day=\d{4}-\d\d-\d\d\/order_id_bucket=[0-3]$/,
        ),
        row: { order_id: 7000000000001, currency: 'GBP', _kafka_offset: 1 },
      },
    ],
  });
  const latest = await lake.call('peek', '-n', '1', '--from', 'latest');
  expect(latest).toContain('peeked-0@9');
  expect(latest).toMatch(/-> shop\.orders \(currency_trunc=.*\) \{"order_id":7000000000009/);
  const inspect = lake.start('inspect', table);
  expect(await inspect.exit).toBe(1);
  expect(inspect.stderr).toContain('inspecting table shop.orders: it does not exist in catalog lake');
});

test('inspect shows snapshots with their offset ranges, files, schema, and the lag of the ledger', async () => {
  await orders('inspected', parts, 1_000, 2);
  using lake = new Lake(ordersConfig('inspected', parts));
  await lake.catchUp();
  await orders('inspected', parts, 100, 2, 2);
  const report = JSON.parse(await lake.call('inspect', table, '--json', '--files'));
  expect(report).toMatchObject({
    table,
    ledger: 'known',
    totals: { rows: 1000, files: 1, snapshots: 1 },
    partitions: [
      { partition: 0, next: 500, logStart: 0, logEnd: 550, highWatermark: 550, lag: 50 },
      { partition: 1, next: 500, logStart: 0, logEnd: 550, highWatermark: 550, lag: 50 },
    ],
    snapshots: [
      {
        rows: 1000,
        offsets: [
          { partition: 0, from: null, next: 500 },
          { partition: 1, from: null, next: 500 },
        ],
      },
    ],
    files: [{ rows: 1000, offsets: { from: 0, to: 499 } }],
  });
  for (const { oldestAgeMs } of report.partitions) expect(oldestAgeMs).toBeGreaterThan(0);
  expect(report.columns.map(({ name }: { name: string }) => name)).toContain('_kafka_offset');
  const text = await lake.call('inspect', table);
  expect(text).toContain('shop.orders  1,000 rows in 1 files');
  expect(text).toContain('lag 100 records');
});

test('SIGTERM lands what was read, leaves the group and exits with 0; a second signal exits at once', async () => {
  const acknowledged = await orders('stopped', parts, 2_000);
  using lake = new Lake(ordersConfig('stopped', parts, { commit: { interval: '1h' } }));
  const run = lake.start('run');
  await run.logged('table opened');
  await pause(1_000);
  run.kill('SIGTERM');
  expect(await run.exit).toBe(0);
  expect(await countOffsets(lake, table)).toEqual(everyOffsetOnce(acknowledged));
  expect(await groupOffsets('stopped')).toEqual(acknowledged);
  const { members } = await java.call<{ members: unknown[] }>('describeGroup', { group: 'stopped' });
  expect(members).toEqual([]);

  await orders('stopped', parts, 100, 2, 2);
  // A catalog that cannot be reached keeps it from finishing.
  const stuck = lake.start('run');
  await stuck.logged('table opened');
  await pause(500);
  const { DatabaseSync } = await import('node:sqlite');
  const lock = new DatabaseSync(`${lake.folder}/lake/catalog.db`);
  lock.exec('BEGIN EXCLUSIVE');
  stuck.kill('SIGTERM');
  await pause(700);
  stuck.kill('SIGTERM');
  expect(await stuck.exit).toBe(1);
  expect(stuck.stderr).toContain('second signal: exiting at once');
  lock.close();
});

test('several processes with one configuration share the work of a bounded run', async () => {
  await shortSessions('shared');
  const acknowledged = await orders('shared', parts, 40_000, 8);
  using lake = new Lake(ordersConfig('shared', parts, { commit: { interval: '200ms' } }));
  const runs = [1, 2, 3].map(() => lake.start('run', '--until-caught-up'));
  for (const run of runs) expect(await run.exit, run.stderr.slice(-2000)).toBe(0);
  const rows = runs.map((run) => JSON.parse(run.stdout).rows as number);
  expect(rows.reduce((sum, n) => sum + n, 0)).toBe(40_000);
  expect(await countOffsets(lake, table)).toEqual(everyOffsetOnce(acknowledged));
});

test('one topic into two tables: each has every record, and one that is dropped stops the pipeline but not the other', async () => {
  const topic = 'fan-out';
  const config = ordersConfig(topic, parts, {
    tables: [
      { table: 'shop.a', topics: [topic], create: true },
      {
        table: 'shop.b',
        topics: [topic],
        create: true,
        partitionBy: ['currency', 'bucket(4, order_id)', 'hour(_kafka_timestamp)'],
      },
    ],
  });
  const acknowledged = await orders(topic, parts, 2_000);
  using lake = new Lake(config);
  await lake.catchUp();
  for (const each of ['shop.a', 'shop.b'])
    expect(await countOffsets(lake, each)).toEqual(everyOffsetOnce(acknowledged));
  const { partitionedBy } = JSON.parse(await lake.call('inspect', 'shop.b', '--json'));
  expect(partitionedBy).toEqual(['currency', 'bucket(4, order_id)', 'hour(_kafka_timestamp)']);
  const run = lake.start('run');
  await run.logged('table opened', 1);
  await java.call('dropTable', { catalog: lake.javaCatalog, name: 'lake', table: 'shop.b' });
  const more = await orders(topic, parts, 500, 2, 3);
  expect(await run.exit).toBe(1);
  expect(run.stderr).toContain('committing table shop.b: it was dropped');
  const all = acknowledged.map((count, i) => count + more[i]!);
  expect(await countOffsets(lake, 'shop.a')).toEqual(everyOffsetOnce(all));
  expect(await groupOffsets(topic)).toEqual(acknowledged);
});

test('startAt: latest is kept from the first start on; a time starts at the first record after it', async () => {
  const topic = 'start-latest';
  await orders(topic, parts, 100, 1);
  using lake = new Lake(
    ordersConfig(topic, parts, {
      source: { brokers: [parts.brokers], topics: [topic], startAt: 'latest' },
      commit: { interval: '1h' },
    }),
  );
  await shortSessions(topic);
  const run = lake.start('run');
  await run.logged('partitions start where startAt says');
  await pause(1_000);
  await orders(topic, parts, 50, 1, 2);
  await pause(1_000);
  // Gone before anything was committed: what came after the first start is not lost.
  run.kill('SIGKILL');
  await run.exit;
  await lake.catchUp();
  expect((await countOffsets(lake, table)).map(({ rows, min }) => [rows, min])).toEqual([[50, 100]]);

  const timed = 'start-time';
  await orders(timed, parts, 30, 1);
  await pause(1_500);
  const startAt = new Date().toISOString();
  await pause(500);
  await orders(timed, parts, 20, 1, 2);
  using other = new Lake(
    ordersConfig(timed, parts, { source: { brokers: [parts.brokers], topics: [timed], startAt } }),
  );
  await other.catchUp();
  expect((await countOffsets(other, table)).map(({ rows, min }) => [rows, min])).toEqual([[20, 30]]);
});

test('a fixed assignment reads its partitions only, without joining the group', async () => {
  const topic = 'fixed';
  await orders(topic, parts, 90, 3);
  using lake = new Lake(
    ordersConfig(topic, parts, {
      source: { brokers: [parts.brokers], topics: [topic], partitions: { [topic]: [0, 2] } },
    }),
  );
  await lake.catchUp();
  expect((await countOffsets(lake, table)).map(({ partition, rows }) => [partition, rows])).toEqual([
    [0, 30],
    [2, 30],
  ]);
  lake.configure(
    ordersConfig(topic, parts, {
      source: { brokers: [parts.brokers], topics: [topic], partitions: { [topic]: [7] } },
    }),
  );
  const run = lake.start('run', '--until-caught-up');
  expect(await run.exit).toBe(1);
  expect(run.stderr).toContain('assigning fixed-7: the topic has 3 partitions');
});
