import { differentVms } from "../../distribution/core/twins.js";
import { cookieWords, type Probe, probeReason } from "../../distribution/core/words.js";
import { hostPort } from "../../net/ip.js";
import { listed } from "../../text.js";
import type { Member, MemberPlace } from "./cluster-links.js";

/** What is wrong, worst first. */
export const RANKS = [
  "NOT_FOUND",
  "NOT_THERE",
  "OTHER_NAME",
  "TWICE",
  "OTHER_COOKIE",
  "TLS_DIFFERS",
  "RELEASES_REFUSE",
  "NAMES_DIFFER",
  "SPLIT",
  "NO_LINK",
  "ONE_SIDED",
  "NOT_ASKED",
] as const;

/** What may be meant that way. */
const NOTES = ["HIDDEN", "NOT_CONNECTING", "RELEASES_DIFFER", "STRANGERS"] as const;

export interface ClusterProblem {
  readonly code: (typeof RANKS)[number] | (typeof NOTES)[number];
  /** Of the nodes that it is about. */
  readonly nodes: readonly string[];
  readonly text: string;
  readonly advice: string;
}

/** Of a node alone. */
export function ownProblem(member: Member, members: readonly Member[]): ClusterProblem[] {
  const { node, places, missing, health } = member;
  const problem = (code: ClusterProblem["code"], text: string, advice: string) => ({
    code,
    nodes: [node],
    text,
    advice,
  });
  const inCatalogue = health === undefined || health === "passing" ? "" : ` (${health} in the catalogue)`;
  if (missing !== undefined) {
    const advice = `srv-epmd doctor ${node} looks for the reason`;
    return [problem("NOT_FOUND", `${node} is not found${inCatalogue}: ${missing}`, advice)];
  }
  const answers = places.filter(({ probe }) => probe.result === "node");
  const vms = differentVms(answers.flatMap(vmAt));
  if (vms.length > 1) {
    const where = vms.map(({ place }) => place).join(" and ");
    const advice =
      "end one of them: only one can be linked with each of the others; srv-epmd doctor on their machines tells their ages";
    return [problem("TWICE", `${node} is there twice: at ${where}`, advice)];
  }
  const answer = member.answer;
  if (!answer) return [absent(member, members, inCatalogue)];
  const { joined } = answer;
  // Those that refuse are told together.
  if (joined?.cookie === "refused") return [];
  if (joined?.cookie === "other") return [problem("OTHER_COOKIE", `${node}: ${cookieWords(joined)}`, ONE_COOKIE)];
  if (joined && member.state === undefined) {
    return [
      problem(
        "NOT_ASKED",
        `${node}: ${cookieWords(joined)}`,
        "srv-epmd doctor on its machine shows in vm-state whether it is stopped; else it is busy or ending",
      ),
    ];
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
    return [{ code: "OTHER_COOKIE", nodes, text, advice: "give the cookie that the VMs were started with" }];
  }
  const text =
    nodes.length === 1
      ? `${nodes[0]} refuses the cookie: its own is another one`
      : `${listed(nodes)} refuse the cookie: theirs is another one`;
  return [{ code: "OTHER_COOKIE", nodes, text, advice: ONE_COOKIE }];
}

function vmAt({ endpoint, probe, isElsewhere = false }: MemberPlace) {
  if (probe.result !== "node") return [];
  const { port, family } = endpoint;
  return [{ place: hostPort(endpoint), port, family, creation: probe.creation, isElsewhere }];
}

/** A place at which another program answers, or nothing does, tells more of the cause than one that refuses. */
function unreachedAdvice(places: Member["places"]): string {
  const isThere = (result: Probe["result"]) => places.some(({ probe }) => probe.result === result);
  const look = "run srv-epmd doctor on its machine";
  if (isThere("not-erlang"))
    return `another program has that port: ${look}, and compare its vm-listens and registration with it`;
  if (isThere("silent") || isThere("unreachable"))
    return `its VM hangs, its machine is down, or the way to it is blocked: ${look}`;
  return `its VM has ended, or its port is published wrongly: ${look}`;
}

/** A node that is found and answers at no place. */
function absent({ node, places }: Member, members: readonly Member[], inCatalogue: string): ClusterProblem {
  const other = places.find(({ probe }) => probe.result === "other-node");
  if (other?.probe.result === "other-node") {
    const text = `${node} is published at ${hostPort(other.endpoint)}, and the VM there is ${other.probe.name}`;
    const advice =
      "a VM connects to a node of the very name that it asked for: give that VM the published name with -name, or publish it under its own (--node-host)";
    return { code: "OTHER_NAME", nodes: [node], text, advice };
  }
  const unnamed = places.find(({ probe }) => probe.result === "erlang" || probe.result === "tls");
  if (unnamed) {
    const text = `${node} is not seen behind ${hostPort(unnamed.endpoint)}: ${probeReason(unnamed.probe)}`;
    const advice = "ask on its machine: srv-epmd doctor there looks at the VM from the other side";
    return { code: "NOT_ASKED", nodes: [node], text, advice };
  }
  const why = places.map(({ endpoint, probe }) => `${probeReason(probe)} at ${hostPort(endpoint)}`).join("; ");
  const linked = members.filter((one) => one.state?.visible.includes(node)).map((one) => one.node);
  const advice =
    linked.length > 0
      ? `${listed(linked)} ${linked.length === 1 ? "is" : "are"} linked with it: it lives, and the place that is published is wrong, or the way from this machine is blocked; run srv-epmd doctor on its machine`
      : unreachedAdvice(places);
  return { code: "NOT_THERE", nodes: [node], text: `${node} is not reached${inCatalogue}: ${why}`, advice };
}

/** `OTP 27`, or what the handshake tells. */
export function releaseWords(member: Member | undefined): string {
  const release = member?.state?.release;
  return release === undefined ? (member?.answer?.release ?? "") : `OTP ${release}`;
}

/** Another cookie explains every link that the node does not have. */
export function hasOtherCookie(member: Member): boolean {
  const cookie = member.answer?.joined?.cookie;
  return cookie === "refused" || cookie === "other";
}
