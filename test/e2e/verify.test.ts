import { existsSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, inject, test } from 'vitest';
import { Lake } from '../tools/frazil.ts';
import { java } from '../tools/java.ts';
import { orders, ordersConfig } from '../tools/pipeline.ts';
import { python } from '../tools/python.ts';

/** `frazil verify` on tables that frazil has filled, that others have changed, and that others have made. */

const parts = { brokers: inject('brokers'), registry: inject('registry') };
const table = 'shop.orders';

beforeAll(() => java.call('configure', { brokers: parts.brokers }));
afterAll(async () => {
  await java.close();
  await python.close();
});

interface Report {
  verdict: string;
  summary: string;
  depth: string;
  after?: string;
  kafka?: string;
  files: number;
  partitions: object[];
  problems: {
    kind: string;
    message: string;
    topic?: string;
    partition?: number;
    from?: number;
    next?: number;
  }[];
  exceptions: { kind: string; message: string; partition?: number; count?: number }[];
}

async function verified(lake: Lake, ...options: string[]): Promise<Report> {
  const run = lake.start('verify', table, '--json', ...options);
  const code = await run.exit;
  expect(run.stderr).toBe('');
  // Ids of snapshots have more digits than a double.
  const report = JSON.parse(run.stdout.replaceAll(/("(?:snapshot|after)": )(\d+)/g, '$1"$2"')) as Report;
  expect(code).toBe(report.verdict === 'sound' ? 0 : 1);
  return report;
}

const theirs = (lake: Lake): { catalog: object; name: string; table: string } => ({
  catalog: lake.pythonCatalog,
  name: 'lake',
  table,
});
const kinds = (report: Report): string[] => [...new Set(report.problems.map(({ kind }) => kind))];

/** A lake with two commits of 1,000 orders each. */
async function landedTwice(pipeline: string): Promise<Lake> {
  const lake = new Lake(ordersConfig(pipeline, parts));
  for (const seed of [1, 2]) {
    await orders(pipeline, parts, 1_000, 2, seed);
    await lake.catchUp();
  }
  return lake;
}

test('a table is sound as it was landed, rewritten, and expired; the ledger agrees with the log', async () => {
  using lake = await landedTwice('verified');
  await orders('verified', parts, 100, 2, 3);
  for (const options of [[], ['--quick'], ['--deep']]) {
    const report = await verified(lake, ...options);
    expect(report).toMatchObject({ verdict: 'sound', problems: [], exceptions: [] });
    expect(report.partitions).toMatchObject([
      {
        topic: 'verified',
        partition: 0,
        from: 0,
        next: 1000,
        logStart: 0,
        logEnd: 1050,
        retained: 1050,
        toCome: 50,
      },
      {
        topic: 'verified',
        partition: 1,
        from: 0,
        next: 1000,
        logStart: 0,
        logEnd: 1050,
        retained: 1050,
        toCome: 50,
      },
    ]);
  }
  const text = await lake.call('verify', table);
  expect(text.trim().split('\n').at(-1)).toBe(
    'sound: shop.orders: 2,000 rows in 2 files, 2 partitions; claims join without gap or overlap',
  );
  const iceberg = { catalog: lake.javaCatalog, name: 'lake', table };
  await java.call('rewriteDataFiles', iceberg);
  expect(await verified(lake, '--deep')).toMatchObject({
    verdict: 'sound',
    files: 1,
    problems: [],
    exceptions: [],
  });
  await java.call('expireSnapshots', { ...iceberg, retainLast: 1 });
  for (const options of [[], ['--deep', '--strict']]) {
    const report = await verified(lake, ...options);
    expect(report).toMatchObject({ verdict: 'sound', problems: [] });
    expect(report.exceptions.map(({ kind }) => kind)).toEqual(['history-expired']);
  }
});

