import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { simulate } from './apart.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));

test('every record lands exactly once, whatever fails', { timeout: 300_000 }, () => {
  const { status, output } = simulate(root, 130);
  expect(output).toContain('130 seeds');
  expect(status).toBe(0);
});
