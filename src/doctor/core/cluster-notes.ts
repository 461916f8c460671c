import { isVm } from "../../distribution/wire/handshake.js";
import { grouped } from "../../grouped.js";
import { listed } from "../../text.js";
import { hasEnded, mayHideMore, type UnreadServices, unread } from "./cluster-absent.js";
import { leftToPrograms, settingByHand } from "./cluster-by-hand.js";
import type { Member } from "./cluster-links.js";
import { type ClusterProblem, releaseWords } from "./cluster-problems.js";

/**
 * What may be meant that way, and explains links that are not there.
 * @param hides what Consul does not show @param never nodes that do not dial, unless they are a problem
 * @param isRefused releases refuse each other, which is a problem
 */
export function notesOf(
  members: readonly Member[],
  hides: UnreadServices | undefined,
  never: ClusterProblem | undefined,
  isRefused: boolean,
): ClusterProblem[] {
  const notes: ClusterProblem[] = [];
  if (hides && unread(members, hides).length === 0) notes.push(mayHideMore(hides));
  const note = (code: ClusterProblem["code"], of: readonly Member[], text: string, advice: string) => {
    if (of.length > 0)
      notes.push({
        code,
        nodes: of.map(({ node }) => node),
        text: `${listed(of.map(({ node }) => node))} ${text}`,
        advice,
      });
  };
  const ended = members.filter((member) => hasEnded(member, members));
  const has = ended.length === 1 ? "has" : "have";
  const its = ended.length === 1 ? "its" : "their";
  note(
    "ENDED",
    ended,
    `${has} just ended: ${its} srv-epmd has withdrawn ${ended.length === 1 ? "it" : "them"}`,
    `Consul's entry is removed within seconds; where a VM was not to end, its log says why`,
  );
  const hidden = members.filter((member) => member.answer?.hidden);
  note(
    "HIDDEN",
    hidden,
    hidden.length === 1 ? "is a hidden node" : "are hidden nodes",
    "a link that is missing there is not counted: programs make the links of hidden VMs (-hidden) and C nodes",
  );
  if (never) notes.push(never);
  for (const [setting, of] of grouped(leftToPrograms(members), settingByHand)) {
    const why = `${of.length === 1 ? "has" : "have"} ${setting}`;
    note("NOT_CONNECTING", of, why, "a link that is missing there is not counted: programs make the links");
  }
  notes.push(...releasesDiffer(members, isRefused));
  const known = new Set(members.map(({ node }) => node));
  const strangers = new Set(
    members.flatMap((member) => member.state?.visible.filter((name) => !known.has(name)) ?? []),
  );
  if (strangers.size > 0) {
    const text = `linked with nodes that were not asked for: ${listed(Array.from(strangers).sort())}`;
    notes.push({
      code: "STRANGERS",
      nodes: Array.from(strangers).sort(),
      text,
      advice: "nodes of another service, consoles, or another cluster that has the same cookie",
    });
  }
  return notes;
}

function releasesDiffer(members: readonly Member[], isRefused: boolean): ClusterProblem[] {
  const asked = members.filter(({ state }) => state?.release !== undefined);
  // A C node has flags of its own.
  const vms = asked.length > 0 ? asked : members.filter(({ answer }) => answer && isVm(answer.flags));
  const releases = grouped(vms, releaseWords);
  if (releases.size < 2) return [];
  const texts = Array.from(
    releases,
    ([release, of]) =>
      `${release}: ${listed(
        of.map(({ node }) => node),
        3,
      )}`,
  );
  const numbers = asked.map(({ state }) => Number(state?.release));
  const isFar = Math.max(...numbers) - Math.min(...numbers) > 2;
  const calm = isFar
    ? "these accept each other, though OTP promises that only of releases that are at most two apart: bring the older nodes up"
    : "right during an update; a release connects with the two before and after it";
  const advice = isRefused ? "right during an update, but for those that refuse each other" : calm;
  return [{ code: "RELEASES_DIFFER", nodes: [], text: texts.sort().join("; "), advice }];
}
