import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { humanLog } from '../../../src/worker/log.ts';

const module = fileURLToPath(new URL('../../../src/worker/log.ts', import.meta.url));

test('a line for people has time, level, message and details; bigints are shown whole', () => {
  const lines: string[] = [];
  const log = humanLog('info', (line) => lines.push(line));
  log.info('committed', { table: 'shop.orders', rows: 7, snapshot: 9007199254740993n, keys: ['a'] });
  log.warn('plain');
  expect(lines.map((line) => line.replace(/^\d\d:\d\d:\d\d/, 'TIME'))).toEqual([
    'TIME info  committed table=shop.orders rows=7 snapshot=9007199254740993 keys=["a"]',
    'TIME warn  plain',
  ]);
});

test.each([
  ['debug', ['debug', 'info', 'warn', 'error']],
  ['info', ['info', 'warn', 'error']],
  ['warn', ['warn', 'error']],
  ['error', ['error']],
] as const)('at level %s lines of lower levels are left out', (level, told) => {
  const lines: string[] = [];
  const log = humanLog(level, (line) => lines.push(line.split(' ')[1]!));
  for (const each of ['debug', 'info', 'warn', 'error'] as const) log[each]('x');
  expect(lines).toEqual(told);
});

test('JSON lines go to standard error, one object each: standard output is for results', () => {
  const script = `import { jsonLog } from ${JSON.stringify(module)};
    const log = jsonLog('info');
    log.debug('left out');
    log.warn('committed', { snapshot: 9007199254740993n, rows: 7 });`;
  const run = spawnSync(process.execPath, ['--input-type=module', '-e', script], { encoding: 'utf8' });
  expect([run.status, run.stdout]).toEqual([0, '']);
  const lines = run.stderr.trim().split('\n');
  expect(lines).toHaveLength(1);
  expect(JSON.parse(lines[0]!)).toEqual({
    level: 'warn',
    time: expect.stringMatching(/^\d{4}-\d\d-\d\dT.*Z$/),
    snapshot: '9007199254740993',
    rows: 7,
    msg: 'committed',
  });
});
