/**
 * Tries every interleaving of a small world:  node test/sim/exhaustive.ts [--faults N] [--catalog KIND] [--mutant NAME]
 *
 * Two workers, one topic-partition, three records; of all calls that meet others', each order, and up to N faults at each
 * place. Two ways into the same state are gone on with once. Exit code 1 with the steps when one of them fails.
 */
import { parseArgs } from 'node:util';
import type { Features } from './features.ts';
import { plant } from './plant.ts';
import type { SmallWorld, Step } from './small-world.ts';

const { values } = parseArgs({
  options: {
    faults: { type: 'string', default: '1' },
    catalog: { type: 'string', multiple: true },
    mutant: { type: 'string' },
  },
});
if (values.mutant !== undefined) plant(values.mutant);
const small = await import('./small-world.ts');
/** A small world has few steps; one that goes on and on is one that does not end. */
const stepsMax = 60;

interface Path {
  readonly steps: readonly Step[];
  readonly faults: number;
}

/** @returns the steps to a failure, if there is one. */
async function explore(catalog: Features['catalog'], faultsMax: number): Promise<Path | undefined> {
  const startedAt = performance.now();
  const seen = new Map<string, number>();
  const waiting: Path[] = [{ steps: [], faults: 0 }];
  let runs = 0;
  let ends = 0;
  for (let path = waiting.pop(); path; path = waiting.pop()) {
    runs++;
    const world = new small.SmallWorld(catalog, true);
    await world.begin();
    for (const step of path.steps) await world.take(step);
    for (;;) {
      if (world.violation !== undefined) return fail(path, world.violation);
      // What was reached with fewer faults before has been gone on with.
      const before = seen.get(world.state) ?? Number.POSITIVE_INFINITY;
      if (before <= path.faults) break;
      seen.set(world.state, path.faults);
      const [next, ...others] = nextPaths(world, path, faultsMax);
      // What comes late may also never come.
      if (world.isDone) {
        ends++;
        world.check();
        if (world.violation !== undefined) return fail(path, world.violation);
      }
      if (!next) break;
      if (path.steps.length > stepsMax) return fail(path, 'it does not end');
      waiting.push(...others);
      path = next;
      await world.take(path.steps.at(-1)!);
    }
  }
  const seconds = ((performance.now() - startedAt) / 1000).toFixed(1);
  console.log(
    `${catalog}, up to ${faultsMax} faults: ${seen.size} states, ${runs} runs, ${ends} ends, ${seconds} s: all well`,
  );
  return undefined;
}

function nextPaths(world: SmallWorld, { steps, faults }: Path, faultsMax: number): Path[] {
  return world.steps(faults < faultsMax).map((step) => ({
    steps: [...steps, step],
    faults: faults + (step.fate === undefined || step.fate === 'answered' ? 0 : 1),
  }));
}

function fail(path: Path, violation: unknown): Path {
  const told = path.steps.map(({ worker, fate, late }) =>
    late === undefined ? `w${worker! + 1}: ${fate}` : `late request ${late + 1} is applied`,
  );
  console.log(`${violation instanceof Error ? violation.message : violation}\n  ${told.join('\n  ')}`);
  return path;
}

const kinds = (values.catalog ?? ['location', 'version', 'requirements', 'newest']) as Features['catalog'][];
for (const catalog of kinds) if (await explore(catalog, Number(values.faults))) process.exitCode = 1;
