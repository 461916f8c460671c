import fc from "fast-check";
import { expect, test } from "vitest";
import { parseGlob } from "../../src/text.js";

const text = fc.array(fc.constantFrom("a", "b", "*", "?"), { maxLength: 8 }).map((parts) => parts.join(""));

/** The definition, as short as it can be said. */
function matches(pattern: string, subject: string): boolean {
  if (pattern === "") return subject === "";
  const rest = pattern.slice(1);
  if (pattern.startsWith("*")) return matches(rest, subject) || (subject !== "" && matches(pattern, subject.slice(1)));
  return subject !== "" && (pattern.startsWith("?") || pattern[0] === subject[0]) && matches(rest, subject.slice(1));
}

test("a glob matches what its definition says", () => {
  fc.assert(
    fc.property(text, text, (pattern, subject) => {
      expect(parseGlob(pattern).matches(subject)).toBe(matches(pattern, subject));
    }),
    { numRuns: 5_000 },
  );
});
