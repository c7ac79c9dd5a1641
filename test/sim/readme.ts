import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/** The tables of README.md that commands write: a name and a number in each row. */
const path = join(import.meta.dirname, 'README.md');

/** The table that begins with this heading. */
const rowsOf = (heading: string): RegExp =>
  new RegExp(`^\\| ${heading} +\\|.*\\n\\|[ :|-]+\\|\\n((?:\\|.*\\n)*)`, 'm');

export function readTable(heading: string): Map<string, number> {
  const [, rows = ''] = rowsOf(heading).exec(readFileSync(path, 'utf8')) ?? [];
  return new Map(
    Array.from(rows.matchAll(/^\| (.*?) +\| +([\d,]+) \|$/gm), ([, name, number]) => [
      name!,
      Number(number!.replaceAll(',', '')),
    ]),
  );
}

export function writeTable(heading: string, unit: string, rows: ReadonlyMap<string, number>): void {
  const lines = [...rows].map(([name, number]) => `| ${name} | ${number} |\n`);
  const table = `| ${heading} | ${unit} |\n| --- | ---: |\n${lines.join('')}`;
  writeFileSync(
    path,
    readFileSync(path, 'utf8').replace(rowsOf(heading), () => table),
  );
}
