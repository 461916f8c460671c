import { describe, expect, test } from "vitest";
import { parseGlob } from "../../src/text.js";

describe("a glob", () => {
  test.each([
    ["*", "", true],
    ["*", "anything", true],
    ["node_*", "node_a", true],
    ["node_*", "node_", true],
    ["node_*", "my_node_a", false],
    ["*_a", "node_a", true],
    ["n*d*a", "node_a", true],
    ["n*d*a", "node_b", false],
    ["node_?", "node_a", true],
    ["node_?", "node_", false],
    ["node_?", "node_ab", false],
    ["?", "😈", true],
    ["a**b", "a--b", true],
    ["*a*b", "xaxaxb", true],
    ["", "", true],
    ["", "a", false],
    ["Node", "node", false],
  ])("%j matches %j: %s", (pattern, text, expected) => {
    expect(parseGlob(pattern).matches(text)).toBe(expected);
  });

  test.each([".", "+", "^", "$", "{1}", "()", "|", "[a]", "\\", "/", "-"])("takes %j as itself", (pattern) => {
    expect(parseGlob(pattern).matches(pattern)).toBe(true);
    expect(parseGlob(pattern).matches("a")).toBe(false);
  });

  test("crosses dots, blanks and newlines", () => {
    expect(parseGlob("a*z").matches("a.b\n@ z")).toBe(true);
  });

  test("with many stars tries no more places in a long text than the last star has", () => {
    // With backtracking to each star these 64 characters take minutes: four thousand million places.
    expect(parseGlob(`${"*a".repeat(8)}b`).matches("a".repeat(64))).toBe(false);
    expect(parseGlob(`${"*a".repeat(8)}b`).matches(`${"a".repeat(64)}b`)).toBe(true);
  });
});
