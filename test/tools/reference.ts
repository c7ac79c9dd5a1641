/**
 * Writes docs/configuration.md from the settings as they are declared, which is where checks and error texts come from
 * too.  node test/tools/reference.ts
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { settings } from '../../src/config/schema.ts';
import { type Member, mapping, type Setting } from '../../src/config/setting.ts';

const file = fileURLToPath(new URL('../../docs/configuration.md', import.meta.url));
const begin = '<!-- settings: written by test/tools/reference.ts -->';

/** The page as it should be: what a person wrote, and behind the mark every setting. */
export function configurationPage(): { is: string; shouldBe: string } {
  const is = readFileSync(file, 'utf8');
  const [written] = is.split(begin);
  return { is, shouldBe: `${written}${begin}\n${sections(mapping(settings), '').join('\n')}\n` };
}

/** A table of the plain settings of a mapping, then a section for each mapping in it. */
function sections(setting: Setting<unknown>, path: string): string[] {
  const lines: string[] = [];
  const rows: string[] = [];
  const nested: string[] = [];
  for (const [name, member] of Object.entries(setting.members ?? {})) {
    const at = path === '' ? name : `${path}.${name}`;
    const inner = member.setting.item?.members
      ? sections(member.setting.item, `${at}[]`)
      : [...sections(member.setting, at), ...variantSections(member.setting, at)];
    if (inner.length > 0) nested.push('', `### \`${at}\``, '', `${member.doc}${need(member)}`, ...inner);
    else
      rows.push(
        `| \`${name}\` | ${cell(member.setting.expected)} | ${fallback(member)} | ${cell(member.doc)} |`,
      );
  }
  if (rows.length > 0)
    lines.push('', '| setting | value | default | |', '| --- | --- | --- | --- |', ...rows);
  return [...lines, ...nested];
}

function variantSections(setting: Setting<unknown>, path: string): string[] {
  const shapes = Object.entries(setting.variants ?? {}).map(([word, shape]) => ({
    word,
    inner: sections(shape, path),
  }));
  const plain = shapes.filter(({ inner }) => inner.length === 0).map(({ word }) => `\`${word}\``);
  const rest = shapes.filter(({ inner }) => inner.length > 0);
  return [
    ...(plain.length > 0 ? ['', `${plain.join(', ')}: nothing further to set.`] : []),
    ...rest.flatMap(({ word, inner }) => ['', `With \`${word}\`:`, ...inner]),
  ];
}

function fallback(member: Member<unknown>): string {
  if (member.optional) return '';
  if (member.fallback === undefined) return '**required**';
  return `\`${typeof member.fallback === 'string' ? member.fallback : JSON.stringify(member.fallback)}\``;
}

function need(member: Member<unknown>): string {
  const words = fallback(member);
  return words === '' || words === '`{}`'
    ? ''
    : words === '**required**'
      ? ' Required.'
      : ` Default: ${words}.`;
}

function cell(text: string): string {
  return text.replaceAll('|', '\\|');
}

if (import.meta.main) writeFileSync(file, configurationPage().shouldBe);
