import type { Reporter, TestModule } from 'vitest/node';

/** Ends a run with the line that continuous integration reads: `N passed, N failed`. */
export default class CountReporter implements Reporter {
  onTestRunEnd(modules: readonly TestModule[], errors: readonly unknown[]): void {
    let passed = 0;
    let failed = errors.length;
    for (const module of modules) {
      let found = 0;
      for (const test of module.children.allTests()) {
        found++;
        const { state } = test.result();
        if (state === 'passed') passed++;
        if (state === 'failed') failed++;
      }
      // A file that cannot be loaded has no tests to fail.
      if (found === 0 || module.errors().length > 0) failed++;
    }
    console.log(`\n${passed} passed, ${failed} failed`);
  }
}
