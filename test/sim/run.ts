/**
 * Runs seeds on their own:  node test/sim/run.ts [--seeds N] [--from SEED] [--all] [--log]
 * Exit code 1 when one of them fails; the seed and the reason are printed. It ends there, but with --all.
 */
import { parseArgs } from 'node:util';
import { simulate } from './simulate.ts';

const { values } = parseArgs({
  options: {
    seeds: { type: 'string', default: '1' },
    from: { type: 'string', default: '1' },
    all: { type: 'boolean', default: false },
    log: { type: 'boolean', default: false },
  },
});
const from = Number(values.from);
const startedAt = performance.now();
let commits = 0;
for (let seed = from; seed < from + Number(values.seeds); seed++) {
  const result = await simulate(seed);
  commits += result.commits;
  if (values.log) console.log(result.log.join('\n'));
  if (result.violation === undefined) continue;
  process.exitCode = 1;
  console.log(`seed ${seed}: ${result.violation}\n  again: node test/sim/run.ts --from ${seed} --log`);
  if (!values.all) process.exit();
}
console.log(
  `${values.seeds} seeds, ${commits} commits, ${((performance.now() - startedAt) / 1000).toFixed(1)} s`,
);
