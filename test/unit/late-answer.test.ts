import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { waitForAnswer } from "../../src/catalogue/late-answer.js";

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

const LIMIT = 100;
const now = () => Date.now();

/** A back end whose answer comes when the test says so, and which takes so long to answer a question, milliseconds. */
function backEnd(takes: number | undefined) {
  const waiting = new Set<() => void>();
  let asked = 0;
  const deps: Parameters<typeof waitForAnswer>[0] = {
    now,
    outcome: (limit) =>
      new Promise((resolve) => {
        const timer = setTimeout(resolve, Math.max(0, limit), true);
        waiting.add(() => {
          clearTimeout(timer);
          resolve(false);
        });
      }),
    ask:
      takes === undefined
        ? undefined
        : (signal) => {
            asked++;
            return new Promise((resolve, reject) => {
              setTimeout(resolve, takes);
              signal.addEventListener("abort", () => reject(signal.reason));
            });
          },
    limit: LIMIT,
  };
  const wait = (due: number, end: number) => {
    const seen: { waited?: string; at?: number } = {};
    const began = now();
    void waitForAnswer(deps, began + due, began + end).then((waited) =>
      Object.assign(seen, { waited, at: now() - began }),
    );
    return seen;
  };
  return {
    wait,
    answer: () => {
      for (const done of waiting) done();
    },
    asked: () => asked,
  };
}

test("an answer in time is waited for, and nothing else is asked", async () => {
  const { wait, answer, asked } = backEnd(10);
  const seen = wait(300, 2_000);
  await vi.advanceTimersByTimeAsync(299);
  expect(seen).toEqual({});
  answer();
  await vi.advanceTimersByTimeAsync(0);
  expect(seen).toEqual({ waited: "answered", at: 299 });
  expect(asked()).toBe(0);
});

describe("where the answer is late", () => {
  test("it is waited for while another question is answered, which is asked again after a while", async () => {
    const { wait, answer, asked } = backEnd(20);
    const seen = wait(300, 2_000);
    await vi.advanceTimersByTimeAsync(1_000);
    expect(seen).toEqual({});
    // At 300, and then 100 ms after each answer.
    expect(asked()).toBe(6);
    answer();
    await vi.advanceTimersByTimeAsync(0);
    expect(seen).toEqual({ waited: "answered", at: 1_000 });
  });

  test("an answer that comes during the question counts", async () => {
    const { wait, answer } = backEnd(90);
    const seen = wait(300, 2_000);
    await vi.advanceTimersByTimeAsync(350);
    answer();
    await vi.advanceTimersByTimeAsync(0);
    expect(seen).toEqual({ waited: "answered", at: 350 });
  });

  test("the back end is silent when the question is not answered in its time", async () => {
    const { wait, asked } = backEnd(LIMIT + 1);
    const seen = wait(300, 2_000);
    await vi.advanceTimersByTimeAsync(1_000);
    expect(seen).toEqual({ waited: "silent", at: 400 });
    expect(asked()).toBe(1);
  });

  test("it is waited for no longer than until it is overdue, whatever else is answered", async () => {
    const { wait } = backEnd(60);
    const [during, between] = [wait(300, 330), wait(300, 2_000)];
    await vi.advanceTimersByTimeAsync(3_000);
    expect([during, between]).toEqual([
      { waited: "over", at: 330 },
      { waited: "over", at: 2_000 },
    ]);
  });

  test("a back end without such a question is silent at once", async () => {
    const { wait } = backEnd(undefined);
    const seen = wait(300, 2_000);
    await vi.advanceTimersByTimeAsync(1_000);
    expect(seen).toEqual({ waited: "silent", at: 300 });
  });
});
