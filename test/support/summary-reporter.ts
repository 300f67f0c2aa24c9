import { writeSync } from "node:fs";
import type { Reporter, TestModule } from "vitest/node";

/** Ends the run's output with one line for people and scripts: `N passed, N failed`, and `, N skipped` if any were. */
export default class SummaryReporter implements Reporter {
  onTestRunEnd(modules: readonly TestModule[], unhandledErrors: readonly unknown[]): void {
    let passed = 0;
    let failed = unhandledErrors.length;
    let skipped = 0;
    for (const module of modules) {
      // A file that does not even load has failed, though it has no test that could.
      failed += module.errors().length;
      for (const suite of module.children.allSuites()) failed += suite.errors().length;
      for (const test of module.children.allTests()) {
        const { state } = test.result();
        if (state === "passed") passed += 1;
        else if (state === "failed") failed += 1;
        else skipped += 1;
      }
    }
    const line = `${passed} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ""}`;
    // At exit, so that it comes after whatever other reporters and the global teardown say.
    process.once("exit", () => writeSync(1, `\n${line}\n`));
  }
}
