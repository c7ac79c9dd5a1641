import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { runApart } from './apart.ts';
import { found } from './mutants.ts';
import { readReplay } from './shrink.ts';

const regressions = join(import.meta.dirname, 'regressions');
const folder = mkdtempSync(join(tmpdir(), 'frazil-shrink-'));
afterAll(() => rmSync(folder, { recursive: true }));

test.each(readdirSync(regressions))('what failed once does so no more: %s', async (file) => {
  const { status, output } = await runApart('--replay', join(regressions, file));
  expect(output).toContain('all well');
  expect(status).toBe(0);
});

test.each(found)('it would be noticed again: $name', async ({ name, kept }) => {
  const { status } = await runApart('--mutant', name, '--replay', join(regressions, kept));
  expect(status).toBe(1);
});

test('a failure is reduced to the few events that it takes', { timeout: 120_000 }, async () => {
  const bug = ['--mutant', 'a refusal is believed without a look at the table (I4)'];
  const file = join(folder, 'shortest.json');
  const { output } = await runApart(...bug, '--seeds', '100', '--jobs', '1', '--shrink', '--out', file);
  const { events, violation } = readReplay(file);
  expect(events.length).toBeLessThanOrEqual(10);
  expect(violation).toContain('I4');
  expect(output).toContain(events.join('\n  '));
  // They do it again, by the bug and not by themselves.
  const planted = await runApart(...bug, '--replay', file);
  expect([planted.status, planted.output]).toEqual([1, expect.stringContaining(violation)]);
  const { status } = await runApart('--replay', file);
  expect(status).toBe(0);
});
