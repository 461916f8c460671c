import { hostPort } from "../../net/ip.js";
import { listed } from "../../text.js";
import type { Member, MemberPlace, Pair } from "./cluster-links.js";
import { type ClusterEffect, type ClusterProblem, effectOf } from "./cluster-problems.js";
import { mayBeEnded, oneSided, unlinked } from "./cluster-unlinked.js";

/** Names that several VMs have, and the pairs that are told with them. */
export interface Twins {
  readonly problems: readonly ClusterProblem[];
  readonly told: ReadonlySet<Pair>;
}

const NONE: Twins = { problems: [], told: new Set() };

/**
 * Each name that several VMs have is a problem. What follows from it is told with it: global ends the links of nodes between
 * which it sees one of the VMs come and go. @param missing of the pairs, without those that are told otherwise
 * @param isWhole all nodes are known
 */
export function twins(
  members: readonly Member[],
  pairs: readonly Pair[],
  missing: readonly Pair[],
  isWhole: boolean,
): Twins {
  const named = members.filter(isTwice);
  const [first] = named;
  if (!first) return NONE;
  const half = pairs.filter(({ link }) => link === "one-sided");
  const ended = missing.filter(mayBeEnded);
  const between = half.filter((pair) => !hasTwin(pair) && mayBeEnded(pair));
  const common = [...unlinked(members, pairs, ended, isWhole), ...between.map(oneSided)].map(effectOf);
  const problems = named.map((member) => {
    const own = halfLinked(member, half);
    return problemOf(member, [...own, ...(member === first ? common : [])]);
  });
  return { problems, told: new Set([...ended, ...between, ...half.filter(hasTwin)]) };
}

function isTwice({ vms = [] }: Member): boolean {
  return vms.length > 1;
}

const hasTwin = ({ one, other }: Pair) => isTwice(one) || isTwice(other);

/** A node is linked with one of the VMs, and the other does not list it. */
function halfLinked({ node }: Member, half: readonly Pair[]): ClusterEffect[] {
  const nodes = half.flatMap(({ one, other }) =>
    one.node === node ? other.node : other.node === node ? one.node : [],
  );
  if (nodes.length === 0) return [];
  return [
    { code: "ONE_SIDED", nodes: [node, ...nodes], text: `its links with ${listed(nodes)} are seen on one side only` },
  ];
}

function problemOf({ node, vms = [] }: Member, effects: readonly ClusterEffect[]): ClusterProblem {
  const times = vms.length === 2 ? "twice" : `${vms.length} times`;
  const ends =
    effects.length === 0 ? "" : ", and meanwhile global ends links of others (prevent_overlapping_partitions)";
  const then = effects.length === 0 ? "" : "; a link that is missing a minute after that has another cause";
  return {
    ...{ code: "TWICE", nodes: Array.from(new Set([node, ...effects.flatMap((effect) => effect.nodes)])) },
    text: `${node} is there ${times}: at ${vms.map(placeWords).join(" and ")}`,
    advice: `end one of them: only one can be linked with each of the others${ends}; peer-twice of srv-epmd doctor ${node}, run here, tells how long each has been published${then}`,
    effects,
  };
}

function placeWords({ endpoint, origin }: MemberPlace): string {
  return `${hostPort(endpoint)}${origin === "here" ? " on this machine" : ""}`;
}
