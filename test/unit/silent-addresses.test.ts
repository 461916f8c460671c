import { expect, test } from "vitest";
import { hadItsTime, SilentAddresses } from "../../src/net/endpoint.js";

const at = (address: string) => ({ address });

test("addresses that were silent go last for a minute, and stay in their order", () => {
  const silent = new SilentAddresses();
  const endpoints = ["fd00::1", "10.0.0.1", "fd00::2", "10.0.0.2"].map(at);
  silent.note("fd00::2", 0);
  silent.note("fd00::1", 1_000);
  const order = (now: number) => silent.order(endpoints, now).map(({ address }) => address);
  expect(order(59_999)).toEqual(["10.0.0.1", "10.0.0.2", "fd00::1", "fd00::2"]);
  expect(order(60_000)).toEqual(["10.0.0.1", "fd00::2", "10.0.0.2", "fd00::1"]);
  silent.answered("fd00::1");
  expect(order(60_000)).toEqual(endpoints.map(({ address }) => address));
});

test("an address is remembered anew with each silence, and of too many the oldest are forgotten", () => {
  const silent = new SilentAddresses();
  silent.note("first", 0);
  silent.note("second", 0);
  silent.note("first", 1);
  for (let index = 0; index < 1023; index++) silent.note(`other ${index}`, 2);
  const kept = silent.order(["first", "second", "free"].map(at), 3).map(({ address }) => address);
  expect(kept).toEqual(["second", "free", "first"]);
});

test("an attempt had its time though the timer of the next ended a fraction of a millisecond early", () => {
  expect(hadItsTime(1_000.3, 1_250)).toBe(true);
  expect(hadItsTime(1_000, 1_248)).toBe(false);
  expect(hadItsTime(1_000, 1_039.4, 40)).toBe(true);
});
