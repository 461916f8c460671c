import { cookieWords, type Joined } from "../../distribution/core/words.js";
import { listed } from "../../text.js";
import type { Member, Pair } from "./cluster-links.js";

/** What is wrong, worst first. */
export const RANKS = [
  "NO_ANSWER",
  "UNREAD",
  "NOT_FOUND",
  "NOT_LISTED",
  "NOT_THERE",
  "OTHER_NAME",
  "TWICE",
  "OTHER_COOKIE",
  "TLS_DIFFERS",
  "RELEASES_REFUSE",
  "NAMES_DIFFER",
  "NEVER_CONNECTS",
  "SPLIT",
  "NO_LINK",
  "ONE_SIDED",
  "NOT_ASKED",
] as const;

/** What may be meant that way. */
const NOTES = [
  "UNREAD",
  "ENDED",
  "NEVER_CONNECTS",
  "HIDDEN",
  "NOT_CONNECTING",
  "RELEASES_DIFFER",
  "STRANGERS",
] as const;

export interface ClusterProblem {
  readonly code: (typeof RANKS)[number] | (typeof NOTES)[number];
  /** Of the nodes that it is about. */
  readonly nodes: readonly string[];
  readonly text: string;
  readonly advice: string;
  /** What may follow from it, and is no problem of its own. */
  readonly effects?: readonly ClusterEffect[];
}

export type ClusterEffect = Pick<ClusterProblem, "code" | "nodes" | "text">;

export const effectOf = ({ code, nodes, text }: ClusterProblem): ClusterEffect => ({ code, nodes, text });

/**
 * A problem with what may follow from it.
 * @param ended pairs whose links global may have ended because of it @param effects what that is, told
 */
export function withEffects(
  problem: ClusterProblem,
  [first]: readonly Pair[],
  effects: readonly ClusterProblem[],
): ClusterProblem {
  if (!first || effects.length === 0) return problem;
  return {
    ...problem,
    nodes: Array.from(new Set([...problem.nodes, ...effects.flatMap(({ nodes }) => nodes)])),
    advice: `${problem.advice}. The other missing links may follow from it, as global then ends links (prevent_overlapping_partitions); whether something else is in their way too says srv-epmd doctor ${first.other.node} on ${machineOf(first.one)}`,
    effects: effects.map(effectOf),
  };
}

/** Of a node alone that answers, under a name that no other VM has. */
export function ownProblem(member: Member): ClusterProblem[] {
  const { node, answer } = member;
  const problem = (code: ClusterProblem["code"], text: string, advice: string) => ({
    code,
    nodes: [node],
    text,
    advice,
  });
  const joined = answer?.joined;
  // Those that refuse are told together.
  if (joined?.cookie === "refused") return [];
  if (joined?.cookie === "other") {
    const advice = "look for erlang:set_cookie/2 in the code of that node, which sets a cookie for single nodes";
    return [problem("OTHER_COOKIE", `${node}: ${cookieWords(joined)}`, advice)];
  }
  if (joined && member.state === undefined && !isNoVm(joined)) {
    const advice = `run srv-epmd doctor ${onMachine(member)}: vm-state says whether the VM is stopped; else it is busy or ending`;
    return [problem("NOT_ASKED", `${node}: ${cookieWords(joined)}`, advice)];
  }
  return [];
}

const ONE_COOKIE = "give all nodes one cookie: -setcookie, RELEASE_COOKIE or ~/.erlang.cookie";

/** The nodes that refuse the cookie: one problem, and another one where nobody accepts it. */
export function refusals(members: readonly Member[]): ClusterProblem[] {
  const joined = members.filter(({ answer }) => answer?.joined !== undefined);
  const nodes = joined.filter(({ answer }) => answer?.joined?.cookie === "refused").map(({ node }) => node);
  if (nodes.length === 0) return [];
  if (nodes.length === joined.length && nodes.length > 1) {
    const text = `all ${nodes.length} nodes that answer refuse the cookie: the one that was given here is another than theirs`;
    return [
      {
        code: "OTHER_COOKIE",
        nodes,
        text,
        advice:
          "give the cookie that the VMs were started with: RELEASE_COOKIE, -setcookie, or ~/.erlang.cookie of their user",
      },
    ];
  }
  const text =
    nodes.length === 1
      ? `${nodes[0]} refuses the cookie: its own is another one`
      : `${listed(nodes)} refuse the cookie: theirs is another one`;
  return [{ code: "OTHER_COOKIE", nodes, text, advice: ONE_COOKIE }];
}

/** Where to run a command: `on its machine (box1)` */
export function onMachine({ machine }: Pick<Member, "machine">): string {
  return machine === undefined ? "on its machine" : `on its machine (${machine})`;
}

/** `the machine of node_a@svc.service.consul (box1)` */
export function machineOf({ node, machine }: Member): string {
  return `the machine of ${node}${machine === undefined ? "" : ` (${machine})`}`;
}

/** `OTP 27`, or what the handshake tells. */
export function releaseWords(member: Member | undefined): string {
  const release = member?.state?.release;
  return release === undefined ? (member?.answer?.release ?? "") : `OTP ${release}`;
}

/** A C node and the like: it has no links to tell. */
export function isNoVm(joined: Joined | undefined): boolean {
  return joined?.cookie === "same" && joined.why === "no-vm";
}

/** Another cookie explains every link that the node does not have. */
export function hasOtherCookie(member: Member): boolean {
  const cookie = member.answer?.joined?.cookie;
  return cookie === "refused" || cookie === "other";
}
