/**
 * Hunts every planted bug from seed 1 on, and writes into README.md how many seeds it took:  node test/sim/hunt.ts [NAME ...]
 * Run it after a change of the simulator or of the core's randomness; it takes some minutes.
 */
import { spawn } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { mutants } from './mutants.ts';

const seedsMax = 3_000;

/** The first seed that finds a planted bug, and for how long it was looked for. */
async function hunt(name: string): Promise<{ seed: number | undefined; seconds: number }> {
  const startedAt = performance.now();
  const run = join(import.meta.dirname, 'run.ts');
  const args = [run, '--mutant', name, '--seeds', String(seedsMax), '--jobs', '1'];
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] });
  let output = '';
  for await (const text of child.stdout) output += text;
  const seed = /^seed (\d+) /m.exec(output)?.[1];
  return {
    seed: seed === undefined ? undefined : Number(seed),
    seconds: (performance.now() - startedAt) / 1000,
  };
}

const names = process.argv.length > 2 ? process.argv.slice(2) : mutants.map(({ name }) => name);
const found = new Map<string, number>();
const waiting = names.values();
let seconds = 0;

async function keepHunting(): Promise<void> {
  for (const name of waiting) {
    const result = await hunt(name);
    seconds += result.seconds;
    if (result.seed !== undefined) found.set(name, result.seed);
    else process.exitCode = 1;
    console.log(
      `${String(result.seed ?? 'NOT FOUND').padStart(9)} ${result.seconds.toFixed(1).padStart(6)} s  ${name}`,
    );
  }
}

await Promise.all(Array.from({ length: Math.min(2, availableParallelism()) }, keepHunting));
console.log(`${found.size} of ${names.length} found, in ${seconds.toFixed(0)} s`);

const path = join(import.meta.dirname, 'README.md');
const rows = new Map(
  Array.from(readFileSync(path, 'utf8').matchAll(/^\| (.*?) +\| +(\d+) \|$/gm), ([, name, seed]) => [
    name!,
    Number(seed),
  ]),
);
const table = mutants
  .filter(({ name }) => found.has(name) || rows.has(name))
  .map(({ name }) => `| ${name} | ${found.get(name) ?? rows.get(name)} |`);
const begin = '| planted bug | seeds |\n| --- | ---: |\n';
const [before, after] = readFileSync(path, 'utf8').split(/^\| planted bug.*\n(?:\|.*\n)*/m);
writeFileSync(path, `${before}${begin}${table.join('\n')}\n${after}`);