test('what others have deleted and doubled is found and named', async () => {
  using lake = await landedTwice('corrupted');
  const before = await python.call<{ rows: { _kafka_partition: string; _kafka_offset: string }[] }>(
    'readTable',
    { ...theirs(lake) },
  );
  const doubled = before.rows.filter(
    ({ _kafka_partition: p, _kafka_offset: o }) => p === '1' && ['7', '8', '900'].includes(o),
  );
  expect(doubled).toHaveLength(3);
  await python.call('append', { ...theirs(lake), rows: doubled });
  const appended = await verified(lake);
  expect(appended.summary).toBe('unsound: 2 duplicates in shop.orders');
  expect(
    appended.problems.map(({ kind, topic, partition, from, next }) => [kind, topic, partition, from, next]),
  ).toEqual([
    ['duplicate', 'corrupted', 1, 7, 9],
    ['duplicate', 'corrupted', 1, 900, 901],
  ]);
  const filter = {
    op: 'and',
    left: { op: 'eq', field: '_kafka_partition', value: '0' },
    right: { op: 'lt', field: '_kafka_offset', value: '3' },
  };
  await python.call('deleteRows', { ...theirs(lake), filter });
  const deleted = await verified(lake);
  expect(kinds(deleted)).toEqual(['deleted-rows', 'duplicate']);
  expect(deleted.exceptions).toContainEqual(
    expect.objectContaining({ kind: 'deleted-rows', partition: 0, from: 0, next: 3, count: 3 }),
  );
  expect(kinds(await verified(lake, '--allow-deletes'))).toEqual(['duplicate']);
});

test('a data file that is gone, and a table that was rolled back', async () => {
  using lake = await landedTwice('damaged');
  const { currentSnapshotId, snapshots } = await java.call<{
    currentSnapshotId: string;
    snapshots: { id: string }[];
  }>('readTable', { catalog: lake.javaCatalog, name: 'lake', table });
  expect(snapshots[1]!.id).toBe(currentSnapshotId);
  const { files } = JSON.parse(await lake.call('inspect', table, '--json', '--files'));
  await java.call('rollback', {
    catalog: lake.javaCatalog,
    name: 'lake',
    table,
    snapshotId: snapshots[0]!.id,
  });
  const rolledBack = await verified(lake, '--no-kafka');
  expect(rolledBack.problems).toMatchObject([
    { kind: 'rolled-back', partition: 0, from: 500, next: 1000 },
    { kind: 'rolled-back', partition: 1, from: 500, next: 1000 },
  ]);
  for (const { path } of files) rmSync(path.replace('file://', ''));
  const run = lake.start('verify', table);
  expect(await run.exit).toBe(1);
  expect(run.stdout).toMatch(
    /problem {2}missing-file: .*\.parquet, added by snapshot \d+, is gone with its 1000 rows/,
  );
  expect(run.stdout).toContain(
    'problem  gap: damaged-0 offsets [0, 500): no row; the log has a record there',
  );
  expect(run.stdout.trim().split('\n').at(-1)).toMatch(
    /^unsound: .*1 missing file, 2 rollbacks not replayed in shop\.orders$/,
  );
});

test('the log tells why offsets have no row: transactions, tombstones, and what policy leaves out', async () => {
  const topic = 'transacted';
  const { sent, visible } = await java.call<{ sent: number; visible: number }>('transactions', {
    topic,
    scenario: 'mixed',
  });
  const encode = (text: string): string => Buffer.from(text).toString('base64');
  const records = [
    ...Array.from({ length: 20 }, (_, i) => ({ key: null, value: encode(JSON.stringify({ n: i })) })),
    { key: encode('k'), value: null },
    { key: null, value: encode('no JSON') },
  ];
  await java.call('produce', { topic, partition: 0, records });
  using lake = new Lake({
    pipeline: topic,
    source: { brokers: parts.brokers, topics: [topic] },
    decode: { value: { format: 'json' }, onError: 'skip' },
    tables: [{ table, topics: [topic], create: true, schema: [{ name: 'n', type: 'long' }] }],
    lanes: 1,
  });
  expect(await lake.catchUp()).toMatchObject({ rows: 20, tombstones: 1, undecodable: visible + 1 });
  const report = await verified(lake, '--strict');
  expect(report).toMatchObject({ verdict: 'sound', depth: 'columns', problems: [] });
  const counts = Object.fromEntries(report.exceptions.map(({ kind, count }) => [kind, count]));
  expect(counts).toMatchObject({ tombstone: 1, 'left-out': visible + 1, aborted: sent - visible });
  expect(counts['control']).toBeGreaterThan(0);
  const [{ next }] = report.partitions as [{ next: number }];
  expect(Object.values(counts).reduce((sum, count) => sum! + count!, 0)).toBe(next - 20);
  const alone = await verified(lake, '--no-kafka');
  expect(alone.exceptions.map(({ kind, count }) => [kind, count])).toEqual([
    ['left-out', visible + 2],
    ['no-row', next - visible - 22],
  ]);
});

