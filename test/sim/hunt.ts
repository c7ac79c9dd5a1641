/**
 * Hunts every planted bug from seed 1 on, and writes into README.md how many seeds it took, and how often a thousand worlds
 * take each marked branch:  node test/sim/hunt.ts [NAME ...]
 * Run it after a change of the simulator or of the core's randomness; it takes some minutes.
 */
import { availableParallelism } from 'node:os';
import { runApart } from './apart.ts';
import { mutants } from './mutants.ts';
import { readTable, writeTable } from './readme.ts';

const seedsMax = 3_000;

/** The first seed that finds a planted bug, and for how long it was looked for. */
async function hunt(name: string): Promise<{ seed: number | undefined; seconds: number }> {
  const startedAt = performance.now();
  const { output } = await runApart('--mutant', name, '--seeds', String(seedsMax), '--jobs', '1');
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

const known = readTable('planted bug');
const rows = mutants.map(({ name }): [string, number] => [name, found.get(name) ?? known.get(name) ?? 0]);
writeTable('planted bug', 'seeds', new Map(rows));

if (process.argv.length <= 2) {
  const { output } = await runApart('--seeds', '1000', '--marks');
  const counts = Array.from(
    output.matchAll(/^\| (.*) \| (\d+) \|$/gm),
    ([, name, count]) => [name!, Number(count)] as const,
  );
  writeTable('branch', 'times', new Map(counts));
}
