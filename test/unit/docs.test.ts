import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { parseConfig } from '../../src/config/config.ts';
import { certificate } from '../tools/certificates.ts';
import { configurationPage } from '../tools/reference.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));
const pages = [
  'README.md',
  'src/README.md',
  'localstack/README.md',
  ...readdirSync(join(root, 'docs')).map((name) => `docs/${name}`),
].filter((page) => page.endsWith('.md'));

const textOf = (page: string): string => readFileSync(join(root, page), 'utf8');

/** The code blocks of a language, in all pages, without the indent of a list they stand in. */
const blocksOf = (language: string): { page: string; text: string }[] =>
  pages.flatMap((page) =>
    [...textOf(page).matchAll(new RegExp(`^( *)\`\`\`${language}\\n([\\s\\S]*?)^ *\`\`\``, 'gm'))].map(
      ([, indent = '', text = '']) => ({ page, text: text.replaceAll(new RegExp(`^${indent}`, 'gm'), '') }),
    ),
  );

const environment = {
  REGISTRY_PASSWORD: 'x',
  DATABASE_PASSWORD: 'x',
  CATALOG_CREDENTIAL: 'id:secret',
  CATALOG_TOKEN: 'x',
  KEY_PASSWORD: 'x',
  CLIENT_SECRET: 'x',
};

/** As GitHub names the headings of a page. */
const anchorsOf = (page: string): string[] =>
  [...textOf(page).matchAll(/^#+ (.*)$/gm)].map(([, heading]) =>
    heading!
      .toLowerCase()
      .replaceAll(/[^\p{L}\p{N} _-]/gu, '')
      .replaceAll(' ', '-'),
  );

test('docs/configuration.md has every setting as the program knows it (node test/tools/reference.ts writes it)', () => {
  const { is, shouldBe } = configurationPage();
  expect(is).toBe(shouldBe);
});

test('every configuration in the documentation is valid', () => {
  const examples = blocksOf('yaml').filter(({ text }) => text.startsWith('pipeline:'));
  expect(examples.length).toBeGreaterThan(8);
  for (const { page, text } of examples)
    expect(() => parseConfig(text, environment, '/etc/frazil', page), `${page}: ${text}`).not.toThrow();
});

test('every catalog in the documentation is valid in a configuration', () => {
  const rest = `pipeline: p
source: { brokers: ["127.0.0.1:9092"], topics: ["t"] }
decode: { value: { format: json } }
tables: [{ table: a.t, topics: ["t"] }]
`;
  const catalogs = blocksOf('yaml').filter(({ text }) => text.startsWith('catalog:'));
  expect(catalogs.length).toBeGreaterThan(8);
  for (const { page, text } of catalogs)
    expect(
      () => parseConfig(rest + text, environment, '/etc/frazil', page),
      `${page}: ${text}`,
    ).not.toThrow();
});

test('every source in the documentation is valid in a configuration', () => {
  const folder = mkdtempSync(join(tmpdir(), 'frazil-docs-'));
  const authority = certificate({ name: 'authority' });
  const { cert, key } = certificate({ name: 'frazil', issuer: authority });
  const files = {
    'ca.pem': authority.cert,
    'client.pem': cert,
    'client.key': key,
    password: 'x',
    token: 'x',
  };
  for (const [name, text] of Object.entries(files)) writeFileSync(join(folder, name), text);
  const rest = `pipeline: p
decode: { value: { format: json } }
catalog: { type: sqlite, path: ./c.db, warehouse: ./wh }
tables: [{ table: shop.orders, topics: ["orders"] }]
`;
  const sources = blocksOf('yaml').filter(({ text }) => text.startsWith('source:'));
  expect(sources.length).toBeGreaterThan(5);
  for (const { page, text } of sources)
    expect(() => parseConfig(rest + text, environment, folder, page), `${page}: ${text}`).not.toThrow();
  rmSync(folder, { recursive: true });
});

test('every policy in the documentation is JSON', () => {
  const policies = blocksOf('json');
  expect(policies.length).toBeGreaterThan(5);
  for (const { page, text } of policies) expect(() => JSON.parse(text), `${page}: ${text}`).not.toThrow();
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

test('links to a place in a page find its heading', () => {
  for (const page of pages) {
    const links = [...textOf(page).matchAll(/\]\((?!https?:)([^)#]*)#([^)]+)\)/g)];
    const dead = links.filter(([, link, anchor]) => {
      const target = link === '' ? page : join(dirname(page), link!);
      return !anchorsOf(target).includes(anchor!);
    });
    expect(
      dead.map(([link]) => link),
      page,
    ).toEqual([]);
  }
});

test('each promise in docs/semantics.md names a test that there is', () => {
  const named = [...textOf('docs/semantics.md').matchAll(/\]\(\.\.\/(test\/[^)]+)\): ([^|]+) \|$/gm)];
  expect(named.length).toBeGreaterThan(20);
  for (const [, file, name] of named) expect(textOf(file!), file).toContain(name);
});
