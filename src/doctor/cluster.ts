import type { Probe } from "../distribution/core/words.js";
import { parseNodeName } from "../names/node-name.js";
import type { Endpoint } from "../net/endpoint.js";
import { hostPort } from "../net/ip.js";
import type { Resolving } from "../resolve/compose.js";
import { type LookedFor, type Member, memberOf } from "./core/cluster-links.js";
import { type ClusterVerdict, judgeCluster } from "./core/cluster-verdict.js";

/** A node of the cluster, before it is looked for. */
export interface NamedMember {
  /** Full name. */
  readonly node: string;
  readonly health?: string | undefined;
}

interface ClusterDeps {
  readonly nodes: Resolving["nodes"];
  /** Never rejects. */
  readonly probe: (endpoint: Endpoint, isAsked: (name: string) => boolean, host: string | undefined) => Promise<Probe>;
}

/** Nodes that are looked for at once. */
const AT_ONCE = 16;
/** Places of one node that are probed. */
const MAX_PLACES = 4;
/** Milliseconds: two VMs are asked one after the other, and a link may come up or go down between. */
const SECOND_LOOK = 500;

/**
 * Looks for each node, asks who is there and how its VM is linked, and judges all of it. What two VMs say differently is
 * asked once more. Never rejects.
 */
export async function examineCluster(named: readonly NamedMember[], deps: ClusterDeps): Promise<ClusterExamination> {
  const members = await eachOf(named, (one) => examineMember(one, deps));
  const verdict = judgeCluster(members);
  const doubtful = new Set(verdict.problems.flatMap(({ code, nodes }) => (code === "ONE_SIDED" ? nodes : [])));
  if (doubtful.size === 0) return { members, verdict };
  await new Promise((resolve) => setTimeout(resolve, SECOND_LOOK));
  const again = await eachOf(members, async (member) =>
    doubtful.has(member.node) ? examineMember(member, deps) : member,
  );
  return { members: again, verdict: judgeCluster(again) };
}

export interface ClusterExamination {
  readonly members: readonly Member[];
  readonly verdict: ClusterVerdict;
}

async function examineMember(named: NamedMember, deps: ClusterDeps): Promise<Member> {
  return memberOf(await lookFor(named, deps));
}

async function lookFor({ node, health }: NamedMember, { nodes, probe }: ClusterDeps): Promise<LookedFor> {
  const member = { node, ...(health !== undefined && { health }) };
  const name = parseNodeName(node);
  const answer = await nodes.resolve(name, { sameHost: true });
  if (answer.outcome === "not-found") return { ...member, missing: answer.reason, places: [] };
  if (answer.outcome === "unavailable") return { ...member, missing: answer.cause, places: [] };
  const endpoints = answer.endpoints.slice(0, MAX_PLACES);
  const places = await Promise.all(
    endpoints.map(async (endpoint) => ({
      place: hostPort(endpoint),
      probe: await probe(endpoint, (said) => said === node, name.host),
    })),
  );
  return { ...member, places };
}

/** As Promise.all, some at a time. */
async function eachOf<T, R>(items: readonly T[], work: (item: T) => Promise<R>): Promise<R[]> {
  const results: R[] = [];
  const waiting = items.entries();
  const take = async () => {
    for (const [index, item] of waiting) results[index] = await work(item);
  };
  await Promise.all(Array.from({ length: AT_ONCE }, take));
  return results;
}
