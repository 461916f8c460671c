import { existsSync } from "node:fs";
import { expect, test } from "vitest";
import type { TestSpecification, Vitest } from "vitest/node";
import LongestFirst, { LONG } from "../support/longest-first.js";

const file = (path: string) => new URL(`../${path}.test.ts`, import.meta.url).pathname;
const project = { name: "built", config: { sequence: { groupOrder: 0 }, isolate: false } };
const spec = (path: string) => ({ moduleId: file(path), project }) as TestSpecification;
const cache = { getFileTestResults: () => undefined, getFileStats: () => undefined };
const sequencer = new LongestFirst({ cache, config: { root: "/" } } as unknown as Vitest);

test("the files that take longest are there", () => {
  expect(LONG.filter((name) => !existsSync(file(`peer/${name}`)))).toEqual([]);
});

test("they run first in their order, and all others stay as they were; of another folder none is one of them", async () => {
  const given = ["peer/admin", "unit/page", "peer/page", "peer/access", "peer/gateway-examples"];
  const sorted = await sequencer.sort(given.map(spec));
  const first = ["peer/gateway-examples", "peer/page"];
  expect(sorted.map(({ moduleId }) => moduleId)).toEqual(
    [...first, "peer/admin", "unit/page", "peer/access"].map(file),
  );
});
