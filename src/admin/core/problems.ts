import { AGENT_RULES } from "./agent-problems.js";
import { LOOK_UP_RULES } from "./look-up-problems.js";
import { NODE_RULES } from "./node-problems.js";
import type { Problem } from "./problem.js";
import type { Facts, Rule } from "./rule.js";
import type { ReadyCheck } from "./status.js";

/** A condition of readiness that no rule explains. */
const NOT_READY = "NOT_READY";

/** Each kind of problem, what others follow from first. */
export const RULES: readonly Rule[] = [...AGENT_RULES, ...NODE_RULES, ...LOOK_UP_RULES];

/** All codes that a problem can have. */
export const PROBLEM_CODES: readonly string[] = [...RULES.map(({ code }) => code), NOT_READY];

/** What is wrong: errors before warnings, and of these what others follow from first. Not ready is never without a problem. */
export function problemsOf(facts: Facts): Problem[] {
  const explained = new Set<ReadyCheck["name"]>();
  const found = RULES.flatMap(({ code, level, explains = [], find }) => {
    const problems = find(facts);
    if (problems.length > 0) for (const name of explains) explained.add(name);
    return problems.map((problem): Problem => ({ code, level, ...problem }));
  });
  const rest = facts.status.readiness.checks
    .filter(({ name, ok }) => !ok && !explained.has(name))
    .map(
      ({ name, reason }): Problem => ({
        code: NOT_READY,
        level: "error",
        sentence: `This srv-epmd is not ready (${name}): ${reason ?? "it does not say why"}.`,
        advice: "See the warnings in its log: they say since when, and what was tried.",
        nodes: [],
      }),
    );
  const all = [...found, ...rest];
  return [...all.filter(({ level }) => level === "error"), ...all.filter(({ level }) => level === "warning")];
}
