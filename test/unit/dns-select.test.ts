import { expect, test } from "vitest";
import { orderSrv } from "../../src/dns/core/order.js";

const record = (name: string, priority: number, weight: number) => ({ name, priority, weight });
/** Gives these numbers, one after the other. */
function numbers(...values: number[]): () => number {
  return () => values.shift() ?? 0;
}
const names = (records: readonly { name: string }[]) => records.map(({ name }) => name).join("");

test("lower priorities come first, whatever their weights", () => {
  const records = [record("c", 20, 100), record("a", 1, 1), record("b", 10, 50)];
  expect(names(orderSrv(records, () => 0.99))).toBe("abc");
});

test("within a priority the first record whose running sum of weights reaches the drawn number is next", () => {
  const records = [record("a", 1, 10), record("b", 1, 60), record("c", 1, 30)];
  // Of 100: 11 is b's first number; then of 40 (a 10, c 30): 11 is c's first.
  expect(names(orderSrv(records, numbers(0.1, 0.25)))).toBe("bca");
  expect(names(orderSrv(records, numbers(0.0999, 0)))).toBe("abc");
  expect(names(orderSrv(records, numbers(0.7, 0.999)))).toBe("cba");
  expect(names(orderSrv(records, numbers(0.9999)))).toBe("cab");
});

test("two records of equal weight share evenly", () => {
  const records = [record("a", 1, 1), record("b", 1, 1)];
  expect(names(orderSrv(records, () => 0.499))).toBe("ab");
  expect(names(orderSrv(records, () => 0.5))).toBe("ba");
});

test("a record of weight 0 is drawn by the number 0 only, from 0 to the sum inclusive", () => {
  const records = [record("a", 1, 9), record("z", 1, 0)];
  expect(names(orderSrv(records, () => 0.0999))).toBe("za");
  expect(names(orderSrv(records, () => 0.1))).toBe("az");
});

test("where all weights are 0 each record is as likely as the next", () => {
  const records = [record("a", 1, 0), record("b", 1, 0), record("c", 1, 0)];
  expect(names(orderSrv(records, numbers(0.67, 0.5)))).toBe("cba");
  expect(names(orderSrv(records, numbers(0, 0)))).toBe("abc");
});

test("no records give no order", () => {
  expect(orderSrv([], () => 0)).toEqual([]);
});
