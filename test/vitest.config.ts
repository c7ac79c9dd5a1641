import { defineConfig } from 'vitest/config';

/**
 * unit: what Node alone can run (`npm test`). parts: real Kafka, catalogs, stores and readers; each file starts what it
 * needs, so they run one after the other. Meanwhile what they need is installed.
 */
export default defineConfig({
  root: new URL('..', import.meta.url).pathname,
  test: {
    reporters: ['default', './test/count-reporter.ts'],
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
          name: 'parts',
          include: ['test/{interop,integration,e2e}/**/*.test.ts'],
          testTimeout: 300_000,
          hookTimeout: 600_000,
          fileParallelism: false,
          sequence: { groupOrder: 1 },
          globalSetup: ['./test/parts.ts'],
        },
      },
    ],
  },
});
