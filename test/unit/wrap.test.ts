import { expect, test } from "vitest";
import { wrap } from "../../src/cli/io.js";

test.each([
  ["ok    a-check  short", 40, ["ok    a-check  short"]],
  [
    "ok    a-check  words that are too many for one line of it",
    45,
    ["ok    a-check  words that are too many for", "               one line of it"],
  ],
  [
    "      advice that has an indent of its own, kept",
    40,
    ["      advice that has an indent of its", "      own, kept"],
  ],
  ["none of 17 checks failed, 4 did not apply", 32, ["none of 17 checks failed, 4 did", "not apply"]],
  // A word is never broken, and a terminal too narrow for columns gets the line as it is.
  [`ok  a  ${"x".repeat(60)} y`, 50, [`ok  a  ${"x".repeat(60)}`, "       y"]],
  ["ok    a-check  words that are too many", 20, ["ok    a-check  words that are too many"]],
])("%j on %i columns", (text, columns, lines) => {
  expect(wrap(text, columns)).toEqual(lines);
});
