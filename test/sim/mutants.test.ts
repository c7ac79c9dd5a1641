import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { simulate } from './apart.ts';
import { mutants } from './mutants.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));

test('README.md lists every planted bug', () => {
  const readme = readFileSync(join(root, 'test/sim/README.md'), 'utf8').replace(/ +/g, ' ');
  for (const { name, seedsMax } of mutants) expect(readme).toContain(`| ${name} | ${seedsMax} |`);
  expect(readme.match(/^\| .* \| \d+ \|$/gm)).toHaveLength(mutants.length);
});

test.each(mutants)(
  'the simulator finds: $name',
  { timeout: 600_000 },
  ({ file, find, replace, from, seedsMax }) => {
    const folder = mkdtempSync(join(tmpdir(), 'frazil-mutant-'));
    try {
      for (const part of ['src', 'test/sim', 'package.json'])
        cpSync(join(root, part), join(folder, part), { recursive: true });
      symlinkSync(join(root, 'node_modules'), join(folder, 'node_modules'));
      const path = join(folder, 'src', file);
      const source = readFileSync(path, 'utf8');
      expect(source.split(find).length, `${find} occurs once in ${file}`).toBe(2);
      writeFileSync(
        path,
        source.replace(find, () => replace),
      );
      const { status, output } = simulate(folder, seedsMax, from);
      expect(output).toMatch(/^seed \d+: /m);
      expect(status).toBe(1);
    } finally {
      rmSync(folder, { recursive: true });
    }
  },
);
