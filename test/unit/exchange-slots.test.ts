import { expect, test } from "vitest";
import { ExchangeSlots } from "../../src/dns/exchange.js";

const FOREVER = () => 60_000;
const { signal } = new AbortController();
const settled = () => new Promise((resolve) => setImmediate(resolve));

/** All slots but none are taken by one holder as far as it may, and then by another: whoever asks now waits. */
async function busy() {
  const slots = new ExchangeSlots(4);
  for (const holder of ["a", "a", "b"]) expect(await slots.take(holder, FOREVER, signal)).toBe(true);
  const order: string[] = [];
  const ask = (name: string, holder: string, isForStranger: () => boolean) =>
    void slots.take(holder, FOREVER, signal, isForStranger).then(() => order.push(name));
  return { slots, order, ask };
}

test("queries for strangers wait behind those for local peers, whichever came first", async () => {
  const { slots, order, ask } = await busy();
  ask("stranger", "a", () => true);
  ask("second stranger", "b", () => true);
  ask("local", "a", () => false);
  ask("second local", "b", () => false);
  await settled();
  expect(order).toEqual([]);
  for (const holder of ["a", "b", "a", "b", "a", "b"]) {
    slots.give(holder);
    await settled();
  }
  expect(order.slice(0, 2).sort()).toEqual(["local", "second local"]);
  expect(order.slice(2).sort()).toEqual(["second stranger", "stranger"]);
});

test("a query that a stranger began goes before others once a local peer waits for it too", async () => {
  const { slots, order, ask } = await busy();
  let joined = false;
  ask("first stranger", "a", () => true);
  ask("joined", "a", () => !joined);
  joined = true;
  slots.give("a");
  await settled();
  expect(order[0]).toBe("joined");
});
