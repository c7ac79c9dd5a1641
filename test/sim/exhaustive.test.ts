import { expect, test } from 'vitest';
import { runProgram } from './apart.ts';

test.concurrent.each([
  ['location', '1'],
  ['requirements', '1'],
  ['version', '0'],
  ['newest', '0'],
])(
  'two workers, in every order: a catalog that compares by %s, up to %s faults',
  { timeout: 300_000 },
  async (catalog, faults) => {
    const { status, output } = await runProgram('exhaustive.ts', '--catalog', catalog, '--faults', faults);
    expect(output).toContain('all well');
    expect(status).toBe(0);
  },
);

test.concurrent.each([
  ['no compare-and-swap in the metastore (I1)', 'location'],
  ['no offset check at all (I1)', 'requirements'],
  ['a refusal is believed without a look at the table (I4)', 'version'],
])('finds: %s', { timeout: 300_000 }, async (mutant, catalog) => {
  const { status, output } = await runProgram('exhaustive.ts', '--catalog', catalog, '--mutant', mutant);
  expect(output).toMatch(/\n {2}w[12]: /);
  expect(status).toBe(1);
});
