import type { Reporter, SerializedError, TestModule } from "vitest/node";

/** After the usual summary one plain line for people and programs to read: "12 passed, 0 failed, 3 skipped". */
export default class CountingReporter implements Reporter {
  onTestRunEnd(modules: readonly TestModule[], unhandledErrors: readonly SerializedError[]): void {
    const counts = { passed: 0, failed: unhandledErrors.length, skipped: 0 };
    for (const module of modules) {
      const tests = Array.from(module.children.allTests(), (test) => test.result().state);
      for (const state of tests) if (state !== "pending") counts[state]++;
      // A file or a suite can fail without any of its tests: a broken import, a hook that throws.
      if (!module.ok() && !tests.includes("failed")) counts.failed++;
    }
    const skipped = counts.skipped > 0 ? `, ${counts.skipped} skipped` : "";
    process.stdout.write(`${counts.passed} passed, ${counts.failed} failed${skipped}\n`);
  }
}
