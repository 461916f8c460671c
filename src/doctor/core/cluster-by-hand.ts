import { listed } from "../../text.js";
import { type Member, needsLinks, type Pair } from "./cluster-links.js";
import type { ClusterProblem } from "./cluster-problems.js";

/** Visible nodes whose links are left to programs, by the setting that does so, without those that harm others. */
export function leftToPrograms(members: readonly Member[]): readonly Member[] {
  const harmful = harmfulOf(members);
  return members.filter((member) => isByHand(member) && !harmful.includes(member));
}

/** `connect_all false` */
export function settingByHand({ state }: Member): string {
  const settings = [
    ...(state?.connectAll === false ? ["connect_all false"] : []),
    ...(state?.autoConnect === "never" ? ["dist_auto_connect never"] : []),
  ];
  return settings.join(" and ");
}

/** Nodes that global takes notice of and that do not dial: it ends links between others because of them. Undefined: there is none. */
export function neverConnects(members: readonly Member[]): ClusterProblem | undefined {
  const harmful = harmfulOf(members);
  if (harmful.length === 0) return undefined;
  const nodes = harmful.map(({ node }) => node);
  return {
    ...{ code: "NEVER_CONNECTS", nodes },
    text: `${listed(nodes)} ${nodes.length === 1 ? "has" : "have"} dist_auto_connect never, and others have not: global ends links between those because of it`,
    advice: "give all nodes the same; links that programs make need connect_all false on each",
  };
}

/** `a@h, which has connect_all false`: of nodes that lack a link with others, which nobody misses. Undefined: none does. */
export function unlinkedByHand(members: readonly Member[], pairs: readonly Pair[]): string | undefined {
  const all = leftToPrograms(members);
  // With hidden nodes nothing links them by itself.
  const missing = pairs.filter(({ one, other, link }) => link === "missing" && isVisible(one) && isVisible(other));
  const lacking = all.filter((member) => missing.some(({ one, other }) => one === member || other === member));
  const settings = Array.from(new Set(lacking.map(settingByHand)));
  if (lacking.length === 0) return undefined;
  return `${listed(
    lacking.map(({ node }) => node),
    3,
  )}, which ${lacking.length === 1 ? "has" : "have"} ${settings.join(" or ")}`;
}

/** Between two others there has to be a link that global can end. */
function harmfulOf(members: readonly Member[]): readonly Member[] {
  return members.filter(needsLinks).length > 1 ? members.filter(neverDials) : [];
}

function isByHand(member: Member): boolean {
  return isVisible(member) && !needsLinks(member);
}

function isVisible({ answer }: Member): boolean {
  return answer?.hidden === false;
}

function neverDials(member: Member): boolean {
  return isByHand(member) && member.state?.connectAll === true && member.state.autoConnect === "never";
}
