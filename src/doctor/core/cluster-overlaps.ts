import { isUnanswered, type Member, type Pair } from "./cluster-links.js";
import { type ClusterProblem, withEffects } from "./cluster-problems.js";
import { mayBeEnded, oneSided, unlinked } from "./cluster-unlinked.js";

/** Problems of nodes that are not seen here, with what follows from them, and the pairs that are told with them. */
interface Overlaps {
  readonly problems: readonly ClusterProblem[];
  readonly told: ReadonlySet<Pair>;
}

/**
 * A node that some reach and others do not has global end links between those, again and again
 * (prevent_overlapping_partitions). Where it is not seen here, the links that are missing because of it are told with it.
 * @param open the pairs that miss a link or have it on one side, without those that are told otherwise
 * @param isWhole all nodes are known
 */
export function overlaps(
  problems: readonly ClusterProblem[],
  members: readonly Member[],
  pairs: readonly Pair[],
  open: readonly Pair[],
  isWhole: boolean,
): Overlaps {
  const unseen = members.filter(({ answer }) => !answer);
  const ended = open.filter((pair) => mayBeEnded(pair) && unseen.some((one) => mayPart(one, pair)));
  const thirds = unseen.filter((one) => ended.some((pair) => mayPart(one, pair)));
  const cause = problems.find(({ nodes }) => thirds.some(({ node }) => nodes.includes(node)));
  if (!cause) return { problems, told: new Set() };
  const missing = ended.filter(({ link }) => link === "missing");
  const half = ended.filter(({ link }) => link === "one-sided");
  const effects = [...unlinked(members, pairs, missing, isWhole), ...half.map(oneSided)];
  return {
    problems: problems.map((problem) => (problem === cause ? withEffects(problem, ended, effects) : problem)),
    told: new Set(ended),
  };
}

/** One of two nodes has a third one in its list and the other has not; or neither has one that gives no answer here. */
function mayPart({ node, places }: Member, { one, other }: Pair): boolean {
  const lists = [one, other].map(({ state }) => state?.visible.includes(node));
  if (lists.includes(undefined) || lists.every(Boolean)) return false;
  return lists.some(Boolean) || places.some(isUnanswered);
}
