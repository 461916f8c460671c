import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { LateAnswers } from "../../src/catalogue/late-answer.js";

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

const LIMIT = 100;
const now = () => Date.now();

/** A back end whose answer comes when the test says so, and which takes so long to answer a question, milliseconds. */
function backEnd(takes: number | undefined) {
  const waiting = new Set<() => void>();
  let asked = 0;
  const late = new LateAnswers({
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
  });
  const wait = (due: number, end: number) => {
    const seen: { waited?: string; at?: number } = {};
    const began = now();
    void late.wait(began + due, began + end).then((waited) => Object.assign(seen, { waited, at: now() - began }));
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
  test("it is waited for while another question is answered, one question for all who wait", async () => {
    const { wait, answer, asked } = backEnd(20);
    const all = [wait(300, 2_000), wait(300, 2_000), wait(300, 5_000)];
    await vi.advanceTimersByTimeAsync(1_000);
    expect(all).toEqual([{}, {}, {}]);
    // At 300, and then 100 ms after each answer.
    expect(asked()).toBe(6);
    answer();
    await vi.advanceTimersByTimeAsync(0);
    expect(all.map(({ waited }) => waited)).toEqual(["answered", "answered", "answered"]);
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
    const [long, short] = [wait(300, 2_000), wait(300, 350)];
    await vi.advanceTimersByTimeAsync(1_000);
    expect(long).toEqual({ waited: "silent", at: 400 });
    // It has not waited for as long as the question may take.
    expect(short).toEqual({ waited: "over", at: 350 });
    expect(asked()).toBe(1);
  });

  test("who has less time than that learns nothing of the back end", async () => {
    const { wait } = backEnd(60);
    const [brief, end] = [wait(300, 200), wait(300, 330)];
    await vi.advanceTimersByTimeAsync(1_000);
    expect([brief, end]).toEqual([
      { waited: "over", at: 200 },
      { waited: "over", at: 330 },
    ]);
  });

  test("a back end without such a question is silent at once", async () => {
    const { wait } = backEnd(undefined);
    const seen = wait(300, 2_000);
    await vi.advanceTimersByTimeAsync(1_000);
    expect(seen).toEqual({ waited: "silent", at: 300 });
  });
});
