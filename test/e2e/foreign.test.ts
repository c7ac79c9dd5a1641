import { afterAll, beforeAll, expect, inject, test } from 'vitest';
import { Lake } from '../tools/frazil.ts';
import { java } from '../tools/java.ts';
import { countOffsets, everyOffsetOnce } from '../tools/offsets.ts';
import { groupOffsets, orders, ordersConfig } from '../tools/pipeline.ts';
import { python } from '../tools/python.ts';

/** What others do to our tables behind our back, and what becomes of it (the cases of `resolveLedger`). */

const parts = { brokers: inject('brokers'), registry: inject('registry') };
const table = 'shop.orders';

beforeAll(() => java.call('configure', { brokers: parts.brokers }));
afterAll(async () => {
  await java.close();
  await python.close();
});

const iceberg = <T>(lake: Lake, command: string, args: object = {}): Promise<T> =>
  java.call<T>(command, { catalog: lake.javaCatalog, name: 'lake', table, ...args });

interface TableView {
  currentSnapshotId: string;
  snapshots: { id: string; operation: string }[];
  properties: Record<string, string>;
}

/** A lake with two commits of 1,000 orders each. */
async function landedTwice(
  pipeline: string,
  more: object = {},
): Promise<{ lake: Lake; acknowledged: number[] }> {
  const lake = new Lake(ordersConfig(pipeline, parts, more));
  const first = await orders(pipeline, parts, 1_000);
  await lake.catchUp();
  const second = await orders(pipeline, parts, 1_000, 2, 2);
  await lake.catchUp();
  return { lake, acknowledged: first.map((count, i) => count + second[i]!) };
}

/** One more round of orders, and everything there exactly once. */
async function landsOn(lake: Lake, pipeline: string, acknowledged: number[]): Promise<void> {
  const more = await orders(pipeline, parts, 500, 2, 3);
  await lake.catchUp();
  const all = acknowledged.map((count, i) => count + more[i]!);
  expect(await countOffsets(lake, table)).toEqual(everyOffsetOnce(all));
}

test('data files rewritten by Java: the ledger is found behind its snapshot', async () => {
  const { lake, acknowledged } = await landedTwice('rewritten');
  using _ = lake;
  await iceberg(lake, 'rewriteDataFiles');
  await landsOn(lake, 'rewritten', acknowledged);
});

test('our snapshots expired: the ledger is taken from the property', async () => {
  const { lake, acknowledged } = await landedTwice('expired');
  using _ = lake;
  await iceberg(lake, 'rewriteDataFiles');
  const { snapshots } = await iceberg<TableView>(lake, 'expireSnapshots', { retainLast: 1 });
  expect(snapshots.map(({ operation }) => operation)).toEqual(['replace']);
  await landsOn(lake, 'expired', acknowledged);
});

test('rows appended and overwritten by PyIceberg in between', async () => {
  const { lake, acknowledged } = await landedTwice('appended');
  using _ = lake;
  const reader = { catalog: lake.pythonCatalog, name: 'lake', table };
  const { rows } = await python.call<{ rows: object[] }>('readTable', reader);
  await python.call('overwrite', { ...reader, rows });
  await landsOn(lake, 'appended', acknowledged);
});

/** Rolls back to the first commit. @returns the snapshots as they were. */
async function rollBack(lake: Lake): Promise<TableView> {
  const before = await iceberg<TableView>(lake, 'readTable');
  await iceberg(lake, 'rollback', { snapshotId: before.snapshots[0]!.id });
  return before;
}

test('a rollback stops the pipeline, says what is missing, and moves nothing', async () => {
  const { lake } = await landedTwice('rolled-back');
  using _ = lake;
  await rollBack(lake);
  await orders('rolled-back', parts, 500, 2, 3);
  const offsets = await groupOffsets('rolled-back');
  const run = lake.start('run', '--until-caught-up');
  expect(await run.exit).toBe(1);
  expect(run.stderr).toContain('table shop.orders has gone back behind what pipeline rolled-back has landed');
  expect(run.stderr).toContain('"e":[1000,1000]');
  expect(run.stderr).toContain('onRollback: replay');
  expect(await groupOffsets('rolled-back')).toEqual(offsets);
});

test('onRollback: replay lands the missing offsets again', async () => {
  const { lake, acknowledged } = await landedTwice('replayed');
  using _ = lake;
  await rollBack(lake);
  lake.configure(
    ordersConfig('replayed', parts, { tables: [{ table, topics: ['replayed'], onRollback: 'replay' }] }),
  );
  await landsOn(lake, 'replayed', acknowledged);
});

