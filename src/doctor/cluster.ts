import { type ClusterNode, compare } from "../catalogue/core/instances.js";
import type { ProbeEndpoint } from "../distribution/prober.js";
import { eachOf } from "../each-of.js";
import { parseNodeName } from "../names/node-name.js";
import type { Endpoint } from "../net/endpoint.js";
import { hostPort } from "../net/ip.js";
import type { LookUps } from "../resolve/compose.js";
import type { AskPlace } from "../resolve/twins.js";
import { type LookedFor, type Member, memberOf } from "./core/cluster-links.js";
import { type ClusterVerdict, judgeCluster } from "./core/cluster-verdict.js";

/** A node of the cluster, before it is looked for. */
export interface NamedMember {
  /** Full name. */
  readonly node: string;
  /** It was named without a host part: the VM says which host it has. */
  readonly isBare?: boolean;
  /** What a catalogue has of it; of several entries the best. */
  readonly entry?: Pick<ClusterNode, "health" | "obstacle" | "instance" | "address">;
}

export interface ClusterDeps extends Pick<LookUps, "nodes" | "vmsNamed"> {
  /** Name of this machine. */
  readonly from: string;
  readonly probe: ProbeEndpoint;
}

/** Places of one node that are probed. */
const MAX_PLACES = 4;
/** Milliseconds: nodes that say nothing for this long are not among those of which some are asked at once. */
const PATIENCE = 250;
/** Milliseconds: two VMs are asked one after the other, and a link may come up or go down between. */
const SECOND_LOOK = 500;

/**
 * Looks for each node, asks who is there and how its VM is linked, and judges all of it. What two VMs say differently is
 * asked once more. Never rejects.
 */
export async function examineCluster(named: readonly NamedMember[], deps: ClusterDeps): Promise<ClusterExamination> {
  const members = await eachOf(named, (one) => examineMember(one, deps), PATIENCE);
  const verdict = judgeCluster(members);
  const doubtful = new Set(verdict.problems.flatMap(({ code, nodes }) => (code === "ONE_SIDED" ? nodes : [])));
  const from = deps.from;
  if (doubtful.size === 0) return { members, verdict, from };
  await new Promise((resolve) => setTimeout(resolve, SECOND_LOOK));
  const lookAgain = async ([index, one]: [number, NamedMember]) => {
    const member = members[index];
    return member && !doubtful.has(member.node) ? member : examineMember(one, deps);
  };
  const again = await eachOf(Array.from(named.entries()), lookAgain, PATIENCE);
  return { members: again, verdict: judgeCluster(again), from };
}

export interface ClusterExamination {
  readonly members: readonly Member[];
  readonly verdict: ClusterVerdict;
  /** Name of the machine that looked. */
  readonly from: string;
}

async function examineMember(named: NamedMember, deps: ClusterDeps): Promise<Member> {
  const member = memberOf(await lookFor(named, deps));
  return named.isBare && member.answer ? { ...member, node: member.answer.name } : member;
}

async function lookFor(
  { node, isBare, entry }: NamedMember,
  { nodes, probe, vmsNamed }: ClusterDeps,
): Promise<LookedFor> {
  const machine = entry && `${entry.instance}, ${entry.address}`;
  const member = { node, ...(entry && { health: entry.health, obstacle: entry.obstacle, machine }) };
  const name = parseNodeName(node);
  const answer = await nodes.resolve(name, { sameHost: true });
  if (answer.outcome === "not-found") return { ...member, missing: answer.reason, places: [] };
  if (answer.outcome === "unavailable") return { ...member, missing: answer.cause, places: [] };
  const isAsked = (said: string) => said === node || (isBare === true && said.startsWith(`${name.aliveName}@`));
  const ask: AskPlace = (endpoint, again) => probe(endpoint, isAsked, node, again);
  const endpoints = answer.endpoints.slice(0, MAX_PLACES);
  const found = inOrder(
    await Promise.all(endpoints.map(async (endpoint) => ({ endpoint, probe: await ask(endpoint) }))),
  );
  const vms = await vmsNamed({ name, full: node, source: answer.source, places: found }, ask);
  const others = vms.filter(({ endpoint }) => !endpoints.includes(endpoint));
  return { ...member, places: [...found, ...inOrder(others)], ...(vms.length > 1 && { vms }) };
}

/** Each look-up may have them in another order: the verdict is to be the same. */
function inOrder<T extends { readonly endpoint: Endpoint }>(places: readonly T[]): T[] {
  return places.toSorted((a, b) => compare(hostPort(a.endpoint), hostPort(b.endpoint)));
}
