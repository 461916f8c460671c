import fc from "fast-check";
import { expect, test } from "vitest";
import { fail, together, warn } from "../../src/doctor/core/finding.js";
import { causesOf, PROBLEMS, type ProblemCode } from "../../src/doctor/core/problems.js";
import { type Told, verdictOf } from "../../src/doctor/core/verdict.js";

const CODES = Object.keys(PROBLEMS) as ProblemCode[];
const found = fc.record({
  code: fc.constantFrom(...CODES),
  isFailure: fc.boolean(),
  about: fc.constantFrom("a", "b", undefined),
});

/** Whether a kind follows from another, at any hand. */
const isAbove = (cause: ProblemCode, code: ProblemCode): boolean =>
  causesOf(code).some((one) => one === cause || isAbove(cause, one));

test("whatever is found, each problem is told once, under one of its causes or as a root", () => {
  fc.assert(
    fc.property(fc.array(fc.array(found, { minLength: 1, maxLength: 3 }), { maxLength: 12 }), (checks) => {
      let number = 0;
      const told = checks.map((parts, index): Told => {
        const findings = parts.map(({ code, isFailure, about }) =>
          (isFailure ? fail : warn)(code, `#${number++}.`, `do ${number}`, about),
        );
        return { ...together(findings, ""), id: `check-${index}` };
      });
      const { problems } = verdictOf(told);
      const all = problems.flatMap((problem) => [problem, ...problem.effects]);
      const seen = all.flatMap(({ evidence }) => evidence).sort();
      expect(seen).toEqual(Array.from({ length: number }, (_, n) => `#${n}.`).sort());
      for (const { code, effects } of problems) {
        for (const effect of effects) expect(isAbove(code, effect.code), `${effect.code} under ${code}`).toBe(true);
      }
      const severity = problems.map((problem) => [problem, ...problem.effects].some(({ result }) => result === "fail"));
      expect(severity.toSorted((a, b) => Number(b) - Number(a))).toEqual(severity);
    }),
  );
});
