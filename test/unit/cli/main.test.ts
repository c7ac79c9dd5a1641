import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

/** The program as a process: what it prints and how it exits. Nothing here needs Kafka. */

const program = fileURLToPath(new URL('../../../src/cli/main.ts', import.meta.url));
const folder = mkdtempSync(join(tmpdir(), 'frazil-cli-'));
const sound = join(folder, 'sound.yaml');
const unsound = join(folder, 'unsound.yaml');

interface Run {
  code: number;
  stdout: string;
  stderr: string;
}

function run(...args: string[]): Promise<Run> {
  return new Promise((resolve) =>
    execFile(process.execPath, [program, ...args], (error, stdout, stderr) =>
      resolve({ code: error ? Number(error.code) : 0, stdout, stderr }),
    ),
  );
}

beforeAll(() => {
  const config = {
    pipeline: 'shop',
    source: { brokers: ['127.0.0.1:1'], topics: ['orders'] },
    catalog: { type: 'sqlite', path: './catalog.db', name: 'lake', warehouse: './lake' },
    decode: { value: { format: 'json' } },
    tables: [
      { table: 'shop.orders', topics: ['orders'], create: true, schema: [{ name: 'n', type: 'long' }] },
    ],
  };
  writeFileSync(sound, JSON.stringify(config));
  writeFileSync(unsound, JSON.stringify({ ...config, pipelines: 'p' }));
});
afterAll(() => rmSync(folder, { recursive: true }));

describe.concurrent('the program exits', () => {
  test('with 0 when it has done what it was asked', async () => {
    const [version, valid] = await Promise.all([run('--version'), run('validate', '-c', sound)]);
    expect(version).toEqual({ code: 0, stdout: expect.stringMatching(/^\d+\.\d+\.\d+\n$/), stderr: '' });
    expect(valid).toEqual({ code: 0, stdout: `${sound}: sound\n`, stderr: '' });
  });

  test('with 1 when it failed, and says at what', async () => {
    const { code, stdout, stderr } = await run('inspect', 'shop.nothing', '-c', sound);
    expect([code, stdout]).toEqual([1, '']);
    expect(stderr).toBe('frazil: inspecting table shop.nothing: it does not exist in catalog lake\n');
  });

  test('with 2 for a configuration that cannot be used', async () => {
    const { code, stdout, stderr } = await run('run', '-c', unsound);
    expect([code, stdout]).toEqual([2, '']);
    expect(stderr).toMatch(
      /^frazil: reading configuration .*unsound\.yaml: 1 problem\n .*pipelines: no such setting/,
    );
  });

  test('with 2 and the problems as JSON where that is asked for', async () => {
    const { code, stdout, stderr } = await run('validate', '--json', '-c', unsound);
    expect([code, stderr]).toEqual([2, '']);
    expect(JSON.parse(stdout)).toMatchObject({ valid: false, problems: [{ path: 'pipelines' }] });
  });

  test.each([
    [['run'], "required option '-c, --config <file>' not specified"],
    [['peek', '-c', sound, '--from', 'middle'], 'Allowed choices are earliest, latest.'],
    [['peek', '-c', sound, '-n', 'five'], 'Expected a whole number above 0.'],
  ])('with 2 for a command line that makes no sense: %j', async (args, message) => {
    const { code, stdout, stderr } = await run(...args);
    expect([code, stdout]).toEqual([2, '']);
    expect(stderr).toContain(message);
    expect(stderr).toContain('--help shows');
  });
});
