import { afterEach, expect, test, vi } from "vitest";
import { VmLinks } from "../../src/admin/vm-links.js";
import { type RegisteredNode, Registry } from "../../src/epmd/core/registry.js";
import type { NoLinks } from "../../src/epmd/link-tellers.js";
import type { Links } from "../../src/epmd/wire/links.js";
import { registration } from "../support/registered-node.js";

const NOW = Date.UTC(2025, 2, 14, 14, 3, 22);
/** Two rounds are never nearer, milliseconds. */
const PAUSE = 3_000;

afterEach(() => void vi.useRealTimers());

type Answer = Links | NoLinks | Promise<Links | NoLinks>;

/** VMs that answer by these, and how often they were asked. */
function vms(answers: Record<string, () => Answer>) {
  vi.useFakeTimers();
  vi.setSystemTime(NOW);
  const registry = new Registry();
  const nodes = new Map<string, RegisteredNode>();
  for (const [index, name] of Object.keys(answers).entries()) {
    const node = registry.register(registration(name, 20_000 + index), 0);
    if (node) nodes.set(name, node);
  }
  let asked = 0;
  const ask = async ({ aliveName }: RegisteredNode) => {
    asked++;
    return answers[aliveName]?.() ?? "not-offered";
  };
  const links = new VmLinks({ registry, links: { ask }, now: () => Date.now() });
  return { links, registry, node: (name: string) => nodes.get(name) as RegisteredNode, asked: () => asked };
}

const told = (node: string, ...linked: string[]): Links => ({ node, linked: new Set(linked) });
const at = (seconds: number) => new Date(NOW + seconds * 1000).toISOString();
const never = () => new Promise<never>(() => {});

test("nobody is asked until somebody wants to know, and then once for all who do, every few seconds", async () => {
  const { links, asked } = vms({ a: () => told("a@h.test", "b@h.test") });
  await vi.advanceTimersByTimeAsync(60_000);
  expect(asked()).toBe(0);
  const [one, other] = await Promise.all([links.now(), links.now()]);
  const expected = { name: "a", hidden: false, state: "told", node: "a@h.test", linked: ["b@h.test"], at: at(60) };
  expect(one).toEqual([expected]);
  expect(other).toEqual(one);
  for (let elapsed = 0; elapsed < 2_900; elapsed += 100) {
    await vi.advanceTimersByTimeAsync(100);
    await links.now();
  }
  expect(asked()).toBe(1);
  await vi.advanceTimersByTimeAsync(100);
  await links.now();
  expect(asked()).toBe(2);
  // Nobody wants to know any more.
  await vi.advanceTimersByTimeAsync(60_000);
  expect(asked()).toBe(2);
});

test("a VM that does not answer holds nobody up, and hides no other", async () => {
  const { links, asked } = vms({ stopped: never, a: () => told("a@h.test") });
  const first = links.now();
  let waited = 0;
  void first.then(() => {
    waited = Date.now() - NOW;
  });
  await vi.advanceTimersByTimeAsync(10_000);
  expect(await first).toMatchObject([{ name: "a", state: "told" }]);
  expect(waited).toBe(200);
  // One round at a time: the question to the stopped one is still open.
  void links.now();
  await vi.advanceTimersByTimeAsync(1_000);
  expect(asked()).toBe(2);
});

test("what was told is shown at once while it is asked for anew", async () => {
  let next: () => Answer = () => told("a@h.test", "b@h.test");
  const { links } = vms({ a: () => next() });
  await links.now();
  next = never;
  await vi.advanceTimersByTimeAsync(PAUSE);
  // No timer is run: whoever waits for one fails.
  expect(await links.now()).toMatchObject([{ state: "told", linked: ["b@h.test"], at: at(0) }]);
});

test("a VM that told before and is not there any more is silent until it tells again", async () => {
  let answer: Answer = told("a@h.test");
  const { links } = vms({ a: () => answer, b: () => "not-offered" });
  const seen = async () => {
    await vi.advanceTimersByTimeAsync(PAUSE);
    await links.now();
    await vi.advanceTimersByTimeAsync(0);
    return (await links.now()).map((one) => [one.name, one.state, "at" in one ? one.at : undefined]);
  };
  expect(await seen()).toEqual([
    ["b", "not-offered", undefined],
    ["a", "told", at(3)],
  ]);
  answer = "silent";
  expect((await seen())[1]).toEqual(["a", "silent", at(3)]);
  // Its connection has ended since.
  answer = "not-offered";
  expect((await seen())[1]).toEqual(["a", "silent", at(3)]);
  answer = told("a@h.test");
  expect((await seen())[1]).toEqual(["a", "told", at(12)]);
});

test("a change has another number, and the time of an answer is none", async () => {
  let answer: Answer = told("a@h.test", "b@h.test");
  const { links } = vms({ a: () => answer });
  const changes = async () => {
    await vi.advanceTimersByTimeAsync(PAUSE);
    await links.now();
    await vi.advanceTimersByTimeAsync(0);
    return links.changes;
  };
  const before = await changes();
  expect(await changes()).toBe(before);
  answer = told("a@h.test");
  const cut = await changes();
  expect(cut).not.toBe(before);
  expect(await changes()).toBe(cut);
  answer = "silent";
  expect(await changes()).not.toBe(cut);
});

test("what is kept is bounded: of one VM, and by the number of VMs", async () => {
  const many = Array.from({ length: 1_000 }, (_, index) => `${"n".repeat(70)}${index}@h.test`);
  const { links } = vms({
    big: () => told("big@h.test", ...many),
    small: () => told("small@h.test", ...many.slice(9, 99)),
  });
  expect((await links.now()).map(({ state }) => state)).toEqual(["told", "too-many"]);
  const crowd = vms(
    Object.fromEntries(Array.from({ length: 100 }, (_, index) => [`n${index}`, () => told("n@h.test")])),
  );
  expect(await crowd.links.now()).toHaveLength(64);
  expect(crowd.asked()).toBe(64);
});

test("a node that has gone is not told of, nor what one before it of the same name said", async () => {
  const { links, registry, node } = vms({ a: () => told("a@h.test") });
  await links.now();
  registry.unregister(node("a"));
  expect(await links.now()).toEqual([]);
  registry.register(registration("a", 20_009), 1);
  expect(await links.now()).toEqual([]);
});
