import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { Recurring } from "../../src/publish/recurring.js";

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

const RECHECK = 100;

/** Runs that take 10 ms each, and are due again after a minute; between runs for a publication 500 ms pass. */
function recurring(wait?: () => number) {
  const began: number[] = [];
  const start = Date.now();
  const now = () => Date.now() - start;
  const run = async () => {
    began.push(now());
    await new Promise((resolve) => setTimeout(resolve, 10));
    return 60_000;
  };
  const made = new Recurring({ run, rest: () => 500, recheck: RECHECK, now, ...(wait && { wait }) }, 0);
  return { made, began, pass: (milliseconds: number) => vi.advanceTimersByTimeAsync(milliseconds) };
}

test("a publication has one more run soon, and a run that began too early for it does not count", async () => {
  const { made, began, pass } = recurring();
  // During the first run.
  made.soon();
  await pass(510);
  expect(began).toEqual([0, 510]);
  await pass(5_000);
  expect(began).toEqual([0, 510]);
  made.soon();
  made.soon();
  await pass(60_000);
  expect(began).toEqual([0, 510, 6_010]);
  await made.stop();
  await pass(120_000);
  expect(began).toHaveLength(3);
});

test("a run that is due waits as long as it has to", async () => {
  const waits = [300, 200, 0];
  const { made, began, pass } = recurring(() => waits.shift() ?? 0);
  made.soon();
  await pass(510 + 499);
  expect(began).toEqual([0]);
  await pass(1);
  expect(began).toEqual([0, 1_010]);
  await pass(10);
  await made.stop();
});
