import { describe, expect, test } from "vitest";
import { findLookUps, lookUpFilter, RecentLookUps } from "../../src/admin/core/recent-look-ups.js";
import { failedLookUp, lookUp } from "../support/status.js";

test("the last five hundred look-ups are kept, and told with the newest first", () => {
  const recent = new RecentLookUps();
  expect(recent.list()).toEqual([]);
  for (let at = 1; at <= 500; at++) recent.add(lookUp({ at }));
  expect(recent.list().map(({ at }) => at)).toEqual(Array.from({ length: 500 }, (_, index) => 500 - index));
  recent.add(lookUp({ at: 501 }));
  const kept = recent.list().map(({ at }) => at);
  expect([kept.length, kept[0], kept.at(-1)]).toEqual([500, 501, 2]);
});

describe("the search", () => {
  const all = [
    lookUp({ node: "web@Shop.example", at: 6 }),
    lookUp({ node: "db@shop.example", at: 5, stale: true, here: false, asker: "10.0.0.7" }),
    failedLookUp("not-found", "no SRV record", { node: "cache@shop.example", at: 4, code: "SRV_NXDOMAIN" }),
    failedLookUp("refused", "a stranger", { node: "web", at: 3, here: false, asker: "192.0.2.1", way: "host" }),
    failedLookUp("unavailable", "no name server answers", { node: "db@shop.example", at: 2 }),
    lookUp({ node: "files@store.example", at: 1, source: "static", endpoints: ["[fd00::9]:4711"], port: 4711 }),
  ];
  const found = (query: string) => {
    const { shown, counts, of } = findLookUps(all, lookUpFilter(new URLSearchParams(query)));
    return { at: shown.map(({ at }) => at), counts, of };
  };

  test.each([
    ["", [6, 5, 4, 3, 2, 1]],
    ["q=SHOP.example", [6, 5, 4, 2]],
    ["q=shop+db", [5, 2]],
    ["q=%20%20", [6, 5, 4, 3, 2, 1]],
    ["q=192.0.2", [3]],
    ["q=this+machine+not+found", [4]],
    ["q=fd00%3A%3A9", [1]],
    ["q=name+server", [2]],
    ["q=nobody", []],
    ["show=failed", [4, 3, 2]],
    ["show=found", [6, 5, 1]],
    ["show=stale", [5]],
    ["show=failed&q=db", [2]],
    ["show=no-such-kind", [6, 5, 4, 3, 2, 1]],
    ["show=constructor", [6, 5, 4, 3, 2, 1]],
    ["q=undefined", []],
  ])("%s", (query, at) => {
    expect(found(query).at).toEqual(at);
  });

  test("says how many there are of each kind with these words, and how many were searched", () => {
    expect(found("q=shop&show=stale")).toMatchObject({ counts: { all: 4, failed: 2, found: 2, stale: 1 }, of: 6 });
  });

  test("shows a hundred at most and counts them all", () => {
    const many = Array.from({ length: 250 }, (_, at) => lookUp({ at }));
    const { shown, counts } = findLookUps(many, lookUpFilter(new URLSearchParams("show=found")));
    expect([shown.length, counts.found]).toEqual([100, 250]);
  });

  test("takes no text longer than a user writes", () => {
    expect(lookUpFilter(new URLSearchParams({ q: "x".repeat(100_000) })).text).toHaveLength(200);
  });
});
