import { defineConfig } from "vitest/config";
import base from "./vitest.config.js";

const { projects: _, ...common } = base.test ?? {};

/** What `npm run test:nomad` runs: scenarios on a real Nomad, one lab after the other. */
export default defineConfig({
  plugins: base.plugins ?? [],
  test: {
    ...common,
    include: ["test/nomad/**/*.test.ts"],
    fileParallelism: false,
    // With the process everything ends, a lab too. A process of its own for each file would outlive it.
    pool: "threads",
    // An update of three nodes takes two minutes where a task's root folder is copied slowly.
    testTimeout: 1_200_000,
    hookTimeout: 600_000,
    // Each scenario is told when it has ended.
    reporters: ["verbose", "./test/nomad/lab/summary-reporter.ts"],
  },
});
