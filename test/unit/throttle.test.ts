import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { Throttle } from "../../src/publish/timing.js";

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

test("a throttled call is made at once, then once at the end of each interval in which it was requested", () => {
  let calls = 0;
  const throttle = new Throttle(() => calls++, 100);
  throttle.request();
  expect(calls).toBe(1);
  for (let requests = 0; requests < 5; requests++) throttle.request();
  vi.advanceTimersByTime(99);
  expect(calls).toBe(1);
  vi.advanceTimersByTime(1);
  expect(calls).toBe(2);
  throttle.request();
  vi.advanceTimersByTime(100);
  expect(calls).toBe(3);
  vi.advanceTimersByTime(1_000);
  expect(calls).toBe(3);
  throttle.request();
  expect(calls).toBe(4);
});

test("a throttle that was stopped makes no call and leaves no timer behind", () => {
  let calls = 0;
  const throttle = new Throttle(() => calls++, 100);
  throttle.request();
  throttle.request();
  throttle.stop();
  throttle.request();
  expect(vi.getTimerCount()).toBe(0);
  expect(calls).toBe(1);
});
