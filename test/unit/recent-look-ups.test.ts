import { expect, test } from "vitest";
import { RecentLookUps } from "../../src/admin/core/status.js";
import { lookUp } from "../support/status.js";

test("the last hundred look-ups are kept, and told with the newest first", () => {
  const recent = new RecentLookUps();
  expect(recent.list()).toEqual([]);
  for (let at = 1; at <= 100; at++) recent.add(lookUp({ at }));
  expect(recent.list().map(({ at }) => at)).toEqual(Array.from({ length: 100 }, (_, index) => 100 - index));
  recent.add(lookUp({ at: 101 }));
  const kept = recent.list().map(({ at }) => at);
  expect([kept.length, kept[0], kept.at(-1)]).toEqual([100, 101, 2]);
});
