import { isVm } from "../../distribution/wire/handshake.js";
import { grouped } from "../../grouped.js";
import { listed } from "../../text.js";
import {
  absenceOf,
  hasEnded,
  type ListingFault,
  mayHideMore,
  noAnswer,
  notFound,
  notListed,
  type UnreadServices,
  unread,
} from "./cluster-absent.js";
import { barred } from "./cluster-barred.js";
import { isExpected, type Member, needsLinks, type Pair, pairsOf } from "./cluster-links.js";
import { type ClusterProblem, ownProblem, RANKS, refusals, releaseWords } from "./cluster-problems.js";
import { twins } from "./cluster-twice.js";
import { oneSided, unlinked } from "./cluster-unlinked.js";
import { notThere } from "./cluster-unreached.js";

export interface ClusterVerdict {
  readonly summary: string;
  readonly isWell: boolean;
  /** Links that are there, of those that should be; undefined: no VM was asked. */
  readonly links: { readonly found: number; readonly expected: number } | undefined;
  /** In the order of their gravity. */
  readonly problems: readonly ClusterProblem[];
  readonly notes: readonly ClusterProblem[];
  readonly pairs: readonly Pair[];
}

/** How far the nodes of a cluster are known. */
export interface ClusterListing {
  readonly fault?: ListingFault | undefined;
  /** What Consul does not show; undefined: it shows all. */
  readonly unread?: UnreadServices | undefined;
  /** What to do first where a catalogue has no node: the srv-epmd here asks another one. */
  readonly elsewhere?: string | undefined;
}

/** Says what is wrong with a cluster. */
export function judgeCluster(members: readonly Member[], listing: ClusterListing = {}): ClusterVerdict {
  const { fault } = listing;
  const pairs = pairsOf(members);
  const missing = pairs.filter((pair) => pair.link === "missing" && isExpected(pair));
  const oneSidedPairs = pairs.filter(({ link }) => link === "one-sided");
  const apart = barred(members, pairs, missing, isListed(listing));
  const open = missing.filter((pair) => !apart.told.has(pair));
  const twice = twins(members, pairs, open, isListed(listing));
  const problems = [
    ...noAnswer(members, fault),
    ...unread(members, fault === undefined ? listing.unread : undefined),
    ...(isListed(listing) ? nobody(members, listing) : []),
    ...problemsOfNodes(members),
    ...refusals(members),
    ...apart.problems,
    ...twice.problems,
    ...unlinked(
      members,
      pairs,
      open.filter((pair) => !twice.told.has(pair)),
      isListed(listing),
    ),
    ...oneSidedPairs.filter((pair) => !twice.told.has(pair)).map(oneSided),
  ].sort((a, b) => rank(a) - rank(b));
  const expected = pairs.filter((pair) => pair.link !== "unknown" && (isExpected(pair) || pair.link !== "missing"));
  const found = expected.filter(({ link }) => link === "linked").length;
  const isAsked = members.some((member) => member.state);
  const links = isAsked ? { found, expected: expected.length } : undefined;
  const isRefused = problems.some(({ code }) => code === "RELEASES_REFUSE");
  const notes = notesOf(members, listing, isRefused);
  const verdict = { isWell: problems.length === 0, links, problems, notes, pairs };
  return { summary: summaryOf(members, verdict, fault), ...verdict };
}

const isListed = ({ fault, unread: hides }: ClusterListing) => fault === undefined && hides === undefined;

/** What is wrong with single nodes, and with those that are not there for one cause. */
function problemsOfNodes(members: readonly Member[]): ClusterProblem[] {
  // Those that have ended are a note.
  const judged = members.filter((member) => !hasEnded(member, members));
  const unlisted = judged.flatMap((member) =>
    member.unlistedIn === undefined ? [] : [notListed(member, member.unlistedIn, members)],
  );
  // The others are told together.
  const known = judged.filter(({ unavailable, isUnread }) => unavailable === undefined && !isUnread);
  const found = known.filter(({ missing }) => missing === undefined);
  const lost = known.filter(({ missing, unlistedIn }) => missing !== undefined && unlistedIn === undefined);
  return [
    ...unlisted,
    ...Array.from(grouped(lost, absenceOf).values(), (absent) => notFound(absent, members)),
    ...found.filter(({ answer, vms }) => answer && !vms).flatMap(ownProblem),
    ...notThere(
      found.filter(({ answer }) => !answer),
      members,
    ),
  ];
}

/** A cluster of which no node is left. */
function nobody(members: readonly Member[], { elsewhere }: ClusterListing): ClusterProblem[] {
  if (members.length === 0) return [{ ...NOBODY, advice: elsewhere ?? NOBODY.advice }];
  if (!members.every((member) => hasEnded(member, members))) return [];
  const nodes = members.map(({ node }) => node);
  return [{ code: "NOT_FOUND", nodes, text: "no node is left", advice: "start the nodes again, or wait for new ones" }];
}

