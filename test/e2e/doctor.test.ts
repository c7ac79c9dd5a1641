import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, inject, test } from 'vitest';
import { Lake } from '../tools/frazil.ts';
import { java } from '../tools/java.ts';
import { Localstack } from '../tools/localstack.ts';
import { orders, ordersConfig } from '../tools/pipeline.ts';

/** What `frazil doctor` says of real parts that are well, and of parts that are not. */

const parts = { brokers: inject('brokers'), registry: inject('registry') };
const pipeline = 'examined';
let stack: Localstack;

beforeAll(async () => {
  stack = await Localstack.start(['postgres']);
  await java.call('configure', { brokers: parts.brokers });
  await orders(pipeline, parts, 100);
});
afterAll(async () => {
  await java.close();
  await stack.stop();
});

interface Report {
  sound: boolean;
  findings: { status: string; what: string; found: string; fix?: string }[];
}

/** Findings by what was looked at. */
async function examine(lake: Lake, ...options: string[]): Promise<Record<string, Report['findings'][0]>> {
  const run = lake.start('doctor', '--json', ...options);
  const code = await run.exit;
  expect(run.stderr).toBe('');
  const { sound, findings } = JSON.parse(run.stdout) as Report;
  expect(code).toBe(sound ? 0 : 1);
  return Object.fromEntries(findings.map((finding) => [finding.what, finding]));
}

const statuses = (findings: Record<string, { status: string }>): Record<string, string> =>
  Object.fromEntries(Object.entries(findings).map(([what, { status }]) => [what, status]));

const allOk = {
  node: 'ok',
  configuration: 'ok',
  brokers: 'ok',
  group: 'ok',
  registry: 'ok',
  'table shop.orders': 'ok',
  store: 'ok',
  commits: 'ok',
  memory: 'ok',
};

test.each([
  ['examined-sqlite', () => ({})],
  [
    'examined-postgres',
    () => ({
      catalog: { type: 'postgres', url: stack.env['FRAZIL_POSTGRES'], name: 'lake', warehouse: './lake' },
    }),
  ],
])('all is well with %s, before anything has landed and afterwards', async (name, more) => {
  await orders(name, parts, 100);
  using lake = new Lake({});
  lake.configure(ordersConfig(name, parts, more()));
  const before = await examine(lake, '--scratch-table');
  expect(statuses(before)).toMatchObject({ ...allOk, [`topic ${name}`]: 'ok' });
  expect(before['commits']!.found).toContain('of two commits onto the same state of it one was refused');
  await lake.catchUp();
  const after = await examine(lake);
  expect(statuses(after)).toMatchObject({ ...allOk, commits: 'skipped' });
  expect(after['table shop.orders']!.found).toContain(`pipeline ${name} has landed in it`);
  // The run that landed was neither helped nor harmed: nothing of the checks is in the catalog.
  const inspected = JSON.parse(await lake.call('inspect', 'shop.orders', '--json'));
  expect(inspected.totals.rows).toBe(100);
});

test('people get one line for each check, and a summary', async () => {
  using lake = new Lake(ordersConfig(pipeline, parts));
  const lines = (await lake.call('doctor')).trim().split('\n');
  expect(lines[0]).toMatch(/^ok {7}node {2,}v\d+/);
  expect(lines).toContainEqual(expect.stringMatching(/^ok {7}topic examined +2 partitions, readable;/));
  expect(lines).toContainEqual(expect.stringMatching(/^skipped {2}commits .*--scratch-table$/));
  expect(lines.at(-1)).toMatch(/^(\d warnings?, )?\d skipped, \d+ ok$/);
});

test('a topic that is missing', async () => {
  using lake = new Lake(ordersConfig('missing', parts));
  expect((await examine(lake))['topic missing']).toMatchObject({
    status: 'failed',
    found: 'asking for the metadata of missing: UNKNOWN_TOPIC_OR_PARTITION',
    fix: 'make the topic, or correct source.topics',
  });
});

test('brokers and a registry that are down fail at once; the rest is looked at all the same', async () => {
  using lake = new Lake(ordersConfig(pipeline, { brokers: '127.0.0.1:2', registry: 'http://127.0.0.1:2' }));
  const begin = performance.now();
  const findings = await examine(lake);
  expect(statuses(findings)).toMatchObject({
    brokers: 'failed',
    'topic examined': 'skipped',
    group: 'skipped',
    registry: 'failed',
    'table shop.orders': 'ok',
    store: 'ok',
  });
  expect(findings['registry']!.found).toContain('ECONNREFUSED');
  expect(performance.now() - begin).toBeLessThan(60_000);
});

test('a warehouse that cannot be written', async () => {
  using lake = new Lake({});
  writeFileSync(join(lake.folder, 'file'), '');
  lake.configure(
    ordersConfig(pipeline, parts, {
      catalog: { type: 'sqlite', path: './catalog.db', name: 'lake', warehouse: './file/lake' },
    }),
  );
  const { store } = await examine(lake);
  expect(store).toMatchObject({
    status: 'failed',
    found: expect.stringMatching(/^writing file:\/\/\/.*\/file\/lake\/frazil-doctor-[0-9a-f-]{36}: ENOTDIR/),
  });
});

test('a password that is wrong, which is not shown', async () => {
  using lake = new Lake({});
  lake.configure(
    ordersConfig(pipeline, parts, {
      catalog: {
        type: 'postgres',
        url: stack.env['FRAZIL_POSTGRES']!.replace('postgres@', 'nobody:s3cret@'),
        name: 'lake',
        warehouse: './lake',
      },
    }),
  );
  const findings = await examine(lake);
  expect(findings['table shop.orders']).toMatchObject({
    status: 'failed',
    found: expect.stringMatching(
      /password authentication failed for user "nobody": correct user and password in catalog.url$/,
    ),
  });
  expect(JSON.stringify(findings)).not.toContain('s3cret');
});

test('a table whose files are gone', async () => {
  await orders('bereft', parts, 10);
  using lake = new Lake(ordersConfig('bereft', parts));
  await lake.catchUp();
  rmSync(join(lake.folder, 'lake/shop'), { recursive: true });
  expect((await examine(lake))['table shop.orders']).toMatchObject({
    status: 'failed',
    found: expect.stringContaining('which is missing'),
  });
});

test('a configuration that cannot be used exits with 2; --help shows how', async () => {
  using lake = new Lake({ pipeline: 'p' });
  const run = lake.start('doctor');
  expect(await run.exit).toBe(2);
  expect(run.stderr).toContain('problems');
  const help = lake.start('doctor', '--help');
  expect(await help.exit).toBe(0);
  expect(help.stdout).toContain('Examples:');
});
