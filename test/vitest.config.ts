import { defineConfig } from 'vitest/config';

/** Of these two files run at a time: none of them waits for a time that a busy machine could miss. */
const tables = [
  'test/interop/**/*.test.ts',
  'test/integration/{catalog,storage}/**/*.test.ts',
  'test/e2e/{engine-*,glue,postgres,rest,s3}.test.ts',
];

/** What both of real parts need. */
const real = { testTimeout: 300_000, hookTimeout: 600_000, globalSetup: ['./test/parts.ts'] };

/**
 * unit: what Node alone can run (`npm test`). tables, parts: real Kafka, catalogs, stores and readers, of which each file
 * starts what it needs; those about Kafka and about whole pipelines run one after the other. Meanwhile programs are installed.
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
        test: { ...real, name: 'tables', include: tables, maxWorkers: 2, sequence: { groupOrder: 1 } },
      },
      {
        extends: true,
        test: {
          ...real,
          name: 'parts',
          include: ['test/{integration,e2e}/**/*.test.ts'],
          exclude: tables,
          fileParallelism: false,
          sequence: { groupOrder: 2 },
        },
      },
    ],
  },
});
