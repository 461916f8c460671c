import { describe, expect, test } from "vitest";
import { parseGlob } from "../../src/text.js";
import { processorTime } from "../support/processor-time.js";

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

  test("with many stars takes no long time over a long text that does not match", () => {
    const glob = parseGlob(`${"*a".repeat(40)}b`);
    const started = processorTime();
    expect(glob.matches("a".repeat(2_000))).toBe(false);
    expect(processorTime() - started).toBeLessThan(500);
  });
});
