import { expect, test } from "vitest";
import { type Caller, MOST_CALLS, type Rank, Turns } from "../../src/publish/turns.js";

/** Callers whose calls end when the test says so. */
function bench() {
  const turns = new Turns();
  const underWay = new Map<string, () => void>();
  const begun: string[] = [];
  const callers = new Map<string, Caller>();
  const caller = (name: string) => {
    const one = callers.get(name) ?? {
      go: () => {
        begun.push(name);
        return new Promise<void>((resolve) => underWay.set(name, resolve));
      },
    };
    callers.set(name, one);
    return one;
  };
  const settled = async () => {
    for (let turn = 0; turn < 8; turn++) await null;
  };
  return {
    begun,
    enter: (name: string, rank: Partial<Rank> = {}) =>
      turns.enter(caller(name), { lane: "change", share: name, by: 0, ...rank }),
    leave: (name: string) => turns.leave(caller(name)),
    end: async (name: string) => {
      underWay.get(name)?.();
      underWay.delete(name);
      await settled();
    },
    underWay: () => [...underWay.keys()],
    settled,
  };
}

const names = (count: number, prefix: string) => Array.from({ length: count }, (_, index) => `${prefix}${index}`);

test("as many calls as the agent may have are made at once, and one more when one ends", async () => {
  const { enter, end, begun, settled } = bench();
  for (const name of names(100, "a")) enter(name, { lane: "keep" });
  for (const name of names(100, "b")) enter(name);
  await settled();
  expect(begun).toHaveLength(MOST_CALLS);
  await end("a0");
  expect(begun).toHaveLength(MOST_CALLS + 1);
});

test("what keeps nodes in DNS goes before everything else, though that came first", async () => {
  const { enter, end, begun, settled } = bench();
  for (const name of names(100, "new")) enter(name);
  await settled();
  const full = begun.length;
  for (const name of names(8, "pass")) enter(name, { lane: "keep" });
  await settled();
  // Places are left for it even while all others are taken.
  expect(begun.slice(full)).toEqual(names(8, "pass"));
  enter("pass9", { lane: "keep" });
  await end("new0");
  expect(begun.at(-1)).toBe("pass9");
});

test("of its likes goes first what has the least time", async () => {
  const { enter, end, begun, settled } = bench();
  for (const name of names(24, "a")) enter(name, { lane: "keep" });
  await settled();
  for (const [index, name] of names(5, "b").entries()) enter(name, { lane: "keep", by: 5 - index });
  for (const name of names(5, "a")) await end(name);
  expect(begun.slice(24)).toEqual(["b4", "b3", "b2", "b1", "b0"]);
});

test.each(["keep", "change"] as const)(
  "one connection has half of the places of %s at the most, and waits behind those that have fewer",
  async (lane) => {
    const { enter, end, begun, settled } = bench();
    for (const name of names(100, "flood")) enter(name, { lane, share: "one" });
    await settled();
    expect(begun).toHaveLength(12);
    for (const name of names(40, "other")) enter(name, { lane, by: 1_000 });
    await settled();
    expect(begun.slice(12)).toEqual(names(12, "other"));
    await end("flood0");
    await end("flood1");
    // Those others have none under way.
    expect(begun.slice(24)).toEqual(["other12", "other13"]);
  },
);

test("who changes what it wants keeps its place, and who leaves has none", async () => {
  const { enter, end, leave, begun, settled } = bench();
  for (const name of names(24, "a")) enter(name);
  await settled();
  enter("b", { by: 1 });
  enter("c", { by: 2 });
  enter("d", { by: 3 });
  enter("b", { by: 9 });
  leave("c");
  await end("a0");
  await end("a1");
  await end("a2");
  expect(begun.slice(24)).toEqual(["b", "d"]);
});
