import { relative } from 'node:path';
import type { TestSpecification, Vitest } from 'vitest/node';
import { BaseSequencer } from 'vitest/node';

/**
 * The files that take longest, longest first: begun last, one of them would be waited for by an idle core. Vitest knows
 * durations only where it has run before; on a fresh clone it goes by the size of files.
 */
const longest = [
  'test/integration/catalog/races.test.ts',
  'test/integration/catalog/faults.test.ts',
  'test/e2e/neighbours.test.ts',
  'test/e2e/verify.test.ts',
  'test/integration/kafka/group-classic.test.ts',
  'test/integration/kafka/clusters.test.ts',
  'test/e2e/chaos.test.ts',
  'test/e2e/engine-catalogs.test.ts',
  'test/e2e/foreign.test.ts',
  'test/integration/kafka/reading.test.ts',
  'test/e2e/failures.test.ts',
  'test/sim/mutants.test.ts',
  'test/sim/sim.test.ts',
];

export class LongestFirst extends BaseSequencer {
  readonly #root: string;

  constructor(vitest: Vitest) {
    super(vitest);
    this.#root = vitest.config.root;
  }

  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const rank = ({ moduleId, project }: TestSpecification): number => {
      const index = longest.indexOf(relative(this.#root, moduleId));
      return (project.config.sequence.groupOrder ?? 0) * 1_000 + (index < 0 ? longest.length : index);
    };
    return (await super.sort(files)).sort((a, b) => rank(a) - rank(b));
  }
}
