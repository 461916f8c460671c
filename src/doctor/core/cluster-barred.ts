import { flagWords } from "../../distribution/core/releases.js";
import { isLongName } from "../../names/node-name.js";
import { listed } from "../../text.js";
import { isExpected, type Member, type Obstacle, obstacleBetween, type Pair, speaksTls } from "./cluster-links.js";
import { type ClusterProblem, machineOf, releaseWords } from "./cluster-problems.js";

/** Nodes that cannot be linked, by what they are, and the pairs that are told with that. */
export interface Barred {
  readonly problems: readonly ClusterProblem[];
  readonly told: ReadonlySet<Pair>;
}

/** Pairs with an obstacle of one kind, and those whose link global may have ended because of it. */
interface Group {
  readonly barred: { readonly pair: Pair; readonly obstacle: Obstacle }[];
  readonly followers: Pair[];
}

/** Each kind is one problem. @param missing of the pairs, without those that are told otherwise */
export function barred(pairs: readonly Pair[], missing: readonly Pair[]): Barred {
  // The handshake tells it of VMs too that were not asked for their links.
  const looked = [...missing, ...pairs.filter((pair) => pair.link === "unknown" && isExpected(pair))];
  const groups = new Map<string, Group>();
  const groupOf = new Map<Pair, Group>();
  for (const pair of looked) {
    const obstacle = obstacleBetween(pair.one, pair.other);
    if (!obstacle) continue;
    const group = groups.get(kindOf(obstacle)) ?? { barred: [], followers: [] };
    group.barred.push({ pair, obstacle });
    groups.set(kindOf(obstacle), group);
    groupOf.set(pair, group);
  }
  const causeOf = consequences(Array.from(groupOf.keys()), pairs);
  for (const pair of missing) {
    const cause = groupOf.has(pair) ? undefined : causeOf(pair);
    if (cause) groupOf.get(cause)?.followers.push(pair);
  }
  const problems = Array.from(groups.values(), problemOf);
  return { problems, told: new Set(Array.from(groups.values()).flatMap(pairsIn)) };
}

const pairsIn = ({ barred, followers }: Group) => [...barred.map(({ pair }) => pair), ...followers];

/** Of two refusals one problem is told only where all that it says holds for both. */
function kindOf(obstacle: Obstacle): string {
  if (obstacle.code !== "RELEASES_REFUSE") return obstacle.code;
  return [releaseWords(obstacle.by), releaseWords(obstacle.of), ...obstacle.flags].join(" ");
}

const namesOf = (members: readonly Member[]) => Array.from(new Set(members.map(({ node }) => node)));

/** `a@h, b@h speak` */
function does(names: readonly string[], one: string, several: string): string {
  return `${listed(names)} ${names.length === 1 ? one : several}`;
}

function problemOf(group: Group): ClusterProblem {
  const problem = withoutFollowers(group);
  const [first] = group.followers;
  if (!first) return problem;
  const followers = listed(
    group.followers.map(({ one, other }) => `${one.node} and ${other.node}`),
    3,
  );
  return {
    ...problem,
    nodes: Array.from(
      new Set([...problem.nodes, ...group.followers.flatMap(({ one, other }) => [one.node, other.node])]),
    ),
    text: `${problem.text}; no link either between ${followers}`,
    advice: `${problem.advice}. The other missing links may follow from it, as global then ends links (prevent_overlapping_partitions); whether something else is in their way too says srv-epmd doctor ${first.other.node} on ${machineOf(first.one)}`,
  };
}

function withoutFollowers({ barred }: Group): ClusterProblem {
  const all = barred.flatMap(({ pair: { one, other } }) => [one, other]);
  const sides = (isFirst: (member: Member) => boolean) =>
    [namesOf(all.filter(isFirst)), namesOf(all.filter((member) => !isFirst(member)))] as const;
  const code = barred[0]?.obstacle.code;
  if (code === "TLS_DIFFERS") {
    const [tls, plain] = sides(speaksTls);
    return {
      ...{ code, nodes: [...tls, ...plain] },
      text: `${does(tls, "speaks", "speak")} TLS, ${does(plain, "does", "do")} not: they cannot be linked`,
      advice: "start all of them with -proto_dist inet_tls, or none",
    };
  }
  if (code === "NAMES_DIFFER") {
    const [short, long] = sides(({ node }) => !isLongName(node));
    return {
      ...{ code, nodes: [...short, ...long] },
      text: `${does(short, "has a short name", "have short names")}, ${does(long, "a long one", "long ones")}: a VM of one kind never connects to one of the other`,
      advice: "start all of them with -name, or all with -sname",
    };
  }
  const refused = barred.flatMap(({ obstacle }) => (obstacle.code === "RELEASES_REFUSE" ? [obstacle] : []));
  const [first] = refused;
  const [by, of] = [namesOf(refused.map((one) => one.by)), namesOf(refused.map((one) => one.of))];
  const flags = flagWords(first?.flags ?? []);
  return {
    ...{ code: "RELEASES_REFUSE", nodes: [...by, ...of] },
    text: `${listed(by)} (${releaseWords(first?.by)}) ${by.length === 1 ? "refuses" : "refuse"} ${listed(of)} (${releaseWords(first?.of)}), which ${of.length === 1 ? "lacks" : "lack"} ${flags}`,
    advice: "an OTP release connects with the two before it: bring the older nodes up first",
  };
}

/**
 * The pair that cannot be linked and because of which global may have ended the link of another one: it ends those of a node
 * that not all others see (prevent_overlapping_partitions, since OTP 25).
 */
function consequences(barred: readonly Pair[], pairs: readonly Pair[]): (pair: Pair) => Pair | undefined {
  const barredFrom = byMember(barred);
  const linked = byMember(pairs.filter(({ link }) => link === "linked"));
  const cause = (apart: Member, from: Member) => {
    if (from.state?.preventsPartitions !== true) return undefined;
    return Array.from(barredFrom.get(apart) ?? []).find(([third]) => linked.get(from)?.has(third))?.[1];
  };
  return ({ one, other }) => cause(one, other) ?? cause(other, one);
}

/** For each node the other ends of its pairs. */
function byMember(pairs: readonly Pair[]): Map<Member, Map<Member, Pair>> {
  const all = new Map<Member, Map<Member, Pair>>();
  const add = (from: Member, to: Member, pair: Pair) => all.set(from, (all.get(from) ?? new Map()).set(to, pair));
  for (const pair of pairs) {
    add(pair.one, pair.other, pair);
    add(pair.other, pair.one, pair);
  }
  return all;
}
