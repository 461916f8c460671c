import { type ClusterNode, compare } from "../catalogue/core/instances.js";
import type { ProbeEndpoint } from "../distribution/prober.js";
import { eachOf } from "../each-of.js";
import { parseNodeName } from "../names/node-name.js";
import type { Endpoint } from "../net/endpoint.js";
import { hostPort } from "../net/ip.js";
import type { LookUps } from "../resolve/compose.js";
import type { SourceName } from "../resolve/core/resolution.js";
import type { AskPlace } from "../resolve/twins.js";
import { isUnanswered, type LookedFor, type Member, type MemberPlace, memberOf } from "./core/cluster-links.js";
import type { ClusterProblem } from "./core/cluster-problems.js";
import { type ClusterListing, type ClusterVerdict, judgeCluster } from "./core/cluster-verdict.js";
import { onceEach } from "./once.js";

/** A node of the cluster, before it is looked for. */
export interface NamedMember {
  /** Full name. */
  readonly node: string;
  /** It was named without a host part: the VM says which host it has. */
  readonly isBare?: boolean;
  /** What a catalogue has of it; of several entries the best. */
  readonly entry?: Pick<ClusterNode, "health" | "obstacle" | "withdrawn" | "instance" | "machine">;
  /** Others are linked with it, or it is registered here, and the catalogue that should have it has not. */
  readonly unlistedIn?: string;
}

/** The nodes of a cluster as they are named and listed. */
export interface NamedCluster extends ClusterListing {
  readonly members: readonly NamedMember[];
  /** The catalogue that should have a node: `Consul`; undefined: the node was not asked for, or no catalogue has told its nodes. */
  readonly catalogueOf: (node: string) => string | undefined;
  /** Whether a catalogue may have a node without showing it. */
  readonly mayHide: (node: string) => boolean;
}

export interface ClusterDeps extends Pick<LookUps, "nodes" | "vmsNamed"> {
  /** Name of this machine. */
  readonly from: string;
  readonly probe: ProbeEndpoint;
  /** Whether an address is one of this machine. */
  readonly isOwn: (address: string) => boolean;
  /** Whether anything answers at the EPMD port of an address: a refusal is an answer. Never rejects. */
  readonly epmdPortAt: (address: string) => Promise<NonNullable<MemberPlace["epmdPort"]>>;
}

/** Places of one node that are probed. */
const MAX_PLACES = 4;
/** Milliseconds: nodes that say nothing for this long are not among those of which some are asked at once. */
const PATIENCE = 250;
/** Milliseconds: two VMs are asked one after the other, and a link may come up or go down between. */
const SECOND_LOOK = 500;
/** Nodes that only others tell of, as they may tell of any number. */
const MOST_UNLISTED = 32;

/**
 * Looks for each node, asks who is there and how its VM is linked, and judges all of it. What may be so for a moment only is
 * asked once more.
 * @param list lists the nodes, of which some may have come or gone meanwhile. What it throws is passed on.
 */
export async function examineCluster(
  list: () => Promise<NamedCluster>,
  deps: ClusterDeps,
): Promise<ClusterExamination> {
  const named = await list();
  const first = await look(named, deps, []);
  const verdict = judgeCluster(first, named);
  const doubtful = verdict.problems.filter(isDoubtful).flatMap(({ nodes }) => nodes);
  const from = deps.from;
  if (doubtful.length === 0) return { members: first, verdict, from, ...listingOf(named) };
  await new Promise((resolve) => setTimeout(resolve, SECOND_LOOK));
  const sure = first.filter(({ node, linked }) => !doubtful.some((name) => name === node || linked.has(name)));
  const again = await list();
  const members = await look(again, deps, sure);
  return { members, verdict: judgeCluster(members, again), from, ...listingOf(again) };
}

const listingOf = ({ fault, unread }: ClusterListing): ClusterListing => ({ fault, unread });

/** What may be so for a moment only, between two questions. */
function isDoubtful({ code, effects = [] }: ClusterProblem): boolean {
  return code === "ONE_SIDED" || code === "NOT_LISTED" || effects.some((effect) => effect.code === "ONE_SIDED");
}

/** @param sure nodes that are not looked at again */
async function look(named: NamedCluster, given: ClusterDeps, sure: readonly Member[]): Promise<Member[]> {
  // Several nodes of a machine are silent together.
  const deps = { ...given, epmdPortAt: onceEach(given.epmdPortAt, String) };
  const seen = (node: string) => sure.find((member) => member.node === node);
  const members = await eachOf(
    named.members,
    async (one) => seen(one.node) ?? examineMember(one, named, deps),
    PATIENCE,
  );
  const unlisted = await withUnlisted(members, named, deps);
  return unlisted.length === 0 ? members : [...members, ...unlisted].sort((a, b) => compare(a.node, b.node));
}

