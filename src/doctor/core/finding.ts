/** What a check has found, with advice where something is to be done: parts that a report puts on a line each. */
export type Finding = (
  | { readonly result: "ok"; readonly evidence: readonly string[] }
  /** The check does not apply or cannot be made; the evidence says why. */
  | { readonly result: "skip"; readonly evidence: readonly string[] }
  | { readonly result: "warn" | "fail"; readonly evidence: readonly string[]; readonly advice: readonly string[] }
) & { readonly facts?: Facts };

/** What was found, for programs: values of JSON by stable names. */
export type Facts = Readonly<Record<string, unknown>>;

export type FindingResult = Finding["result"];

/** One part, or several. */
export type Parts = string | readonly string[];

export const partsOf = (parts: Parts): readonly string[] => (typeof parts === "string" ? [parts] : parts);

export const ok = (evidence: Parts): Finding => ({ result: "ok", evidence: partsOf(evidence) });
export const skip = (evidence: Parts): Finding => ({ result: "skip", evidence: partsOf(evidence) });
export const warn = (evidence: Parts, advice: Parts): Finding => advised("warn", evidence, advice);
export const fail = (evidence: Parts, advice: Parts): Finding => advised("fail", evidence, advice);

function advised(result: "warn" | "fail", evidence: Parts, advice: Parts): Finding {
  return { result, evidence: partsOf(evidence), advice: partsOf(advice) };
}

const SEVERITY: readonly FindingResult[] = ["fail", "warn", "ok", "skip"];
/** Findings that are told of one check: a machine may have hundreds of nodes. */
const MOST_TOLD = 4;

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
  return { result: worst.result, evidence, advice: Array.from(advice).slice(0, MOST_TOLD) };
}
