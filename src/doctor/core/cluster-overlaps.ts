import { grouped } from "../../grouped.js";
import { isUnanswered, type Member, type Pair } from "./cluster-links.js";
import { type ClusterProblem, withEffects } from "./cluster-problems.js";
import { mayBeEnded, oneSided, unlinked } from "./cluster-unlinked.js";

/** Problems with what follows from them, and the pairs that are told with them. */
interface Overlaps {
  readonly problems: readonly ClusterProblem[];
  readonly told: ReadonlySet<Pair>;
}

/**
 * Some nodes can be linked with a node and others cannot: global then ends links between those, again and again
 * (prevent_overlapping_partitions). So it does because of a node that does not dial (dist_auto_connect never). Links that are
 * missing are told with the problem of such a node. Where a machine does not answer from here, those of all pairs that may be
 * linked with it are, also where a firewall between the two is the reason: the advice has the command that tells.
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
  const absent = members.filter(({ answer }) => !answer);
  const undialling = members.filter(({ node, answer }) => answer && never.includes(node));
  const thirdsOf = (pair: Pair) => [
    ...absent.filter((third) => mayPartAbsent(third, pair)),
    ...undialling.filter((third) => mayPartUndialling(third, pair)),
  ];
  const ended = open.filter(mayBeEnded).flatMap((pair) => {
    const names = thirdsOf(pair).map(({ node }) => node);
    const cause = problems.find(({ nodes }) => nodes.some((node) => names.includes(node)));
    return cause ? { pair, cause } : [];
  });
  const byCause = grouped(ended, ({ cause }) => cause);
  return {
    problems: problems.map((problem) => {
      const own = (byCause.get(problem) ?? []).map(({ pair }) => pair);
      const missing = own.filter(({ link }) => link === "missing");
      const half = own.filter(({ link }) => link === "one-sided");
      return withEffects(problem, own, [...unlinked(members, pairs, missing, isWhole), ...half.map(oneSided)]);
    }),
    told: new Set(ended.map(({ pair }) => pair)),
  };
}

/** Global may have ended the link of a pair, if one of it is linked with a node that is not seen here, or neither is and others may be. */
function mayPartAbsent(third: Member, pair: Pair): boolean {
  const lists = listsOf(third, pair);
  if (!lists || lists.every(Boolean)) return false;
  return lists.some(Boolean) || third.places.some(isUnanswered);
}

/** Global may have ended the link of a pair because of a node that does not dial, if any node is linked with that. */
function mayPartUndialling(third: Member, pair: Pair): boolean {
  const lists = listsOf(third, pair);
  return lists !== undefined && (lists.some(Boolean) || third.linked.size > 0);
}

/** Whether either of a pair says that it is linked with a third node; undefined: it is one of the pair, or one of them does not say. */
function listsOf(third: Member, { one, other }: Pair): readonly boolean[] | undefined {
  if (third === one || third === other) return undefined;
  const lists = [one, other].flatMap(({ state }) => state?.visible.includes(third.node) ?? []);
  return lists.length === 2 ? lists : undefined;
}
