import { readFileSync } from "node:fs";
import { dirname, resolve } from "node:path";
import { defineConfig } from "vitest/config";
import LongestFirst from "./test/support/longest-first.js";

/** Only tests of the built program wait for a build. */
const BUILT = "test/peer/**/*.test.ts";
/** `npm run test:nomad` alone runs these (vitest.nomad.config.ts). */
const ON_NOMAD = "test/nomad/**/*.test.ts";

/** As the bundler's plugin for texts. Another ending, because files that end in .css are taken for the tests' own styles. */
const asText = {
  name: "as-text",
  enforce: "pre",
  resolveId: (source: string, importer = "") =>
    /\.(erl|md|css|client\.js)$/.test(source) ? `${resolve(dirname(importer), source)}.text` : undefined,
  load: (id: string) =>
    id.endsWith(".text")
      ? `export default ${JSON.stringify(readFileSync(id.slice(0, -".text".length), "utf8"))};`
      : undefined,
} as const;

export default defineConfig({
  plugins: [asText],
  test: {
    setupFiles: ["test/support/setup.ts"],
    testTimeout: 30_000,
    hookTimeout: 30_000,
    sequence: { sequencer: LongestFirst },
    reporters: ["default", "./test/support/counting-reporter.ts"],
    projects: [
      {
        extends: true,
        test: {
          name: "source",
          include: ["test/**/*.test.ts"],
          exclude: [BUILT, ON_NOMAD],
          // A worker loads modules once, not for each file: half of the processor time here.
          isolate: false,
          // Tests wait three quarters of the time: eight files at once keep two cores busy.
          maxWorkers: 8,
          sequence: { groupOrder: 1 },
        },
      },
      {
        extends: true,
        test: {
          name: "built",
          include: [BUILT],
          globalSetup: ["test/support/build.ts"],
          isolate: false,
          // Tests wait for peers half of the time: four files at once keep two cores busy, and five gain little more.
          maxWorkers: 4,
          sequence: { groupOrder: 0 },
        },
      },
    ],
  },
});
