import { grouped } from "../../grouped.js";
import { listed } from "../../text.js";
import {
  absenceOf,
  foundHereAlone,
  hasEnded,
  type ListingFault,
  noAnswer,
  notFound,
  notListed,
  type UnreadServices,
  unread,
} from "./cluster-absent.js";
import { barred } from "./cluster-barred.js";
import { neverConnects, unlinkedByHand } from "./cluster-by-hand.js";
import { isExpected, type Member, type Pair, pairsOf } from "./cluster-links.js";
import { notesOf } from "./cluster-notes.js";
import { overlaps } from "./cluster-overlaps.js";
import { type ClusterProblem, ownProblem, RANKS, refusals } from "./cluster-problems.js";
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
  const apart = barred(members, pairs, missing, isListed(listing));
  const twice = twins(
    members,
    pairs,
    missing.filter((pair) => !apart.told.has(pair)),
    isListed(listing),
  );
  const toldBefore = new Set([...apart.told, ...twice.told]);
  const half = pairs.filter(({ link }) => link === "one-sided");
  const open = [...missing, ...half].filter((pair) => !toldBefore.has(pair));
  const never = neverConnects(members);
  const ofNodes = [...(never ? [never] : []), ...problemsOfNodes(members)];
  const parted = overlaps(ofNodes, members, pairs, open, isListed(listing));
  const left = open.filter((pair) => !parted.told.has(pair));
  const problems = [
    ...noAnswer(members, fault),
    ...unread(members, fault === undefined ? listing.unread : undefined),
    ...(isListed(listing) ? nobody(members, listing) : []),
    // Without effects it is a note.
    ...parted.problems.filter((problem) => problem !== never),
    ...refusals(members),
    ...apart.problems,
    ...twice.problems,
    ...unlinked(
      members,
      pairs,
      left.filter(({ link }) => link === "missing"),
      isListed(listing),
    ),
    ...left.filter(({ link }) => link === "one-sided").map(oneSided),
  ].sort((a, b) => rank(a) - rank(b));
  const expected = pairs.filter((pair) => pair.link !== "unknown" && (isExpected(pair) || pair.link !== "missing"));
  const found = expected.filter(({ link }) => link === "linked").length;
  const isAsked = members.some((member) => member.state);
  const links = isAsked ? { found, expected: expected.length } : undefined;
  const isRefused = problems.some(({ code }) => code === "RELEASES_REFUSE");
  const harmless = never && parted.problems.includes(never) ? never : undefined;
  const notes = notesOf(members, fault === undefined ? listing.unread : undefined, harmless, isRefused);
  const verdict = { isWell: problems.length === 0, links, problems, notes, pairs };
  return { summary: summaryOf(members, verdict, fault), ...verdict };
}

const isListed = ({ fault, unread: hides }: ClusterListing) => fault === undefined && hides === undefined;

/** Its VM answers on this machine, and its entry is critical: elsewhere it is not found. */
function isKeptOut({ isHere, answer, health, withdrawn }: Member): boolean {
  return isHere === true && answer !== undefined && health === "critical" && !withdrawn;
}

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
    ...Array.from(grouped(found.filter(isKeptOut), absenceOf).values(), foundHereAlone),
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

/** `5 nodes, 9 of 10 links; node_d@… does not see node_a@…` */
function summaryOf(
  members: readonly Member[],
  { links, problems, notes, pairs }: Pick<ClusterVerdict, "links" | "problems" | "notes" | "pairs">,
  fault: ListingFault | undefined,
): string {
  const count = countOf(members.length);
  const present = members.filter(({ answer }) => answer).length;
  const ended = members.filter((member) => hasEnded(member, members)).map(({ node }) => node);
  const gone = ended.length === 0 ? "" : ` (${listed(ended, 3)} ${ended.length === 1 ? "has" : "have"} ended)`;
  const there = present === members.length ? "" : `, ${present} of them there${gone}`;
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
  const byHand = risk ? undefined : unlinkedByHand(members, pairs);
  const calm = `nothing is wrong${shown && ` with the nodes${shown}`}${byHand ? `, if programs make the links of ${byHand}` : ""}`;
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
