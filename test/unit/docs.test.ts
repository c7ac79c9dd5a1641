import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { parseConfig } from '../../src/config/config.ts';
import { configurationPage } from '../tools/reference.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));
const pages = [
  'README.md',
  'src/README.md',
  'localstack/README.md',
  ...readdirSync(join(root, 'docs')).map((name) => `docs/${name}`),
].filter((page) => page.endsWith('.md'));

const textOf = (page: string): string => readFileSync(join(root, page), 'utf8');

test('docs/configuration.md has every setting as the program knows it (node test/tools/reference.ts writes it)', () => {
  const { is, shouldBe } = configurationPage();
  expect(is).toBe(shouldBe);
});

test('every configuration in the documentation is valid', () => {
  const examples = pages.flatMap((page) =>
    [...textOf(page).matchAll(/```yaml\n(pipeline:[\s\S]*?)```/g)].map(([, text]) => ({ page, text: text! })),
  );
  expect(examples.length).toBeGreaterThan(2);
  for (const { page, text } of examples) {
    expect(() => parseConfig(text, { REGISTRY_PASSWORD: 'x' }, '/etc/frazil', page)).not.toThrow();
  }
});

test('links between pages lead somewhere', () => {
  for (const page of pages) {
    const links = [...textOf(page).matchAll(/\]\((?!https?:)([^)#]+)(?:#[^)]*)?\)/g)].map(
      ([, link]) => link!,
    );
    const dead = links.filter((link) => !existsSync(join(root, dirname(page), link)));
    expect(dead, relative(root, page)).toEqual([]);
  }
});
