import { defineConfig } from 'vitest/config';
import { LongestFirst } from './longest-first.ts';

/** These wait for what follows within a time that a busy machine could miss. */
const alone = ['test/integration/kafka/outages.test.ts', 'test/e2e/{crash,demo}.test.ts'];

/** What both of real parts need. */
const real = { testTimeout: 300_000, hookTimeout: 600_000, globalSetup: ['./test/parts.ts'] };

/**
 * unit: what Node alone can run (`npm test`). parts, alone: real Kafka, catalogs, stores and readers, of which each file
 * starts what it needs; three files at a time, for they wait much, or one after the other. While units run, programs are installed.
 */
export default defineConfig({
  root: new URL('..', import.meta.url).pathname,
  test: {
    reporters: ['default', './test/count-reporter.ts'],
    sequence: { sequencer: LongestFirst },
    projects: [
      {
        extends: true,
        test: {
          name: 'unit',
          include: ['test/{unit,property,contract,sim}/**/*.test.ts'],
          testTimeout: 30_000,
          maxWorkers: 2,
          sequence: { groupOrder: 0 },
        },
      },
      {
        extends: true,
        test: {
          ...real,
          name: 'parts',
          include: ['test/{integration,interop,e2e}/**/*.test.ts'],
          exclude: alone,
          maxWorkers: 3,
          sequence: { groupOrder: 1 },
        },
      },
      {
        extends: true,
        test: {
          ...real,
          name: 'alone',
          include: alone,
          fileParallelism: false,
          sequence: { groupOrder: 2 },
        },
      },
    ],
  },
});
