import type { Probe } from "../distribution/core/words.js";
import { type Finding, skip, softer } from "./core/finding.js";

export const NOT_NAMED = skip("no node was named: ask srv-epmd doctor node@host");
export const UNKNOWN = "no endpoint of the node is known";

export const accepts = ({ probe }: { readonly probe: Probe }) => probe.connectMs !== undefined;

/** During a rolling update the old and the new instance share a name, so an endpoint that fails beside a good one is a warning. */
export function softened(findings: readonly Finding[], another: boolean): Finding[] {
  return findings.map((finding) => (another ? softer(finding) : finding));
}
