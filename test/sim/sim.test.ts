import { expect, test } from 'vitest';
import { runApart } from './apart.ts';
import { commitHash } from './commit-hash.ts';

/** Each commit is tried on worlds of its own; without git, on those of no commit. */
const ofCommit = Number.parseInt((commitHash() ?? '').slice(0, 8) || '0', 16);

test.each([
  ['the first thousand', 1, 1_000],
  ['a hundred of this very commit', ofCommit, 100],
])(
  'every record lands exactly once, whatever fails: %s worlds',
  { timeout: 600_000 },
  async (_, from, count) => {
    const { status, output } = await runApart('--seed', String(from), '--seeds', String(count));
    expect(output).toContain(`${count} seeds`);
    expect(status).toBe(0);
  },
);