const NOBODY: ClusterProblem = {
  ...{ code: "NOT_FOUND", nodes: [] },
  text: "no node matches",
  advice:
    "srv-epmd names --match shows, with the same pattern, the nodes that the srv-epmd here knows; with --cluster it shows those that Consul or Nomad has of a service, and how they are",
};

const rank = ({ code }: ClusterProblem) => RANKS.indexOf(code as (typeof RANKS)[number]);

/** What may be meant that way, and explains links that are not there. */
function notesOf(
  members: readonly Member[],
  { unread: hides, fault }: ClusterListing,
  isRefused: boolean,
): ClusterProblem[] {
  const notes: ClusterProblem[] = [];
  if (hides && fault === undefined && unread(members, hides).length === 0) notes.push(mayHideMore(hides));
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
  // Between two others there has to be a link that global can end.
  const harmful = members.filter(needsLinks).length > 1 ? members.filter(neverDials) : [];
  note(
    "NEVER_CONNECTS",
    harmful,
    `${harmful.length === 1 ? "has" : "have"} dist_auto_connect never, and others have not: global ends links between those because of it`,
    "give all nodes the same; links that programs make need connect_all false on each",
  );
  const manual = members.filter((member) => isByHand(member) && !harmful.includes(member));
  for (const [setting, of] of grouped(manual, settingByHand)) {
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

/** @param isRefused some of them refuse each other, which is a problem */
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

/** A visible node whose links programs make. */
function isByHand(member: Member): boolean {
  return member.answer?.hidden === false && !needsLinks(member);
}

/** By which its links are left to programs. */
function settingByHand({ state }: Member): string {
  const settings = [
    ...(state?.connectAll === false ? ["connect_all false"] : []),
    ...(state?.autoConnect === "never" ? ["dist_auto_connect never"] : []),
  ];
  return settings.join(" and ");
}

/** Global of the others takes notice of it, and it does not dial them. */
function neverDials(member: Member): boolean {
  return isByHand(member) && member.state?.connectAll === true && member.state.autoConnect === "never";
}

/** `5 nodes, 9 of 10 links; node_d@… does not see node_a@…` */
function summaryOf(
  members: readonly Member[],
  { links, problems, notes }: Pick<ClusterVerdict, "links" | "problems" | "notes">,
  fault: ListingFault | undefined,
): string {
  const count = countOf(members.length);
  const present = members.filter(({ answer }) => answer).length;
  const there = present === members.length ? "" : `, ${present} of them there`;
  // Of a node that is not seen the links are not counted, though others may tell them.
  const isCounted = links && (links.expected > 0 || present === members.length);
  const linked = isCounted ? `, ${links.found} of ${links.expected} links` : "";
  const [first, ...others] = problems;
  const more = others.length === 0 ? "" : `; and ${others.length} more ${others.length === 1 ? "problem" : "problems"}`;
  const isUnasked = present > 0 && members.every((member) => member.answer?.joined === undefined);
  const unseen = isUnasked ? "; links and cookies were not looked at (--cookie-file)" : "";
  if (first?.code === "NO_ANSWER") return `${silence(members, first, fault)}${linked}${more}${unseen}`;
  // How many there are is not known.
  if (members.length === 0 && first && first.code !== NOBODY.code) return `${first.text}${more}`;
  if (first) return `${count}${there}${linked}; ${first.text}${more}${unseen}`;
  const shown = notes.some(({ code }) => code === "UNREAD") ? " that Consul shows" : "";
  if (isUnasked) return `${count}${shown}${there || (present === 1 ? " is there" : " are there")}${unseen}`;
  const risk = notes.find(({ code }) => code === "NEVER_CONNECTS");
  const calm = `nothing is wrong${shown && ` with the nodes${shown}`}`;
  return `${count}${there}${linked}; ${risk ? `no link is missing now, and ${risk.text}` : calm}`;
}

const countOf = (nodes: number) => (nodes === 1 ? "1 node" : `${nodes} nodes`);

/** `Consul at 127.0.0.1:8500 does not answer (refused); 2 of 3 nodes were not looked for` */
function silence(members: readonly Member[], { nodes }: ClusterProblem, fault: ListingFault | undefined): string {
  const why = fault?.brief ?? "look-ups have no answer";
  if (members.length === 0) return why;
  return nodes.length === 0
    ? `${why}; ${countOf(members.length)} known here`
    : `${why}; ${nodes.length} of ${countOf(members.length)} ${nodes.length === 1 ? "was" : "were"} not looked for`;
}