/** The nodes that should be in the catalogue and that only the links of others tell of; those may tell of further ones. */
async function withUnlisted(members: readonly Member[], named: NamedCluster, deps: ClusterDeps): Promise<Member[]> {
  const unlisted: Member[] = [];
  for (;;) {
    const all = [...members, ...unlisted];
    const known = new Set(all.map(({ node }) => node));
    const told = new Set(all.flatMap(({ state }) => state?.visible ?? []).filter((node) => !known.has(node)));
    const next = Array.from(told).flatMap((node): NamedMember[] => {
      const unlistedIn = named.catalogueOf(node);
      return unlistedIn === undefined ? [] : [{ node, unlistedIn }];
    });
    const some = next.sort((a, b) => compare(a.node, b.node)).slice(0, MOST_UNLISTED - unlisted.length);
    if (some.length === 0) return unlisted;
    unlisted.push(...(await eachOf(some, (one) => examineMember(one, named, deps), PATIENCE)));
  }
}

export interface ClusterExamination extends ClusterListing {
  readonly members: readonly Member[];
  readonly verdict: ClusterVerdict;
  /** Name of the machine that looked. */
  readonly from: string;
}

/** Sources that know what a catalogue has. */
const LISTED: ReadonlySet<SourceName | "epmd"> = new Set(["srv", "catalogue", "upstream"]);

async function examineMember(named: NamedMember, cluster: NamedCluster, deps: ClusterDeps): Promise<Member> {
  const isUnread = !named.entry && cluster.mayHide(named.node);
  const member = memberOf(await lookFor(named, isUnread, deps));
  return named.isBare && member.answer ? { ...member, node: member.answer.name } : member;
}

/** @param isUnread a catalogue may have it without showing it */
async function lookFor(
  { node, isBare, entry, unlistedIn }: NamedMember,
  isUnread: boolean,
  deps: ClusterDeps,
): Promise<LookedFor> {
  const { nodes, probe, vmsNamed } = deps;
  const machine = entry && machineWords(entry);
  const member = {
    node,
    ...(entry && { health: entry.health, obstacle: entry.obstacle, withdrawn: entry.withdrawn, machine }),
  };
  const name = parseNodeName(node);
  const answer = await nodes.resolve(name, { sameHost: true });
  // Found in DNS it is in the catalogue: it has just come, or the token may not read its entry.
  const isListed = answer.outcome === "found" && LISTED.has(answer.source);
  const unlisted = unlistedIn !== undefined && !isListed && !isUnread && { unlistedIn };
  const unfound = { ...member, ...unlisted, ...(isUnread && { isUnread }), places: [] };
  if (answer.outcome === "not-found") return { ...unfound, missing: answer.reason, missingCode: answer.code };
  if (answer.outcome === "unavailable") return { ...unfound, missing: answer.cause, unavailable: answer.code };
  const isAsked = (said: string) => said === node || (isBare === true && said.startsWith(`${name.aliveName}@`));
  const ask: AskPlace = (endpoint, again) => probe(endpoint, isAsked, node, again);
  const endpoints = answer.endpoints.slice(0, MAX_PLACES);
  const found = inOrder(
    await Promise.all(endpoints.map(async (endpoint) => ({ endpoint, probe: await ask(endpoint) }))),
  );
  const vms = inOrder(await vmsNamed({ name, full: node, source: answer.source, places: found }, ask));
  const others = vms.filter(({ endpoint }) => !endpoints.includes(endpoint));
  const places = await Promise.all([...found, ...others].map((place) => withEpmdPort(place, deps)));
  const isHere =
    answer.source === "registry" ||
    // Such an address is that of the sidecar proxy.
    (answer.source !== "upstream" && endpoints.some(({ address }) => deps.isOwn(address)));
  return { ...member, ...unlisted, places, ...(isHere && { isHere }), ...(vms.length > 1 && { vms }) };
}

/** A machine that is down gives no answer either, and what is a firewall before one port is told by another port. */
async function withEpmdPort(place: MemberPlace, { epmdPortAt }: ClusterDeps): Promise<MemberPlace> {
  return isUnanswered(place) ? { ...place, epmdPort: await epmdPortAt(place.endpoint.address) } : place;
}

/** By its name: the address that is published may be a wrong one. */
function machineWords({ machine, instance }: Pick<ClusterNode, "machine" | "instance">): string {
  return machine === instance || machine === "" ? instance : `${machine}, instance ${instance}`;
}

/** Each look-up may have them in another order: the verdict is to be the same. */
function inOrder<T extends { readonly endpoint: Endpoint }>(places: readonly T[]): T[] {
  return places.toSorted((a, b) => compare(hostPort(a.endpoint), hostPort(b.endpoint)));
}
