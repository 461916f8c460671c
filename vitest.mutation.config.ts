import { defineConfig } from "vitest/config";
import base from "./vitest.config.js";

const { projects: _, ...common } = base.test ?? {};

/** What `npm run test:mutation` runs for each mutant: the tests of the pure code, which need no peer, port or time. */
export default defineConfig({
  plugins: base.plugins ?? [],
  test: {
    ...common,
    include: ["test/unit/**/*.test.ts", "test/property/**/*.test.ts"],
    // What reads the sources, or calls other programs, says nothing of a mutant.
    exclude: ["architecture", "built-from", "docker-compose"].map((name) => `test/unit/${name}.test.ts`),
    reporters: ["default"],
  },
});
