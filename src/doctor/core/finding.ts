/** What a check has found, with advice where something is to be done. */
export type Finding =
  | { readonly result: "ok"; readonly evidence: string }
  /** The check does not apply or cannot be made; the evidence says why. */
  | { readonly result: "skip"; readonly evidence: string }
  | { readonly result: "warn" | "fail"; readonly evidence: string; readonly advice: string };

export type FindingResult = Finding["result"];

export const ok = (evidence: string): Finding => ({ result: "ok", evidence });
export const skip = (evidence: string): Finding => ({ result: "skip", evidence });
export const warn = (evidence: string, advice: string): Finding => ({ result: "warn", evidence, advice });
export const fail = (evidence: string, advice: string): Finding => ({ result: "fail", evidence, advice });

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
  const told = sorted.slice(0, MOST_TOLD).map(({ evidence }) => evidence);
  const more = sorted.length > MOST_TOLD ? [`and ${sorted.length - MOST_TOLD} more`] : [];
  const evidence = [...told, ...more].join("; ");
  if (worst.result === "ok" || worst.result === "skip") return { result: worst.result, evidence };
  const advice = sorted.flatMap((finding) => ("advice" in finding ? [finding.advice] : []));
  return { result: worst.result, evidence, advice: Array.from(new Set(advice)).slice(0, MOST_TOLD).join("; ") };
}
