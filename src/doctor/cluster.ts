import { type ClusterNode, compare } from "../catalogue/core/instances.js";
import type { Probe } from "../distribution/core/words.js";
import { eachOf } from "../each-of.js";
import { parseNodeName } from "../names/node-name.js";
import type { Endpoint } from "../net/endpoint.js";
import { hostPort } from "../net/ip.js";
import type { Resolving } from "../resolve/compose.js";
import type { FoundNode, ProbedPlace, TwinDeps } from "../resolve/twins.js";
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
  /** Who has published a place, by `ip:port`. */
  readonly publishers?: ReadonlyMap<string, string>;
}

export interface ClusterDeps {
  /** Name of this machine. */
  readonly from: string;
  readonly nodes: Resolving["nodes"];
  /** Never rejects. */
  readonly probe: (endpoint: Endpoint, isAsked: (name: string) => boolean, node: string) => Promise<Probe>;
  /** VMs elsewhere with the name of a node that lives here. Never rejects. */
  readonly twins: (node: FoundNode, dial: TwinDeps["dial"]) => Promise<readonly ProbedPlace[]>;
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
  { node, isBare, entry, publishers }: NamedMember,
  { nodes, probe, twins }: ClusterDeps,
): Promise<LookedFor> {
  const machine = entry && `${entry.instance}, ${entry.address}`;
  const member = { node, ...(entry && { health: entry.health, obstacle: entry.obstacle, machine }) };
  const name = parseNodeName(node);
  const answer = await nodes.resolve(name, { sameHost: true });
  if (answer.outcome === "not-found") return { ...member, missing: answer.reason, places: [] };
  if (answer.outcome === "unavailable") return { ...member, missing: answer.cause, places: [] };
  const isAsked = (said: string) => said === node || (isBare === true && said.startsWith(`${name.aliveName}@`));
  const dial = (endpoints: readonly Endpoint[]) =>
    Promise.all(
      endpoints.map(async (endpoint) => ({
        endpoint,
        publisher: publishers?.get(hostPort(endpoint)),
        probe: await probe(endpoint, isAsked, node),
      })),
    );
  const found = await dial(answer.endpoints.slice(0, MAX_PLACES));
  const others = await twins({ name, full: node, source: answer.source, places: found }, dial);
  const elsewhere = others.map((place) => ({ ...place, isElsewhere: true }));
  return { ...member, places: [...inOrder(found), ...inOrder(elsewhere)] };
}

/** Each look-up may have them in another order: the verdict is to be the same. */
function inOrder<T extends { readonly endpoint: Endpoint }>(places: readonly T[]): T[] {
  return places.toSorted((a, b) => compare(hostPort(a.endpoint), hostPort(b.endpoint)));
}
