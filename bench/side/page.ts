import {
  coldHead,
  coldTable,
  landingHead,
  landingRows,
  latencyHead,
  latencyRows,
  type Table,
} from './report.ts';
import type { CellResult, Results } from './results.ts';

/** The parts of docs/performance.md that come from results, by the name in their markers. */
export function blocksOf(results: Results): Record<string, string> {
  const all = Object.values(results.cells);
  const landings = all.filter((result) => result.landings.length > 0);
  const latencies = all.filter((result) => result.latencies.length > 0);
  return {
    machine: `${results.machine}. ${Object.values(results.versions).join('; ')}.`,
    runs: all.map(runsOf).join('\n'),
    landing: table(
      landingHead,
      landings.flatMap((result) => titled(result, landingRows(result))),
    ),
    latency: table(
      latencyHead,
      latencies.flatMap((result) => titled(result, latencyRows(result))),
    ),
    start: table(
      ['', ...coldHead],
      landings.flatMap((result) => coldTable(result).map((row) => [result.cell.title, ...row])),
    ),
  };
}

/** What a cell was run with, and when. */
function runsOf({ cell, at, warmUp, landings, latencies, failures }: CellResult): string {
  const [landing] = landings;
  const [latency] = latencies;
  const what = landing
    ? `${landing.run.records.toLocaleString('en-US')} records of ${(landing.run.valueBytes / landing.run.records).toFixed(0)} bytes`
    : `${latency?.run.recordsPerSecond.toLocaleString('en-US')} records/s`;
  const others = [...landings, ...latencies].map(({ run }) => run.othersShare);
  const share = others.length === 0 ? '' : `, others took up to ${(Math.max(...others) * 100).toFixed(0)} %`;
  const failed = failures.length === 0 ? '' : `; ${failures.length} runs failed`;
  return `- ${cell.title} (\`${cell.name}\`): ${what}, after ${warmUp.toLocaleString('en-US')} to warm up, ${at.slice(0, 16).replace('T', ' ')} UTC${share}${failed}`;
}

/** The title of the cell in front of its first row. */
const titled = ({ cell }: CellResult, rows: Table): string[][] =>
  rows.map(([first, ...rest], i) => [`${i === 0 ? `**${cell.title}**: ` : ''}${first}`, ...rest]);

const table = (head: readonly string[], rows: Table): string =>
  [head, head.map((_, i) => (i === 0 ? '---' : '---:')), ...rows]
    .map((cells) => `| ${cells.join(' | ')} |`)
    .join('\n');

/**
 * Puts texts between their markers, `<!-- bench: NAME -->` and `<!-- bench end -->`.
 * @throws when the page lacks one of them, or has one that is not given.
 */
export function fillPage(page: string, blocks: Readonly<Record<string, string>>): string {
  const missing = new Set(Object.keys(blocks));
  const filled = page.replaceAll(
    /(<!-- bench: (\w+) -->\n)[\s\S]*?(<!-- bench end -->)/g,
    (_, begin: string, name: string, end: string) => {
      const text = blocks[name];
      if (text === undefined) throw new Error(`filling the page: nothing is known of its block ${name}`);
      missing.delete(name);
      return `${begin}\n${text}\n\n${end}`;
    },
  );
  if (missing.size > 0) throw new Error(`filling the page: it has no block ${[...missing].join(', ')}`);
  return filled;
}
