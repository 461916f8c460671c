import { isUnanswered, type Member, type Pair } from "./cluster-links.js";
import { type ClusterProblem, withEffects } from "./cluster-problems.js";
import { mayBeEnded, oneSided, unlinked } from "./cluster-unlinked.js";

/** Problems with what follows from them, and the pairs that are told with them. */
interface Overlaps {
  readonly problems: readonly ClusterProblem[];
  readonly told: ReadonlySet<Pair>;
}

/**
 * A node that some can be linked with and others cannot has global end links between those, again and again
 * (prevent_overlapping_partitions), and so does one that does not dial. The links that are missing because of it are told with
 * its problem, if it is not seen here or does not dial.
 * @param problems of single nodes
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
  const never = problems.find(({ code }) => code === "NEVER_CONNECTS")?.nodes ?? [];
  const others = members.filter(({ node, answer }) => !answer || never.includes(node));
  const ended = open.filter((pair) => mayBeEnded(pair) && others.some((third) => mayPart(third, pair)));
  const thirds = others.filter((third) => ended.some((pair) => mayPart(third, pair)));
  const cause = problems.find((problem) => thirds.some(({ node }) => problem.nodes.includes(node)));
  if (!cause) return { problems, told: new Set() };
  const missing = ended.filter(({ link }) => link === "missing");
  const half = ended.filter(({ link }) => link === "one-sided");
  const effects = [...unlinked(members, pairs, missing, isWhole), ...half.map(oneSided)];
  return {
    problems: problems.map((problem) => (problem === cause ? withEffects(problem, ended, effects) : problem)),
    told: new Set(ended),
  };
}

/**
 * Whether global may have ended the link of two nodes because of a third one: both are linked with one that does not dial;
 * one of them is linked with it and the other is not; or neither is now, and others may be.
 */
function mayPart(third: Member, { one, other }: Pair): boolean {
  const lists = [one, other].map(({ state }) => state?.visible.includes(third.node));
  if (lists.includes(undefined)) return false;
  if (third.answer) return lists.some(Boolean) || third.linked.size > 0;
  return lists.every(Boolean) ? false : lists.some(Boolean) || third.places.some(isUnanswered);
}
