import { refusedFor } from "../../distribution/core/releases.js";
import { areLinkedByThemselves, isLinkedByItself, type LinkTraits } from "../../distribution/core/self-linking.js";
import type { VmState } from "../../distribution/core/vm-state.js";
import type { Probe } from "../../distribution/core/words.js";
import { neverConnect } from "../../names/node-name.js";
import type { Endpoint, Family } from "../../net/endpoint.js";
import { isLoopback } from "../../net/ip.js";
import type { Obstacle as Check } from "../../publish/core/service-entry.js";

/** A place where a node of the cluster was looked for, and who is there. */
export interface MemberPlace {
  readonly endpoint: Pick<Endpoint, "address" | "port" | "family">;
  readonly probe: Probe;
  /** Of a VM whose name others have too. */
  readonly origin?: "here" | "elsewhere";
  /** Of a place that gives no answer to a connection attempt: whether the EPMD port of its address does; a refusal is an answer. */
  readonly epmdPort?: { readonly port: number; readonly answers: boolean } | undefined;
}

/** A node of the cluster as it was looked for. */
export interface LookedFor {
  /** Full name, as it is published or was asked for. */
  readonly node: string;
  /** Health in the catalogue, where that has one. */
  readonly health?: string | undefined;
  /** The check that keeps it out of look-ups, where that is not the one by which its srv-epmd keeps it in Consul. */
  readonly obstacle?: Check | undefined;
  /** Its VM has left its srv-epmd a moment ago: the entry is about to be removed. */
  readonly withdrawn?: true | undefined;
  /** What the catalogue tells of its machine: `box1` */
  readonly machine?: string | undefined;
  /** Others are linked with it, or it is registered here; it was asked for, and this catalogue does not have it: `Consul` */
  readonly unlistedIn?: string | undefined;
  /** Why no place of it is known, and the code of that. */
  readonly missing?: string;
  readonly missingCode?: string;
  /** A name server or a catalogue did not answer, so it is not known whether there is such a node: the code of that. */
  readonly unavailable?: string;
  /** No look-up finds it, and a catalogue may have it without showing it. */
  readonly isUnread?: true | undefined;
  readonly places: readonly MemberPlace[];
  /** It was found on the machine that looks. */
  readonly isHere?: true | undefined;
  /** One place of each VM that has its name, where there are several. */
  readonly vms?: readonly MemberPlace[];
}

/** The same with what its VM says. */
export interface Member extends LookedFor {
  /** The probe of the place where the node answers; undefined: it answers nowhere. */
  readonly answer: NodeProbe | undefined;
  /** What its VM says; undefined: it is not known. */
  readonly state: VmState | undefined;
  /** The nodes in its lists, hidden ones too; of several VMs of its name those in the lists of any. */
  readonly linked: ReadonlySet<string>;
  /** Some of several VMs of its name do not tell their links. */
  readonly isPartlyAsked: boolean;
}

/** It gave no answer to a connection attempt: its machine may be down, or something drops packets. */
export function isUnanswered({ endpoint, probe }: MemberPlace): boolean {
  if (isLoopback(endpoint.address)) return false;
  // A machine without an answer on the same network is unreachable after some tries (ARP).
  return probe.result === "unreachable" ? probe.code === "EHOSTUNREACH" : isSilent(probe, "connect");
}

export function isSilent(probe: Probe, stage: "connect" | "handshake"): boolean {
  return probe.result === "silent" && probe.stage === stage;
}

type NodeProbe = Extract<Probe, { readonly name: string }>;

export function memberOf(found: LookedFor): Member {
  const answers = found.places.flatMap(({ probe }) => (probe.result === "node" ? [probe] : []));
  const answer = answers.find(({ joined }) => joined?.cookie === "same") ?? answers[0];
  const state = answer && stateOf(answer);
  const states = found.vms ? found.vms.map(({ probe }) => stateOf(probe)) : [state];
  const linked = new Set(states.flatMap((one) => (one ? [...one.visible, ...one.hidden] : [])));
  return { ...found, answer, state, linked, isPartlyAsked: state !== undefined && states.includes(undefined) };
}

function stateOf(probe: Probe): VmState | undefined {
  return probe.result === "node" && probe.joined?.cookie === "same" ? probe.joined.state : undefined;
}

/** Two nodes, and what their VMs say of the link between them. */
export interface Pair {
  readonly one: Member;
  readonly other: Member;
  /**
   * `one-sided`: only one of two VMs that were asked has the other in its list. `unknown`: neither VM was asked.
   */
  readonly link: "linked" | "missing" | "one-sided" | "unknown";
}

