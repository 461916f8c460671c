import { grouped } from "../../grouped.js";
import { type Finding, type FindingResult, MOST_TOLD, type Problem, problemsOf } from "./finding.js";
import { causesOf, isOfPeer } from "./problems.js";

/** A check and what it has found. */
export type Told = Finding & { readonly id: string };

/** A problem, and the check that found it. */
export interface FoundProblem extends Problem {
  readonly check: string;
}

/** A problem that follows from no other that was found. */
export interface RootProblem extends FoundProblem {
  /** What follows from it, at first or second hand. */
  readonly effects: readonly FoundProblem[];
}

export interface Verdict {
  /** The worst first, each before what follows from it. */
  readonly problems: readonly RootProblem[];
  /** Checks by their results. */
  readonly counts: Readonly<Record<FindingResult, number>>;
}

/** Orders what was found, and puts what follows from a cause under it. @param told in the order of the checks: what explains others first */
export function verdictOf(told: readonly Told[]): Verdict {
  const all = foundProblems(told);
  const effects = new Map<FoundProblem, FoundProblem[]>();
  for (const problem of all) {
    const cause = rootOf(problem, all);
    if (cause !== problem) effects.set(cause, [...(effects.get(cause) ?? []), problem]);
  }
  const roots = all
    .filter((problem) => causeOf(problem, all) === undefined)
    .map((problem): RootProblem => ({ ...problem, effects: alike(effects.get(problem) ?? []) }));
  const problems = mergeRoots(roots).toSorted((a, b) => rankOf(a) - rankOf(b));
  return { problems, counts: countsOf(told) };
}

export function foundProblems(told: readonly Told[]): FoundProblem[] {
  return told.flatMap((one) => problemsOf(one).map((problem) => ({ ...problem, check: one.id })));
}

/** The problem from which another follows directly; undefined for a root. */
export function causeOf(problem: FoundProblem, all: readonly FoundProblem[]): FoundProblem | undefined {
  const causes = causesOf(problem.code).filter((code) => !problem.apartFrom?.includes(code));
  return all.find((other) => causes.includes(other.code) && concern(problem, other));
}

/** Kinds have no circle among their causes, so this ends. */
function rootOf(problem: FoundProblem, all: readonly FoundProblem[]): FoundProblem {
  const cause = causeOf(problem, all);
  return cause === undefined ? problem : rootOf(cause, all);
}

/** Problems of two nodes do not follow from each other. */
function concern(problem: Problem, other: Problem): boolean {
  return problem.about === undefined || other.about === undefined || problem.about === other.about;
}

/** What keeps VMs from the node that was asked for comes first, then other failures, then warnings. */
function rankOf({ effects, ...problem }: RootProblem): number {
  const failed = [problem, ...effects].filter(({ result }) => result === "fail");
  if (failed.some(({ code }) => isOfPeer(code))) return 0;
  return failed.length > 0 ? 1 : 2;
}

/** Many nodes of a machine may have one problem: it is told once, with its one action. */
function mergeRoots(roots: readonly RootProblem[]): RootProblem[] {
  return Array.from(grouped(roots, likeness).values(), (same): RootProblem => {
    const effects = alike(same.flatMap((one) => one.effects));
    return { ...merged(same), effects };
  });
}

function alike(problems: readonly FoundProblem[]): FoundProblem[] {
  return Array.from(grouped(problems, likeness).values(), merged);
}

/** Problems of one are told as one. */
function likeness({ check, code, result, advice }: FoundProblem): string {
  return JSON.stringify([check, code, result, advice[0]]);
}

function merged<T extends FoundProblem>([first, ...others]: readonly [T, ...T[]]): T {
  if (others.length === 0) return first;
  const told = [first, ...others.slice(0, MOST_TOLD - 1)];
  const more = others.length >= MOST_TOLD ? [`and ${others.length + 1 - MOST_TOLD} more`] : [];
  const advice = Array.from(new Set([first, ...others].flatMap((one) => one.advice)));
  return { ...first, evidence: [...told.flatMap((one) => one.evidence), ...more], advice };
}

function countsOf(told: readonly Told[]): Verdict["counts"] {
  const counts = { ok: 0, warn: 0, fail: 0, skip: 0 };
  for (const { result } of told) counts[result]++;
  return counts;
}
