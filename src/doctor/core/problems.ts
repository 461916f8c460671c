import type { Kind } from "./problem-kind.js";
import { PROBLEMS_HERE } from "./problems-here.js";
import { PROBLEMS_OF_PEER } from "./problems-of-peer.js";
import { PROBLEMS_PUBLISHED } from "./problems-published.js";

/** The kinds of problems, by their codes, which are stable. Causes are written as data, so that what follows is told once. */
export const PROBLEMS = { ...PROBLEMS_HERE, ...PROBLEMS_PUBLISHED, ...PROBLEMS_OF_PEER };

/** Stable: scripts name it. */
export type ProblemCode = keyof typeof PROBLEMS;

/** The kinds that a kind may follow from. */
export function causesOf(code: ProblemCode): readonly ProblemCode[] {
  const { from = [] }: Kind = PROBLEMS[code];
  return from as readonly ProblemCode[];
}

/** Whether a problem says that the node that was asked for is not reached, or may not be. */
export function isOfPeer(code: ProblemCode): boolean {
  const { ofPeer }: Kind = PROBLEMS[code];
  return ofPeer === true;
}