test('--state goes on from where the last sound run ended, also when its snapshots have expired', async () => {
  using lake = await landedTwice('resumed');
  const state = join(lake.folder, 'verified.json');
  expect(await verified(lake, '--state', state)).toMatchObject({ verdict: 'sound', files: 2 });
  await orders('resumed', parts, 500, 2, 3);
  await lake.catchUp();
  const second = await verified(lake, '--state', state);
  expect(second).toMatchObject({ verdict: 'sound', files: 1, exceptions: [] });
  expect(second.after).toMatch(/^\d+$/);
  await java.call('expireSnapshots', { catalog: lake.javaCatalog, name: 'lake', table, retainLast: 1 });
  await orders('resumed', parts, 500, 2, 4);
  await lake.catchUp();
  expect(await verified(lake, '--state', state)).toMatchObject({
    verdict: 'sound',
    files: 1,
    exceptions: [],
  });
  const remembered = readFileSync(state, 'utf8');
  const { rows } = await python.call<{ rows: object[] }>('readTable', { ...theirs(lake) });
  await python.call('append', { ...theirs(lake), rows: rows.slice(0, 1) });
  const last = await verified(lake, '--state', state);
  expect(last.summary).toBe('unsound: 1 duplicate in shop.orders');
  expect(existsSync(`${state}.part`)).toBe(false);
  expect(readFileSync(state, 'utf8')).toBe(remembered);
});

test('a table that PyIceberg has made and filled, with a gap and a duplicate', async () => {
  using lake = new Lake(ordersConfig('others', parts));
  const field = (id: number, name: string, type: string): object => ({ id, name, required: false, type });
  const schema = {
    type: 'struct',
    'schema-id': 0,
    fields: [field(1, 'p', 'int'), field(2, 'o', 'long'), field(3, 't', 'string')],
  };
  await lake.start('inspect', table).exit; // makes the catalog file
  await python.call('createTable', { ...theirs(lake), schema });
  const rows = (p: number, offsets: number[]): object[] =>
    offsets.map((o) => ({ p: String(p), o: String(o), t: 'clicks' }));
  const columns = ['--topic-column', 't', '--partition-column', 'p', '--offset-column', 'o', '--no-kafka'];
  await python.call('append', { ...theirs(lake), rows: [...rows(0, [0, 1, 2, 3]), ...rows(1, [5, 6])] });
  await python.call('append', { ...theirs(lake), rows: rows(0, [4, 5, 6]) });
  expect(await verified(lake, ...columns)).toMatchObject({
    verdict: 'sound',
    partitions: [
      { topic: 'clicks', partition: 0, from: 0, next: 7, rows: 7 },
      { topic: 'clicks', partition: 1, from: 5, next: 7, rows: 2 },
    ],
  });
  await python.call('append', { ...theirs(lake), rows: [...rows(0, [6, 9]), ...rows(1, [7, 7])] });
  const report = await verified(lake, ...columns);
  expect(report.summary).toBe('unsound: 1 gap, 2 duplicates in shop.orders');
  expect(
    report.problems.map(({ kind, topic, partition, from, next }) => [kind, topic, partition, from, next]),
  ).toEqual([
    ['duplicate', 'clicks', 0, 6, 7],
    ['duplicate', 'clicks', 1, 7, 8],
    ['gap', 'clicks', 0, 7, 9],
  ]);
  const unknown = lake.start('verify', table, '--offset-column', 'position');
  expect(await unknown.exit).toBe(1);
  expect(unknown.stderr).toContain('it has neither a ledger of a pipeline nor a column position');
});

test('a command line that asks for what excludes itself exits with 1, a bad one with 2', async () => {
  using lake = new Lake(ordersConfig('asked', parts));
  const both = lake.start('verify', table, '--deep', '--quick');
  expect(await both.exit).toBe(1);
  expect(both.stderr).toContain('--deep and --quick exclude each other');
  expect(await lake.start('verify', table, '--from', 'yesterday').exit).toBe(2);
  const absent = lake.start('verify', table);
  expect(await absent.exit).toBe(1);
  expect(absent.stderr).toContain('verifying table shop.orders: it does not exist in catalog lake');
});
