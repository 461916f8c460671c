import { isExpected, type Member, type Pair } from "./cluster-links.js";
import type { ClusterVerdict } from "./cluster-verdict.js";

type Judged = Pick<ClusterVerdict, "problems" | "pairs">;

/** The nodes with the gravest problems first, in the order in which a problem names them; then by name. */
export function worstFirst(members: readonly Member[], { problems }: Judged): Member[] {
  const ranks = new Map<string, number>();
  for (const node of problems.flatMap(({ nodes }) => nodes)) if (!ranks.has(node)) ranks.set(node, ranks.size);
  const rank = ({ node }: Member) => ranks.get(node) ?? ranks.size;
  return [...members].sort((a, b) => rank(a) - rank(b));
}

/**
 * The part of a large cluster that is shown: nodes between which most links are missing, so that a matrix of them shows
 * how the cluster has come apart, and others with which something is wrong, which have half of it if they need that.
 * @param sorted the worst first
 */
export function worstPart(sorted: readonly Member[], { problems, pairs }: Judged, most: number): Member[] {
  const partners = new Map<Member, Set<Member>>();
  for (const { one, other } of pairs.filter(isWrong)) {
    partners.set(one, (partners.get(one) ?? new Set()).add(other));
    partners.set(other, (partners.get(other) ?? new Set()).add(one));
  }
  const named = new Set(problems.flatMap(({ nodes }) => nodes));
  const others = sorted.filter((member) => named.has(member.node) && !partners.has(member));
  const room = most - Math.min(others.length, most / 2);
  const shown = new Set<Member>();
  const inShown = (member: Member) => Array.from(shown).filter((other) => partners.get(member)?.has(other)).length;
  while (shown.size < room) {
    const left = sorted.filter((member) => partners.has(member) && !shown.has(member));
    const weights = new Map(
      left.map((member) => [member, [inShown(member), partners.get(member)?.size ?? 0] as const]),
    );
    const [next] = Array.from(weights).sort(([, a], [, b]) => b[0] - a[0] || b[1] - a[1])[0] ?? [];
    if (!next) break;
    shown.add(next);
  }
  for (const member of others) if (shown.size < most) shown.add(member);
  return sorted.filter((member) => shown.has(member));
}

function isWrong(pair: Pair): boolean {
  return pair.link === "one-sided" || (pair.link === "missing" && isExpected(pair));
}
