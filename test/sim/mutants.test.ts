import { expect, test } from 'vitest';
import { runApart } from './apart.ts';
import { mutants } from './mutants.ts';
import { readTable } from './readme.ts';

/** Where the seed that first found a bug does so no more, after a change of the core, one of the next ones should. */
const seedsMax = 100;

const found = readTable('planted bug');

test('README.md tells of every planted bug how many seeds it took', () => {
  expect([...found.keys()]).toEqual(mutants.map(({ name }) => name));
});

test.concurrent.each(mutants)('the simulator finds: $name', { timeout: 600_000 }, async ({ name }) => {
  const seed = String(found.get(name));
  const { status, output } = await runApart(
    ...['--mutant', name, '--seed', seed, '--seeds', String(seedsMax), '--jobs', '1'],
  );
  expect(output).toMatch(/^seed \d+ /m);
  expect(status).toBe(1);
});
