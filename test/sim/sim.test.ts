import { expect, test } from 'vitest';
import { runApart } from './apart.ts';
import { commitHash } from './commit-hash.ts';
import { marks } from './marks.ts';
import { readTable } from './readme.ts';

test('every record lands exactly once in a thousand worlds, in which every marked branch is taken', {
  timeout: 600_000,
}, async () => {
  const { status, output } = await runApart('--seeds', '1000', '--marks');
  expect(output).toContain('1000 seeds');
  expect(status).toBe(0);
  const taken = Array.from(output.matchAll(/^\| (.*) \| [1-9]\d* \|$/gm), ([, name]) => name);
  expect(taken).toEqual(marks.map(({ name }) => name));
});

test('README.md lists the marked branches', () => {
  expect([...readTable('branch').keys()]).toEqual(marks.map(({ name }) => name));
});

test('every record lands exactly once in a hundred worlds of this very commit', {
  timeout: 600_000,
}, async () => {
  // Without git, in those of no commit.
  const seed = Number.parseInt((commitHash() ?? '').slice(0, 8) || '0', 16);
  const { status, output } = await runApart('--seed', String(seed), '--seeds', '100');
  expect(output).toContain('100 seeds');
  expect(status).toBe(0);
});
