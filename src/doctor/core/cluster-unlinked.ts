import type { Family } from "../../net/endpoint.js";
import { listed } from "../../text.js";
import { hasEnded } from "./cluster-absent.js";
import { familyApart, type Member, needsLinks, type Pair, partsOf, sees, speaksTls } from "./cluster-links.js";
import { type ClusterProblem, hasOtherCookie, machineOf } from "./cluster-problems.js";

const namesOf = (members: readonly Member[]) => Array.from(new Set(members.map(({ node }) => node)));

/** Parts of a cluster, or nodes without links, that are told one by one. */
const MOST_TOLD = 8;

/**
 * Nodes that could be linked and are not.
 * @param missing the pairs that nothing else explains
 * @param isWhole false: there may be nodes that are not known
 */
export function unlinked(
  members: readonly Member[],
  pairs: readonly Pair[],
  missing: readonly Pair[],
  isWhole: boolean,
): ClusterProblem[] {
  // Another cookie explains every link that a node does not have.
  const open = missing.filter((pair) => ![pair.one, pair.other].some(hasOtherCookie));
  if (open.length === 0) return [];
  const problems: ClusterProblem[] = [];
  const able = members.filter((member) => needsLinks(member) && !hasOtherCookie(member));
  const unseen = members.filter(({ answer }) => !answer);
  const parts = partsOf(able, pairs, unseen);
  const partOf = new Map(parts.flatMap((part, index) => part.map((member) => [member, index] as const)));
  const isAcross = ({ one, other }: Pair) => partOf.get(one) !== partOf.get(other);
  const across = open.filter(isAcross);
  // Parts that something else keeps apart are not told beside each other.
  const joined = [...pairs, ...across.map((pair): Pair => ({ ...pair, link: "linked" }))];
  for (const area of across.length === 0 ? [] : partsOf(able, joined, unseen)) {
    const inside = new Set(area);
    const own = parts.filter(([first]) => first && inside.has(first));
    const between = across.filter(({ one }) => inside.has(one));
    if (own.length < 2) continue;
    const touched = new Set(between.flatMap(({ one, other }) => [one, other]));
    problems.push({
      ...{ code: "SPLIT", nodes: namesOf(own.flat().filter((member) => touched.has(member))) },
      text: `${partsWords(own, own.length === parts.length ? countOf(parts, members, isWhole) : undefined)}${causes(between)}`,
      advice: `${adviceOn(between)}${isCauseSeen(between) || !hasPrevention(between) ? "" : PREVENTION}`,
    });
  }
  let rest = open.filter((pair) => !isAcross(pair));
  while (rest.length > 0 && problems.length < MOST_TOLD) {
    const counts = new Map<Member, number>();
    for (const member of rest.flatMap(({ one, other }) => [one, other])) {
      counts.set(member, (counts.get(member) ?? 0) + 1);
    }
    const [worst] = Array.from(counts).sort(([, a], [, b]) => b - a)[0] ?? [];
    const its = rest.filter(({ one, other }) => one === worst || other === worst);
    if (!worst) break;
    const others = its.map(({ one, other }) => (one === worst ? other : one).node);
    problems.push({
      ...{ code: "NO_LINK", nodes: [worst.node, ...others] },
      text: `${worst.node} does not see ${listed(others)}${causes(its)}`,
      advice: adviceOn(its),
    });
    rest = rest.filter(({ one, other }) => one !== worst && other !== worst);
  }
  if (rest.length > 0) {
    const nodes = Array.from(new Set(rest.flatMap(({ one, other }) => [one.node, other.node])));
    const are = rest.length === 1 ? "1 more link is" : `${rest.length} more links are`;
    const text = `${are} missing, between ${listed(nodes)}`;
    problems.push({ code: "NO_LINK", nodes, text, advice: adviceOn(rest) });
  }
  return problems;
}

/** How many parts the cluster is in. That is known only where the links of all nodes are. */
interface PartCount {
  readonly count: number;
  /** Why it is not known. */
  readonly why: string | undefined;
}

function countOf(parts: readonly unknown[], members: readonly Member[], isWhole: boolean): PartCount {
  const untold = untoldBy(members);
  const unseen = untold.length === 0 ? undefined : `the links of ${listed(namesOf(untold), 3)} are not seen`;
  return { count: parts.length, why: unseen ?? (isWhole ? undefined : "not all nodes are known") };
}

/** @param all undefined: there are other parts, which something else keeps apart from these */
function partsWords(parts: readonly (readonly Member[])[], all: PartCount | undefined): string {
  const told = parts.slice(0, MOST_TOLD).map((part) => listed(part.map(({ node }) => node)));
  const more = parts.length > MOST_TOLD ? ` | and ${parts.length - MOST_TOLD} more` : "";
  const shown = `${told.join(" | ")}${more}`;
  if (!all) return `no link is seen between ${shown}`;
  if (all.why === undefined) return `the cluster is in ${all.count} parts without a link between them: ${shown}`;
  return `no link is seen between ${shown}; in how many parts the cluster is, is not known: ${all.why}`;
}

