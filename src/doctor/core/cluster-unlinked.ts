import { listed } from "../../text.js";
import { type Member, needsLinks, type Pair, partsOf, sees } from "./cluster-links.js";
import { type ClusterProblem, hasOtherCookie, machineOf } from "./cluster-problems.js";

const namesOf = (members: readonly Member[]) => Array.from(new Set(members.map(({ node }) => node)));

/** Parts of a cluster, or nodes without links, that are told one by one. */
const MOST_TOLD = 8;

/** Nodes that could be linked and are not. @param missing the pairs that nothing else explains */
export function unlinked(
  members: readonly Member[],
  pairs: readonly Pair[],
  missing: readonly Pair[],
): ClusterProblem[] {
  // Another cookie explains every link that a node does not have.
  const open = missing.filter((pair) => ![pair.one, pair.other].some(hasOtherCookie));
  if (open.length === 0) return [];
  const problems: ClusterProblem[] = [];
  const able = members.filter((member) => needsLinks(member) && !hasOtherCookie(member));
  const parts = partsOf(able, pairs);
  const partOf = new Map(parts.flatMap((part, index) => part.map((member) => [member, index] as const)));
  const isAcross = ({ one, other }: Pair) => partOf.get(one) !== partOf.get(other);
  const across = open.filter(isAcross);
  if (parts.length > 1 && across.length > 0) {
    const names = parts.slice(0, MOST_TOLD).map((part) => listed(part.map(({ node }) => node)));
    const more = parts.length > MOST_TOLD ? ` | and ${parts.length - MOST_TOLD} more` : "";
    const touched = new Set(across.flatMap(({ one, other }) => [one, other]));
    problems.push({
      ...{ code: "SPLIT", nodes: namesOf(parts.flat().filter((member) => touched.has(member))) },
      text: `the cluster is in ${parts.length} parts without a link between them: ${names.join(" | ")}${more}${attempts(across)}`,
      advice: `${adviceOn(across)}${hasPrevention(across) ? PREVENTION : ""}`,
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
      text: `${worst.node} does not see ${listed(others)}${attempts(its)}`,
      advice: adviceOn(its),
    });
    rest = rest.filter(({ one, other }) => one !== worst && other !== worst);
  }
  if (rest.length > 0) {
    const nodes = Array.from(new Set(rest.flatMap(({ one, other }) => [one.node, other.node])));
    const text = `${rest.length} more links are missing, between ${listed(nodes)}`;
    problems.push({ code: "NO_LINK", nodes, text, advice: adviceOn(rest) });
  }
  return problems;
}

/** Who is dialling whom. */
function attemptsIn(pairs: readonly Pair[]): (readonly [from: Member, to: Member])[] {
  return pairs.flatMap(({ one, other }) =>
    (
      [
        [one, other],
        [other, one],
      ] as const
    ).filter(([from, to]) => from.state?.connecting.includes(to.node)),
  );
}

function attempts(pairs: readonly Pair[]): string {
  const seen = attemptsIn(pairs).map(([from, to]) => `${from.node} tries to reach ${to.node} and has no answer`);
  return seen.length === 0 ? "" : `; ${listed(seen, 3)}`;
}

/**
 * What to do about links that are missing. Which direction is blocked is not seen from a third machine: an attempt looks
 * the same to a VM whether its packets are dropped or the answers to them.
 */
function adviceOn(pairs: readonly Pair[]): string {
  const [first] = pairs;
  const [attempt] = attemptsIn(pairs);
  if (!first) return "";
  if (attempt) {
    const [from, to] = attempt;
    return `packets between the two are dropped: while ${from.node} tries, run ss -tn state syn-recv on the machine of ${to.node}. If it lists an address of ${from.node}, the answers are dropped: the way to ${from.node} is blocked; if not, the way to ${to.node} is`;
  }
  const [from, to] = [first.one, first.other];
  const once = [from, to].some(({ state }) => state?.autoConnect === "once")
    ? ". With dist_auto_connect once a link that is lost does not come back by itself"
    : "";
  return `neither dials the other at this moment, so no blocked way is seen: run srv-epmd doctor ${to.node} on ${machineOf(from)}, and srv-epmd doctor ${from.node} on ${machineOf(to)}; peer-tcp and peer-handshake there say whether the way is open in that direction. If both are, net_kernel:connect_node('${to.node}') in a shell of ${from.node} links them${once}`;
}

const PREVENTION =
  ". Where two nodes cannot reach each other, global ends their links with others too (prevent_overlapping_partitions): its warnings in the logs of the VMs name the two";

function hasPrevention(pairs: readonly Pair[]): boolean {
  return pairs.some(({ one, other }) => [one, other].some(({ state }) => state?.preventsPartitions));
}

export function oneSided(pair: Pair): ClusterProblem {
  const { one, other } = pair;
  const [has, lacks] = sees(one, other) ? [one, other] : [other, one];
  const broken = `a link that has broken: ${has.node} notices it within net_ticktime (75 s at most, if it is not set)`;
  return {
    ...{ code: "ONE_SIDED", nodes: [has.node, lacks.node] },
    text: `${has.node} lists ${lacks.node}, which does not list it${attempts([pair])}`,
    advice: attemptsIn([pair]).length > 0 ? `${broken}; ${adviceOn([pair])}` : `${broken}; look again then`,
  };
}
