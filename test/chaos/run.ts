/**
 * make chaos: the program on real parts while everything goes wrong, and then a count by an engine that is not ours.
 *
 *   node test/chaos/run.ts [--minutes 10] [--seed N] [--folder chaos] [--rate 1000]
 *
 * The last line is the verdict; the exit code is 0 when each offset is in each table exactly once.
 */
import { existsSync, mkdirSync, readdirSync, rmSync } from 'node:fs';
import { join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { type Report, runChaos } from './chaos.ts';

const repo = fileURLToPath(new URL('../..', import.meta.url));

const { values } = parseArgs({
  options: {
    minutes: { type: 'string', default: '10' },
    seed: { type: 'string', default: String(Math.floor(Math.random() * 1e6)) },
    rate: { type: 'string', default: '1000' },
    folder: { type: 'string', default: join(repo, 'chaos') },
  },
});
const [minutes, seed, rate] = [Number(values.minutes), Number(values.seed), Number(values.rate)];
const folder = join(values.folder, String(seed));
if (existsSync(folder) && readdirSync(folder).length > 0 && !existsSync(join(folder, 'chaos.log')))
  throw new Error(`${folder} is not a run of chaos: name another --folder`);
rmSync(folder, { recursive: true, force: true });
mkdirSync(folder, { recursive: true });

const interrupted = new AbortController();
process.once('SIGINT', () => interrupted.abort(new Error('interrupted')));

try {
  const onLine = (line: string): void => console.log(line);
  const report = await runChaos({ seed, minutes, rate, folder, signal: interrupted.signal, onLine });
  show(report);
  process.exitCode = report.sound ? 0 : 1;
} catch (error) {
  console.error(`chaos: ${interrupted.signal.aborted ? 'interrupted' : (error as Error).stack}`);
  again();
  process.exitCode = 1;
}
process.exit();

function show({ tables, endings, notLanded, failedEvents, events, records, faults, sound }: Report): void {
  console.log(`\n  pipeline  partition        end       rows   gaps  duplicates`);
  for (const { pipeline, partitions, examples } of tables) {
    for (const { partition, end, rows, gaps, duplicates } of partitions)
      console.log(
        `  ${pipeline.padEnd(8)}  ${cell(partition, 9)}  ${cell(end, 9)}  ${cell(rows, 9)}  ${cell(gaps, 5)}  ${cell(duplicates, 10)}`,
      );
    for (const example of examples) console.log(`  ${pipeline}: ${example}`);
  }
  console.log(`\n  events: ${JSON.stringify(events)}\n  requests that went wrong: ${JSON.stringify(faults)}`);
  for (const text of [...endings, ...failedEvents, ...notLanded]) console.log(`  ${text}`);
  const sum = (of: 'gaps' | 'duplicates' | 'strangers' | 'missing' | 'sentTwice'): number =>
    tables.reduce((all, table) => all + table[of], 0);
  for (const [what, count] of [
    ['rows of offsets that the log does not have', sum('strangers')],
    ['acknowledged records not at their offsets', sum('missing')],
    ['records that the producer sent twice', sum('sentTwice')],
    ['records without an acknowledgement', records.unanswered],
  ] as const)
    if (count > 0) console.log(`  ${count} ${what}`);
  console.log(`  all of it: ${relative(process.cwd(), folder)}`);
  if (!sound) again();
  const happened = Object.values(events).reduce((all, count) => all + count, 0);
  console.log(
    `chaos: SEED=${seed} ${minutes.toFixed(1)} minutes, ${happened} events, ${records.inLog} records, ` +
      `${sum('gaps')} gaps, ${sum('duplicates')} duplicates`,
  );
}

function cell(value: number, width: number): string {
  return String(value).padStart(width);
}

function again(): void {
  console.log(`  the same schedule again: make chaos MINUTES=${minutes} SEED=${seed}`);
}
