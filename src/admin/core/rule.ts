import type { LookUp } from "../../daemon/core/observations.js";
import type { FoundProblem, Problem } from "./problem.js";
import type { ReadyCheck, Status } from "./status.js";

/** What rules look at. */
export interface Facts {
  readonly status: Omit<Status, "problems">;
  /** All that are kept, newest first. */
  readonly lookUps: readonly LookUp[];
  /** Milliseconds since the epoch. */
  readonly now: number;
  /** Milliseconds since a time of the status, ISO 8601. */
  readonly ageOf: (at: string) => number;
}

/** Finds one kind of problem. A problem that follows from another one is not told beside it. */
export interface Rule extends Pick<Problem, "code" | "level"> {
  /** The conditions of readiness that a problem of this kind explains. */
  readonly explains?: readonly ReadyCheck["name"][];
  readonly find: (facts: Facts) => readonly FoundProblem[];
}

/** The condition, where it is not met. */
export function failedCheck({ status }: Facts, name: ReadyCheck["name"]): ReadyCheck | undefined {
  return status.readiness.checks.find((check) => check.name === name && !check.ok);
}

/** A problem that is about no node in particular. */
export function problem(sentence: string, advice: string): FoundProblem {
  return { sentence, advice, nodes: [] };
}

/** A sentence of an advice that another part gave: lower case, without a full stop. */
export function asSentence(advice: string): string {
  return `${advice.charAt(0).toUpperCase()}${advice.slice(1)}.`;
}

/** Names in a sentence: a machine may have thousands. */
export const MOST_NAMED = 4;

/** `a is`, `a, b are` */
export function are(names: readonly string[], listed: string): string {
  return `${listed} ${names.length === 1 ? "is" : "are"}`;
}