test('onRollback: skip leaves the missing offsets out', async () => {
  const { lake } = await landedTwice('skipped');
  using _ = lake;
  await rollBack(lake);
  lake.configure(
    ordersConfig('skipped', parts, { tables: [{ table, topics: ['skipped'], onRollback: 'skip' }] }),
  );
  const more = await orders('skipped', parts, 500, 2, 3);
  await lake.catchUp();
  const counts = await countOffsets(lake, table);
  expect(counts.map(({ rows, distinct, max }) => [rows, distinct, max])).toEqual(
    more.map((count) => [500 + count, 500 + count, 999 + count]),
  );
});

test("the operator's word in the table decides once and is used up", async () => {
  const { lake, acknowledged } = await landedTwice('decided');
  using _ = lake;
  const { currentSnapshotId } = await rollBack(lake);
  await iceberg(lake, 'setProperties', {
    properties: { 'frazil.decided.resolution': `${currentSnapshotId} replay` },
  });
  await landsOn(lake, 'decided', acknowledged);
  const { properties } = await iceberg<TableView>(lake, 'readTable');
  expect(Object.keys(properties)).not.toContain('frazil.decided.resolution');
});

test('CREATE OR REPLACE TABLE stops the pipeline; replay fills the new table from the start', async () => {
  const { lake, acknowledged } = await landedTwice('replaced');
  using _ = lake;
  const { schema, spec } = await iceberg<{ schema: object; spec: object }>(lake, 'readTable');
  await iceberg(lake, 'replaceTable', { schema, spec });
  const run = lake.start('run', '--until-caught-up');
  expect(await run.exit).toBe(1);
  expect(run.stderr).toContain('has gone back behind');
  lake.configure(
    ordersConfig('replaced', parts, { tables: [{ table, topics: ['replaced'], onRollback: 'replay' }] }),
  );
  await landsOn(lake, 'replaced', acknowledged);
});

test('a table dropped under a running worker stops it loudly, offsets unmoved', async () => {
  const { lake } = await landedTwice('dropped');
  using _ = lake;
  const run = lake.start('run');
  await run.logged('table opened');
  await iceberg(lake, 'dropTable');
  const offsets = await groupOffsets('dropped');
  await orders('dropped', parts, 500, 2, 3);
  expect(await run.exit).toBe(1);
  expect(run.stderr).toMatch(
    /committing table shop.orders: it was dropped; what has not landed is still in Kafka/,
  );
  expect(await groupOffsets('dropped')).toEqual(offsets);
});

test('a table dropped and made anew under a running worker stops it', async () => {
  const { lake } = await landedTwice('made-anew');
  using _ = lake;
  const { schema, spec } = await iceberg<{ schema: object; spec: object }>(lake, 'readTable');
  const run = lake.start('run');
  await run.logged('table opened');
  await iceberg(lake, 'dropTable');
  await python.call('createTable', { catalog: lake.pythonCatalog, name: 'lake', table, schema, spec });
  await orders('made-anew', parts, 500, 2, 3);
  expect(await run.exit).toBe(1);
  expect(run.stderr).toContain('it was dropped and made anew');
});

test('a table dropped and made anew while nothing ran is new: it goes on at the group offsets', async () => {
  const { lake } = await landedTwice('begun-anew');
  using _ = lake;
  const { schema, spec } = await iceberg<{ schema: object; spec: object }>(lake, 'readTable');
  await iceberg(lake, 'dropTable');
  await python.call('createTable', { catalog: lake.pythonCatalog, name: 'lake', table, schema, spec });
  const more = await orders('begun-anew', parts, 500, 2, 3);
  await lake.catchUp();
  const counts = await countOffsets(lake, table);
  expect(counts.map(({ rows, min }) => [rows, min])).toEqual(more.map((count) => [count, 1_000]));
});

test('a rollback under a running worker is noticed by its next commit, and replayed', async () => {
  const { lake, acknowledged } = await landedTwice('noticed', {
    tables: [{ table, topics: ['noticed'], create: true, onRollback: 'replay' }],
  });
  using _ = lake;
  const run = lake.start('run');
  await run.logged('table opened');
  await rollBack(lake);
  const more = await orders('noticed', parts, 500, 2, 3);
  await run.logged('committed', 0);
  run.kill('SIGTERM');
  expect(await run.exit).toBe(0);
  await lake.catchUp();
  const all = acknowledged.map((count, i) => count + more[i]!);
  expect(await countOffsets(lake, table)).toEqual(everyOffsetOnce(all));
});
