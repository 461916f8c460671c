import { afterEach, expect, test, vi } from "vitest";
import { eachOf } from "../../src/each-of.js";

afterEach(() => void vi.useRealTimers());

/** Runs so many pieces of work, each of which takes the time. @returns the results, and how many were under way at once at most */
async function run(count: number, milliseconds: number, patience?: number) {
  vi.useFakeTimers();
  let [open, most] = [0, 0];
  const work = async (item: number) => {
    most = Math.max(most, ++open);
    await new Promise((resolve) => setTimeout(resolve, milliseconds));
    open--;
    return item * 2;
  };
  const items = Array.from({ length: count }, (_, index) => index);
  const all = eachOf(items, work, patience);
  await vi.advanceTimersByTimeAsync(count * milliseconds);
  expect(await all).toEqual(items.map((item) => item * 2));
  return most;
}

test("sixteen are under way at once", async () => {
  expect(await run(100, 50)).toBe(16);
  expect(await run(100, 50, 250)).toBe(16);
});

test("those that wait longer are no part of the sixteen, and with them there are 128 at most", async () => {
  expect(await run(40, 1_000, 250)).toBe(40);
  expect(await run(1_000, 60_000, 250)).toBe(128);
});

test("the first failure is told, also where the ceiling is reached", async () => {
  vi.useFakeTimers();
  const work = async (item: number) => {
    await new Promise((resolve) => setTimeout(resolve, 60_000));
    if (item === 7) throw new Error("7");
  };
  const all = eachOf(
    Array.from({ length: 300 }, (_, index) => index),
    work,
    250,
  );
  const told = expect(all).rejects.toThrow("7");
  await vi.advanceTimersByTimeAsync(600_000);
  await told;
});
