import { flagWords } from "../../distribution/core/releases.js";
import { isLongName } from "../../names/node-name.js";
import { listed } from "../../text.js";
import {
  isExpected,
  type Member,
  needsLinks,
  type Obstacle,
  obstacleBetween,
  type Pair,
  speaksTls,
} from "./cluster-links.js";
import { type ClusterProblem, hasOtherCookie, releaseWords, withEffects } from "./cluster-problems.js";
import { mayBeEnded, unlinked } from "./cluster-unlinked.js";

/** Nodes that cannot be linked, by what they are, and the pairs that are told with that. */
export interface Barred {
  readonly problems: readonly ClusterProblem[];
  readonly told: ReadonlySet<Pair>;
}

/** Pairs with an obstacle of one kind. */
type Group = { readonly pair: Pair; readonly obstacle: Obstacle }[];

/**
 * Each kind is one problem. What may follow from it is told with it.
 * @param missing of the pairs, without those that are told otherwise @param isWhole all nodes are known
 */
export function barred(
  members: readonly Member[],
  pairs: readonly Pair[],
  missing: readonly Pair[],
  isWhole: boolean,
): Barred {
  // The handshake tells it of VMs too that were not asked for their links.
  const looked = [...missing, ...pairs.filter((pair) => pair.link === "unknown" && isExpected(pair))];
  const groups = new Map<string, Group>();
  for (const pair of looked) {
    const obstacle = obstacleBetween(pair.one, pair.other);
    if (!obstacle) continue;
    const group = groups.get(kindOf(obstacle)) ?? [];
    group.push({ pair, obstacle });
    groups.set(kindOf(obstacle), group);
  }
  const all = Array.from(groups.values());
  const apart = new Set(all.flat().map(({ pair }) => pair));
  // Within a group all pairs are alike.
  const cause = all.find(([first]) => first && hasBetween(first.pair, members));
  const ended = cause ? missing.filter((pair) => !apart.has(pair) && mayBeEnded(pair)) : [];
  const effects = unlinked(members, pairs, ended, isWhole);
  const problems = all.map((group) =>
    group === cause ? withEffects(problemOf(group), ended, effects) : problemOf(group),
  );
  return { problems, told: new Set([...apart, ...ended]) };
}

/**
 * Global ends the links of a node that not all others see (prevent_overlapping_partitions, since OTP 25), and of those then
 * others: it begins with a node that can be linked with both of two that cannot.
 */
function hasBetween({ one, other }: Pair, members: readonly Member[]): boolean {
  return members.some(
    (member) =>
      needsLinks(member) &&
      ![one, other].some((end) => end === member || obstacleBetween(end, member) || hasOtherCookie(member)),
  );
}

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

function problemOf(barred: Group): ClusterProblem {
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
    advice: "bring the older nodes up first: OTP promises links between releases that are at most two apart",
  };
}
