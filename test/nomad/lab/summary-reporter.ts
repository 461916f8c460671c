import type { Reporter, TestCase, TestModule, TestSuite } from "vitest/node";

/** What requireLab puts behind the title of a suite. */
const SKIPPED = / \(skipped: (.*)\)$/;

/** At the end one line for each scenario: whether it was green, and why it did not run if it did not. */
export default class SummaryReporter implements Reporter {
  onTestRunEnd(modules: readonly TestModule[]): void {
    const lines = modules.flatMap((module) => {
      // A file that could not be read has no suites at all.
      const broken =
        module.ok() || module.children.size > 0 ? [] : [`RED      ${module.relativeModuleId}: did not start`];
      const suites = Array.from(module.children.suites(), describeSuite).flat();
      return [...broken, ...suites];
    });
    process.stdout.write(`\nScenarios on a real Nomad:\n${lines.map((line) => `  ${line}\n`).join("")}`);
  }
}

function describeSuite(suite: TestSuite): string[] {
  const [, reasons] = SKIPPED.exec(suite.name) ?? [];
  const tests = Array.from(suite.children.allTests());
  const lines = tests.map((test) => `  ${outcomeOf(test)} ${test.name}`);
  return [
    suite.name.replace(SKIPPED, ""),
    ...lines,
    ...(reasons === undefined ? [] : [`  not run because: ${reasons}`]),
    ...(suite.state() === "failed" && !tests.some((test) => test.result().state === "failed")
      ? ["  RED: the lab did not start or end"]
      : []),
  ];
}

function outcomeOf(test: TestCase): string {
  const { state } = test.result();
  const seconds = `${Math.round((test.diagnostic()?.duration ?? 0) / 1000)} s`;
  if (state === "passed") return `green   ${seconds.padStart(6)}`;
  if (state === "failed") return `RED     ${seconds.padStart(6)}`;
  return "not run       ";
}
