/**
 * Runs worlds:  node test/sim/run.ts [--seed S] [--seeds N] [--jobs N] [--all] [--log] [--shrink] [--replay FILE]
 *
 * N seeds from S on, in as many processes as there are cores. Exit code 1 when one of them fails: it, the commit and the
 * reason are printed. It ends there, but with --all. --log tells a world step by step; --shrink reduces a failure to the
 * shortest list of events and writes it into FILE of --out (regressions/seed-S.json), which --replay runs again, with as
 * many others as are named. --marks tells how often each branch of marks.ts was taken; --mutant NAME plants a bug first.
 */
import { fork } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { commitHash } from './commit-hash.ts';
import { Coverage } from './coverage.ts';
import { plant } from './plant.ts';
import type { SimResult } from './simulate.ts';

const { values } = parseArgs({
  options: {
    seed: { type: 'string', default: '1' },
    seeds: { type: 'string', default: '1' },
    step: { type: 'string', default: '1' },
    jobs: { type: 'string', default: String(availableParallelism()) },
    all: { type: 'boolean', default: false },
    log: { type: 'boolean', default: false },
    shrink: { type: 'boolean', default: false },
    out: { type: 'string' },
    replay: { type: 'string', multiple: true },
    marks: { type: 'boolean', default: false },
    mutant: { type: 'string' },
  },
});
Error.stackTraceLimit = 8;
const [seed, seeds, step] = [Number(values.seed), Number(values.seeds), Number(values.step)];
const jobs = Math.min(Number(values.jobs), seeds);
const startedAt = performance.now();
let commits = 0;
let failed = 0;
/** How often each marked branch was. */
const taken = new Map<string, number>();

if (values.mutant !== undefined) plant(values.mutant);
if (values.replay) await runReplays(values.replay);
else if (jobs > 1) await runInJobs();
else await run();
if (!process.send) tellSum();

/** Runs the worlds here. */
async function run(): Promise<void> {
  const coverage = values.marks ? new Coverage() : undefined;
  await coverage?.begin();
  const { simulate } = await import('./simulate.ts');
  for (let n = 0; n < seeds && (failed === 0 || values.all); n++) {
    const result = await simulate(seed + n * step, { tells: values.log });
    if (values.log) console.log(result.log.join('\n'));
    if (!process.send) await onResult(result);
    else {
      if (result.violation !== undefined) failed++;
      process.send(result);
    }
  }
  if (!coverage) return;
  if (process.send) process.send(await coverage.counts());
  else onCounts(await coverage.counts());
}

/** Runs worlds that have failed once. */
async function runReplays(paths: readonly string[]): Promise<void> {
  const { readReplay, replay } = await import('./shrink.ts');
  for (const path of paths) {
    const result = await replay(readReplay(path), values.log);
    if (values.log) console.log(result.log.join('\n'));
    commits += result.commits;
    if (result.violation !== undefined) tell(result, `node test/sim/run.ts --replay ${path} --log`);
  }
}

/** Runs the worlds in other processes: each takes every `jobs`th seed. */
async function runInJobs(): Promise<void> {
  const children = Array.from({ length: jobs }, (_, i) => {
    const count = Math.ceil((seeds - i) / jobs);
    const args = [
      '--seed',
      String(seed + i),
      '--seeds',
      String(count),
      '--step',
      String(jobs),
      '--jobs',
      '1',
    ];
    if (values.all) args.push('--all');
    if (values.marks) args.push('--marks');
    if (values.mutant !== undefined) args.push('--mutant', values.mutant);
    return fork(fileURLToPath(import.meta.url), args);
  });
  let isOver = false;
  let told = Promise.resolve();
  const ends = children.map((child) => {
    child.on('message', (message) => {
      if (!('seed' in (message as object))) return onCounts(message as Record<string, number>);
      const result = message as SimResult;
      if (isOver) return;
      if (result.violation !== undefined && !values.all) {
        isOver = true;
        for (const each of children) each.kill();
      }
      told = told.then(() => onResult(result));
    });
    return new Promise<void>((resolve) => {
      child.on('exit', (code, signal) => {
        if (code !== 0 && code !== 1 && signal !== 'SIGTERM') {
          console.log(`a process of the simulator ended with ${signal ?? `code ${code}`}`);
          failed++;
          process.exitCode = 1;
        }
        resolve();
      });
    });
  });
  await Promise.all(ends);
  await told;
}

async function onResult(result: SimResult): Promise<void> {
  commits += result.commits;
  if (result.violation === undefined) return;
  const { seed } = result;
  tell(result, `make sim SEED=${seed}, or node test/sim/run.ts --seed ${seed} --log`);
  if (values.shrink) await tellShortest(result);
}

function tell({ seed, violation }: SimResult, again: string): void {
  failed++;
  process.exitCode = 1;
  console.log(`seed ${seed} of commit ${commitHash() ?? 'unknown'}: ${violation}\n  again: ${again}`);
}

/** What it takes to fail like this, kept as a test unless the bug was planted. */
async function tellShortest(failure: SimResult): Promise<void> {
  const { shrink } = await import('./shrink.ts');
  const shortest = await shrink(failure);
  const { events, violation } = shortest;
  console.log(
    `${failure.events.length} events, of which these do it:\n  ${events.join('\n  ')}\n  ${violation}`,
  );
  const kept =
    values.mutant === undefined ? `${import.meta.dirname}/regressions/seed-${failure.seed}.json` : undefined;
  const path = values.out ?? kept;
  if (path === undefined) return;
  writeFileSync(path, `${JSON.stringify(shortest, undefined, 2)}\n`);
  console.log(`  again: node test/sim/run.ts --replay ${path} --log`);
}

function onCounts(counts: Record<string, number>): void {
  for (const [name, count] of Object.entries(counts)) taken.set(name, (taken.get(name) ?? 0) + count);
}

function tellSum(): void {
  for (const [name, count] of taken) console.log(`| ${name} | ${count} |`);
  const seconds = ((performance.now() - startedAt) / 1000).toFixed(1);
  const what = values.replay ? `${values.replay.length} replays` : `${seeds} seeds`;
  if (failed === 0) console.log(`${what}, ${commits} commits, ${seconds} s: all well`);
}
