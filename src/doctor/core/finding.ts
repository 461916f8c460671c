import { listed } from "../../text.js";
import type { ProblemCode } from "./problems.js";

/** Something that is not as it should be. */
export interface Problem {
  readonly code: ProblemCode;
  readonly result: "warn" | "fail";
  readonly evidence: readonly string[];
  /** What to do; the first part is the one action of a verdict, the others are told with all checks. */
  readonly advice: readonly string[];
  /** Alive name of the node: problems of different ones do not follow from each other. */
  readonly about?: string | undefined;
  /** Alive names of the VMs here that it keeps from the node asked for; absent: all, or none. */
  readonly vms?: readonly string[];
  /** Kinds that it does not follow from this time. */
  readonly apartFrom?: readonly ProblemCode[];
}

/** What a check has found, with advice where something is to be done: parts that a report puts on a line each. */
export type Finding = (
  | { readonly result: "ok"; readonly evidence: readonly string[] }
  /** The check does not apply or cannot be made; the evidence says why. */
  | { readonly result: "skip"; readonly evidence: readonly string[] }
  | {
      readonly result: "warn" | "fail";
      readonly evidence: readonly string[];
      readonly advice: readonly string[];
      /** At least one; the worst first. */
      readonly problems: readonly Problem[];
    }
) & { readonly facts?: Facts };

/** What was found, for programs: values of JSON by stable names. */
export type Facts = Readonly<Record<string, unknown>>;

export type FindingResult = Finding["result"];

/** One part, or several. */
export type Parts = string | readonly string[];

export const partsOf = (parts: Parts): readonly string[] => (typeof parts === "string" ? [parts] : parts);

export const ok = (evidence: Parts): Finding => ({ result: "ok", evidence: partsOf(evidence) });
export const skip = (evidence: Parts): Finding => ({ result: "skip", evidence: partsOf(evidence) });

/** @param about alive name of the node */
export const warn = (code: ProblemCode, evidence: Parts, advice: Parts, about?: string): Finding =>
  ofProblem({ code, result: "warn", evidence: partsOf(evidence), advice: partsOf(advice), about });

/** @param about alive name of the node */
export const fail = (code: ProblemCode, evidence: Parts, advice: Parts, about?: string): Finding =>
  ofProblem({ code, result: "fail", evidence: partsOf(evidence), advice: partsOf(advice), about });

function ofProblem(problem: Problem): Finding {
  const { result, evidence, advice } = problem;
  return { result, evidence, advice, problems: [problem] };
}

export function problemsOf(finding: Finding): readonly Problem[] {
  return "problems" in finding ? finding.problems : [];
}

/** The finding with these parts in each of its problems. */
function withParts(finding: Finding, parts: (problem: Problem) => Partial<Problem>): Finding {
  if (!("problems" in finding)) return finding;
  return { ...finding, problems: finding.problems.map((problem) => ({ ...problem, ...parts(problem) })) };
}

/** The finding of certain VMs here: others reach the node that was asked for. */
export const ofVms = (vms: readonly string[], finding: Finding): Finding => withParts(finding, () => ({ vms }));

/** The finding of the node that was asked for: what is wrong with another node here does not explain it. */
export const ofNode = (aliveName: string, finding: Finding): Finding =>
  withParts(finding, ({ about = aliveName }) => ({ about }));

/** The finding, which follows from none of these kinds this time. */
export const apart = (codes: readonly ProblemCode[], finding: Finding): Finding =>
  withParts(finding, () => ({ apartFrom: codes }));

/** The finding without its problems of nodes that have ended since. */
export function withoutNodes(ended: readonly string[], finding: Finding): Finding {
  if (ended.length === 0 || !("problems" in finding)) return finding;
  const { facts } = finding;
  const rest = finding.problems.filter(({ about }) => about === undefined || !ended.includes(about));
  if (rest.length === finding.problems.length) return finding;
  const evidence = `${listed(ended)} left the EPMD here while this was looked at: its VM has ended`;
  const left = together(rest.map(ofProblem), evidence);
  return facts === undefined ? left : { ...left, facts };
}

/** A failure as a warning. @param first advice that comes before the other */
export function softer(finding: Finding, first: readonly string[] = []): Finding {
  if (finding.result !== "fail") return finding;
  const problems = finding.problems.map((problem): Problem => {
    return problem.result === "warn" ? problem : { ...problem, result: "warn", advice: [...first, ...problem.advice] };
  });
  return { ...finding, result: "warn", advice: [...first, ...finding.advice], problems };
}

/** The finding with evidence before its own. */
export const after = (first: readonly string[], finding: Finding): Finding =>
  withEvidence(finding, (evidence) => [...first, ...evidence]);

/** The finding with evidence behind its own. */
export const behind = (finding: Finding, last: readonly string[]): Finding =>
  withEvidence(finding, (evidence) => [...evidence, ...last]);

function withEvidence(finding: Finding, change: (evidence: readonly string[]) => readonly string[]): Finding {
  const parts = withParts(finding, (problem) => ({ evidence: change(problem.evidence) }));
  return { ...parts, evidence: change(finding.evidence) };
}

const SEVERITY: readonly FindingResult[] = ["fail", "warn", "ok", "skip"];
/** Findings that are told of one check: a machine may have hundreds of nodes. */
export const MOST_TOLD = 4;

/**
 * Makes one finding of several. It has the worst result, tells the worst first, and gives the same advice once.
 * @param none evidence where there is no finding
 */
export function together(findings: readonly Finding[], none: string): Finding {
  const sorted = SEVERITY.flatMap((severity) => findings.filter(({ result }) => result === severity));
  const [worst] = sorted;
  if (!worst) return skip(none);
  const more = sorted.length > MOST_TOLD ? [`and ${sorted.length - MOST_TOLD} more`] : [];
  const evidence = [...sorted.slice(0, MOST_TOLD).flatMap((finding) => finding.evidence), ...more];
  if (worst.result === "ok" || worst.result === "skip") return { result: worst.result, evidence };
  const advice = new Set(sorted.flatMap((finding) => ("advice" in finding ? finding.advice : [])));
  const problems = sorted.flatMap(problemsOf);
  return { result: worst.result, evidence, advice: Array.from(advice).slice(0, MOST_TOLD), problems };
}