/** Nodes whose links are not known: their VMs were not asked. The others tell all links of a single one that is there. */
function untoldBy(members: readonly Member[]): readonly Member[] {
  const silent = members.filter((member) =>
    member.answer ? needsLinks(member) && !member.state && !hasOtherCookie(member) : !hasEnded(member, members),
  );
  return silent.length === 1 && silent[0]?.answer ? [] : silent;
}

/** By global of one of the two (prevent_overlapping_partitions), as far as no other cause is seen. */
export function mayBeEnded({ one, other }: Pair): boolean {
  const hasCause = familyApart(one, other) !== undefined || familyApart(other, one) !== undefined;
  return !hasCause && [one, other].some(({ state }) => state?.preventsPartitions === true);
}

type Way = readonly [from: Member, to: Member];

/** Both directions of each. */
function waysOf(pairs: readonly Pair[]): Way[] {
  return pairs.flatMap(({ one, other }): Way[] => [
    [one, other],
    [other, one],
  ]);
}

/**
 * Who is dialling whom. An attempt waits for a look-up, for a connection, or for the handshake, and every one is seen
 * sometimes: it is no proof that packets are dropped.
 */
function attemptsIn(pairs: readonly Pair[]): Way[] {
  return waysOf(pairs).filter(([from, to]) => from.state?.connecting.includes(to.node));
}

/** Who cannot dial whom, for want of an address. */
function apartIn(pairs: readonly Pair[]): Way[] {
  return waysOf(pairs).filter(([from, to]) => familyApart(from, to) !== undefined);
}

function isCauseSeen(pairs: readonly Pair[]): boolean {
  return attemptsIn(pairs).length > 0 || apartIn(pairs).length > 0;
}

/** What is seen of links that are missing, behind a sentence that names them. */
function causes(pairs: readonly Pair[]): string {
  const tried = attemptsIn(pairs).map(([from, to]) => `${from.node} is dialling ${to.node}, without an answer so far`);
  const apart = apartIn(pairs).map(([from, to]) => {
    const family = familyApart(from, to);
    return `${from.node} dials IPv${family} alone (-proto_dist ${protocolOf(from, family)}), and ${to.node} is published with IPv${family === 4 ? 6 : 4} addresses alone`;
  });
  const seen = [...apart, ...tried];
  return seen.length === 0 ? "" : `; ${listed(seen, 3, "; ")}`;
}

const protocolOf = (member: Member, family: Family | undefined) =>
  `${family === 6 ? "inet6" : "inet"}_${speaksTls(member) ? "tls" : "tcp"}`;

/** What to do about links that are missing. Which direction is blocked is not seen from a third machine. */
function adviceOn(pairs: readonly Pair[]): string {
  const [first] = pairs;
  const [attempt] = attemptsIn(pairs);
  const [apart] = apartIn(pairs);
  if (!first) return "";
  if (apart) {
    const [from, to] = apart;
    const family = familyApart(from, to) ?? 4;
    return `start ${from.node} with -proto_dist ${protocolOf(from, family === 4 ? 6 : 4)}, publish an IPv${family} address of ${to.node} too (--advertise-address, with a VM that listens there), or use --gateway, whose relays connect both families; peer-family of srv-epmd doctor ${to.node} on ${machineOf(from)} says when it is right`;
  }
  if (attempt) {
    const [from, to] = attempt;
    return `run srv-epmd doctor ${to.node} on ${machineOf(from)}: it says what ${from.node} waits for (srv-epmd help cluster has what comes next)`;
  }
  const [from, to] = [first.one, first.other];
  if ([from, to].some(({ state }) => state?.autoConnect === "once")) {
    return `run srv-epmd doctor ${to.node} on ${machineOf(from)}; if all is well there, net_kernel:connect_node('${to.node}') in a shell of ${from.node} links them: with dist_auto_connect once a link that was lost does not come back by itself`;
  }
  const apartFrom = [from, to].map(
    (member) => pairs.filter((pair) => pair.one === member || pair.other === member).length,
  );
  const isFrom = to.isHere || (!from.isHere && (apartFrom[0] ?? 0) > (apartFrom[1] ?? 0));
  // From here each way has been tried.
  const [lonely, other] = isFrom ? [from, to] : [to, from];
  return `no cause is seen from here: run srv-epmd doctor --cluster on ${machineOf(lonely)}, which tries each way from there; then srv-epmd doctor ${lonely.node} on ${machineOf(other)} (srv-epmd help cluster has what comes next)`;
}

const PREVENTION =
  "; one pair that cannot reach each other splits others too (prevent_overlapping_partitions), and global names it in the logs of the VMs";

function hasPrevention(pairs: readonly Pair[]): boolean {
  return pairs.some(({ one, other }) => [one, other].some(({ state }) => state?.preventsPartitions));
}

export function oneSided(pair: Pair): ClusterProblem {
  const { one, other } = pair;
  const [has, lacks] = sees(one, other) ? [one, other] : [other, one];
  return {
    ...{ code: "ONE_SIDED", nodes: [has.node, lacks.node] },
    text: `${has.node} lists ${lacks.node}, which does not list it${causes([pair])}`,
    advice: isCauseSeen([pair])
      ? adviceOn([pair])
      : `look again after net_ticktime (75 s at most, if it is not set): the link has broken, and ${has.node} has noticed it by then`,
  };
}
