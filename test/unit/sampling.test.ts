import { expect, test } from "vitest";
import { Sampling } from "../../src/sampling.js";

test("of each kind the first in a minute is told, with how many were left out since", () => {
  const sampling = new Sampling();
  expect([sampling.take("a", 0), sampling.take("a", 1), sampling.take("b", 2), sampling.take("a", 3)]).toEqual([
    0,
    undefined,
    1,
    undefined,
  ]);
  expect([sampling.take("a", 59_999), sampling.take("a", 60_000), sampling.take("a", 60_001)]).toEqual([
    undefined,
    2,
    undefined,
  ]);
});

test("of ever new kinds ten are told in a minute", () => {
  const sampling = new Sampling();
  const told = (from: number) =>
    Array.from({ length: 1000 }, (_, n) => sampling.take(`${from + n}`, from)).filter(
      (leftOut) => leftOut !== undefined,
    );
  expect(told(0)).toHaveLength(10);
  expect(told(60_000)).toEqual([990, ...new Array(9).fill(0)]);
});
