import { defineConfig } from "vitest/config";

/** Only tests of the built program wait for a build. */
const BUILT = "test/peer/**/*.test.ts";

/** As the bundler's text loader. */
const erlangAsText = {
  name: "erlang-as-text",
  transform: (code: string, id: string) =>
    id.endsWith(".erl") ? `export default ${JSON.stringify(code)};` : undefined,
};

export default defineConfig({
  plugins: [erlangAsText],
  test: {
    setupFiles: ["test/support/setup.ts"],
    testTimeout: 30_000,
    hookTimeout: 30_000,
    // Peer tests wait for daemons more than they compute: more files at once than cores.
    maxWorkers: 3,
    reporters: ["default", "./test/support/counting-reporter.ts"],
    projects: [
      { extends: true, test: { name: "source", include: ["test/**/*.test.ts"], exclude: [BUILT] } },
      { extends: true, test: { name: "built", include: [BUILT], globalSetup: ["test/support/build.ts"] } },
    ],
  },
});
