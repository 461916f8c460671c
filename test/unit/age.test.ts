import { expect, test } from "vitest";
import { ageWords } from "../../src/text.js";

test.each([
  [0, "0s"],
  [59, "59s"],
  [60, "1m"],
  [3_599, "59m"],
  [3_600, "1h0m"],
  [86_399, "23h59m"],
  [86_400, "1d"],
  [700_000, "8d"],
])("%i seconds are %s", (seconds, words) => {
  expect(ageWords(seconds)).toBe(words);
});
