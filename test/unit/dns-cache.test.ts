import { beforeEach, describe, expect, test } from "vitest";
import { AnswerCache } from "../../src/dns/core/cache.js";

const LIMITS = { maxTtl: 10_000, negativeTtl: 2_000, staleTtl: 60_000, maxEntries: 3, maxRecords: 100 };
let cache: AnswerCache<string, string>;
beforeEach(() => {
  cache = new AnswerCache(LIMITS);
});

describe("a good answer", () => {
  test("is fresh for its TTL and no longer", () => {
    cache.storeGood("q", "good", 5, 1_000);
    expect(cache.fresh("q", 5_999)).toBe("good");
    expect(cache.fresh("q", 6_000)).toBeUndefined();
  });

  test("is fresh for --max-ttl at most", () => {
    cache.storeGood("q", "good", 3600, 0);
    expect(cache.fresh("q", 9_999)).toBe("good");
    expect(cache.fresh("q", 10_000)).toBeUndefined();
  });

  test("with TTL 0, as Consul gives, is never fresh and yet the last good one", () => {
    cache.storeGood("q", "good", 0, 0);
    expect(cache.fresh("q", 0)).toBeUndefined();
    expect(cache.lastGood("q", 59_999)).toBe("good");
    expect(cache.lastGood("q", 60_000)).toBeUndefined();
  });

  test("was known a moment ago only as long as the moment lasts", () => {
    cache.storeGood("q", "good", 0, 0);
    expect(cache.lastGood("q", 999, 1_000)).toBe("good");
    expect(cache.lastGood("q", 1_000, 1_000)).toBeUndefined();
  });

  test("was known a moment ago even where nothing is ever answered from stale (--stale-ttl 0)", () => {
    const never = new AnswerCache<string, string>({ ...LIMITS, staleTtl: 0 });
    never.storeGood("q", "good", 0, 0);
    expect(never.lastGood("q", 0)).toBeUndefined();
    expect(never.lastGood("q", 999, 1_000)).toBe("good");
  });

  test("replaces an absence", () => {
    cache.storeAbsent("q", "absent", 60, 0);
    cache.storeGood("q", "good", 60, 1);
    expect(cache.fresh("q", 2)).toBe("good");
  });
});

describe("an absence", () => {
  test("is fresh for its TTL, at most --negative-ttl", () => {
    cache.storeAbsent("q", "absent", 1, 0);
    expect(cache.fresh("q", 999)).toBe("absent");
    expect(cache.fresh("q", 1_000)).toBeUndefined();
    cache.storeAbsent("q", "absent", 60, 0);
    expect(cache.fresh("q", 1_999)).toBe("absent");
    expect(cache.fresh("q", 2_000)).toBeUndefined();
  });

  test("ends the last good answer: what is denied is not answered from stale", () => {
    cache.storeGood("q", "good", 0, 0);
    cache.storeAbsent("q", "absent", 0, 1);
    expect(cache.lastGood("q", 2)).toBeUndefined();
    cache.storeGood("q", "good", 0, 3);
    cache.storeAbsent("q", "absent", 1, 4);
    expect(cache.lastGood("q", 5)).toBeUndefined();
  });
});

describe("an answer that turned out wrong", () => {
  test("is dropped", () => {
    cache.storeGood("q", "good", 5, 0);
    cache.revise("q", () => undefined);
    expect(cache.fresh("q", 1)).toBeUndefined();
    expect(cache.lastGood("q", 1)).toBeUndefined();
  });

  test("in part is asked for anew, and what is left of it remains the last good one", () => {
    cache.storeGood("q", "good and bad", 5, 0);
    cache.revise("q", () => "good");
    expect(cache.fresh("q", 1)).toBeUndefined();
    expect(cache.lastGood("q", 1)).toBe("good");
  });

  test("not at all stays as it is", () => {
    cache.storeGood("q", "good", 5, 0);
    cache.revise("q", (value) => value);
    cache.revise("other", () => undefined);
    expect(cache.fresh("q", 1)).toBe("good");
  });
});

test("when the cache is full the answer used longest ago makes room", () => {
  for (const key of ["a", "b", "c"]) cache.storeGood(key, key, 5, 0);
  cache.fresh("a", 1);
  cache.storeGood("d", "d", 5, 1);
  expect(cache.fresh("a", 2)).toBe("a");
  expect(cache.fresh("b", 2)).toBeUndefined();
  expect([cache.fresh("c", 2), cache.fresh("d", 2)]).toEqual(["c", "d"]);
});

test("when its values hold too many records the answers used longest ago make room, however few they are", () => {
  cache.storeGood("a", "a", 5, 0, 40);
  cache.storeGood("b", "b", 5, 0, 40);
  cache.storeGood("a", "a again", 5, 0, 50);
  expect(cache.fresh("b", 1)).toBe("b");
  cache.storeGood("c", "c", 5, 1, 61);
  expect([cache.fresh("a", 2), cache.fresh("b", 2), cache.fresh("c", 2)]).toEqual([undefined, undefined, "c"]);
  cache.storeAbsent("c", "absent", 5, 2);
  cache.storeGood("d", "d", 5, 2, 100);
  expect([cache.fresh("c", 3), cache.fresh("d", 3)]).toEqual(["absent", "d"]);
  cache.revise("d", () => undefined);
  cache.storeGood("e", "e", 5, 3, 100);
  expect([cache.fresh("c", 4), cache.fresh("e", 4)]).toEqual(["absent", "e"]);
});