/** Whether a VM has another in its lists; undefined: it was not asked. */
export function sees(one: Member, other: Member): boolean | undefined {
  if (one.state && one.linked.has(other.node)) return true;
  return one.state && !one.isPartlyAsked ? false : undefined;
}

/** All pairs of the nodes that answer. */
export function pairsOf(members: readonly Member[]): Pair[] {
  const present = members.filter(({ answer }) => answer);
  return present.flatMap((one, index) =>
    present.slice(index + 1).map((other) => ({ one, other, link: link(one, other) })),
  );
}

function link(one: Member, other: Member): Pair["link"] {
  const told = [sees(one, other), sees(other, one)].filter((seen) => seen !== undefined);
  if (told.length === 0) return "unknown";
  if (told.every(Boolean)) return "linked";
  return told.some(Boolean) ? "one-sided" : "missing";
}

function traitsOf({ answer, state }: Member): LinkTraits {
  return { hidden: answer?.hidden ?? false, connectAll: state?.connectAll, autoConnect: state?.autoConnect };
}

/** Whether the two would be linked in a cluster that is well. */
export function isExpected({ one, other }: Pick<Pair, "one" | "other">): boolean {
  return areLinkedByThemselves(traitsOf(one), traitsOf(other));
}

/** Whether a node that answers would be linked with others in a cluster that is well. */
export function needsLinks(member: Member): boolean {
  return member.answer !== undefined && isLinkedByItself(traitsOf(member));
}

/** It speaks TLS itself: that of Consul Connect is around it. */
export function speaksTls({ answer }: Member): boolean {
  return answer?.tls !== undefined && !answer.tls.isConnect;
}

/**
 * The only family in which a VM dials, where the other node is published with addresses of the other family alone.
 * Undefined: that is not so, or not known. A gateway dials in the place of its VMs, at loopback addresses.
 */
export function familyApart(from: Member, to: Member): Family | undefined {
  const [family, another] = from.state?.families ?? [];
  const published = to.places.filter(({ endpoint }) => !isLoopback(endpoint.address));
  const hasGateway = from.state?.ends.some(({ address }) => isLoopback(address));
  if (family === undefined || another !== undefined || published.length === 0 || hasGateway) return undefined;
  return published.some(({ endpoint }) => endpoint.family === family) ? undefined : family;
}

/** What the nodes themselves have by which they cannot be linked. */
export type Obstacle =
  | { readonly code: "TLS_DIFFERS" | "NAMES_DIFFER" }
  /** `by` refuses `of`. */
  | { readonly code: "RELEASES_REFUSE"; readonly by: Member; readonly of: Member; readonly flags: readonly string[] };

/** Undefined: nothing that is seen stands between the two. */
export function obstacleBetween(one: Member, other: Member): Obstacle | undefined {
  const [a, b] = [one.answer, other.answer];
  if (!a || !b) return undefined;
  if (speaksTls(one) !== speaksTls(other)) return { code: "TLS_DIFFERS" };
  if (neverConnect(one.node, other.node)) return { code: "NAMES_DIFFER" };
  const released = (member: Member, { flags }: NodeProbe) => ({ flags, release: member.state?.release });
  const refusals = [
    { by: one, of: other, flags: refusedFor(released(one, a), released(other, b)) },
    { by: other, of: one, flags: refusedFor(released(other, b), released(one, a)) },
  ];
  const refusal = refusals.find(({ flags }) => flags.length > 0);
  return refusal && { code: "RELEASES_REFUSE", ...refusal };
}

/**
 * The parts of the cluster that no link joins, the largest first; one part: it is whole.
 * @param between nodes that are not seen: those that are linked with the same one are in one part
 */
export function partsOf(
  members: readonly Member[],
  pairs: readonly Pair[],
  between: readonly Pick<Member, "node">[] = [],
): Member[][] {
  const part = new Map(members.map((member) => [member, new Set([member])]));
  const join = (one: Member, other: Member) => {
    const [a, b] = [part.get(one), part.get(other)];
    if (!a || !b || a === b) return;
    for (const member of b) {
      a.add(member);
      part.set(member, a);
    }
  };
  for (const { one, other, link } of pairs) if (link === "linked" || link === "one-sided") join(one, other);
  for (const { node } of between) {
    const [first, ...others] = members.filter(({ linked }) => linked.has(node));
    for (const other of others) if (first) join(first, other);
  }
  const parts = Array.from(new Set(part.values()), (set) => Array.from(set));
  return parts.sort((a, b) => b.length - a.length);
}
