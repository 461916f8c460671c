import { grouped } from "../../grouped.js";
import { neverConnect } from "../../names/node-name.js";
import { isLoopback } from "../../net/ip.js";
import { listed } from "../../text.js";
import { type Member, needsLinks } from "./cluster-links.js";
import { type ClusterProblem, onMachine } from "./cluster-problems.js";
import { obstacleAdvice } from "./obstacles.js";

/** Why a catalogue, or the srv-epmd here, did not tell its nodes. */
export interface ListingFault {
  readonly text: string;
  /** For the first line: `Consul at 127.0.0.1:8500 does not answer (refused)` */
  readonly brief: string;
  /** Of the error. */
  readonly code: string;
  /** What to do first, where it is known. */
  readonly advice?: string | undefined;
}

/** Catalogues and name servers that do not answer: one problem for all nodes of which nothing is known because of it. */
export function noAnswer(members: readonly Member[], fault: ListingFault | undefined): ClusterProblem[] {
  const unknown = members.filter(({ unavailable, isUnread }) =>
    // With a token that may read it a catalogue answers in place of name servers.
    isUnread ? fault !== undefined : unavailable !== undefined,
  );
  // Where the agent does not answer, its DNS does not either.
  const byCode = grouped(unknown, ({ unavailable = "" }) => (fault === undefined ? unavailable : ""));
  const advice = fault?.advice ?? "run srv-epmd doctor here: it says what does not answer, and what to do";
  const problem = (reasons: readonly (string | undefined)[], hidden: readonly Member[]): ClusterProblem => {
    const nodes = hidden.map(({ node }) => node);
    const why = reasons.filter((reason) => reason !== undefined).join("; ");
    const text = nodes.length === 0 ? why : `${why}; ${countOf(nodes)} could not be looked up (${listed(nodes, 3)})`;
    return { code: "NO_ANSWER", nodes, text, advice };
  };
  if (fault !== undefined && byCode.size === 0) return [problem([fault.text], [])];
  return Array.from(byCode.values(), (hidden) => problem([fault?.text, hidden[0].missing], hidden));
}

const countOf = (nodes: readonly string[]) => (nodes.length === 1 ? "1 node" : `${nodes.length} nodes`);

/** Services of which Consul does not show all nodes. */
export interface UnreadServices {
  /** Of the cause. */
  readonly code: string;
  readonly services: readonly string[];
  readonly why: string;
  readonly advice: string;
  /** Of one of the services that were asked for it shows none. */
  readonly isBlank: boolean;
}

/** Which nodes there are is not known: Consul shows none, or not those that are known otherwise. */
export function unread(members: readonly Member[], listing: UnreadServices | undefined): ClusterProblem[] {
  const hidden = members.filter(({ isUnread }) => isUnread);
  if (!listing || (hidden.length === 0 && !listing.isBlank)) return [];
  const { services, why, advice } = listing;
  const nodes = hidden.map(({ node }) => node);
  const linked = members.filter((member) => nodes.some((node) => member.linked.has(node)));
  const others =
    linked.length === 0 ? "" : `, with which ${namesOf(linked)} ${linked.length === 1 ? "is" : "are"} linked`;
  const unfound = nodes.length === 0 ? "" : `; ${countOf(nodes)} could not be looked up (${listed(nodes, 3)}${others})`;
  return [
    { code: "UNREAD", nodes, text: `${why}: which nodes ${listed(services)} has is not known${unfound}`, advice },
  ];
}

/** That there may be more nodes than Consul shows. */
export function mayHideMore({ services, why, advice }: UnreadServices): ClusterProblem {
  return { code: "UNREAD", nodes: [], text: `${why}: Consul may have more nodes of ${listed(services)}`, advice };
}

/** A node of the cluster that its catalogue does not have: others are linked with it, or it is registered here. */
export function notListed(member: Member, catalogue: string, members: readonly Member[]): ClusterProblem {
  const { node, missing, unavailable, answer } = member;
  const linked = linkedWith(member, members);
  const found = missing === undefined || unavailable !== undefined ? "" : ": look-ups do not find it";
  if (linked.length === 0) {
    return {
      ...{ code: "NOT_LISTED", nodes: [node] },
      text: `${node} matches, is registered with the srv-epmd here, and is not in ${catalogue}${found}`,
      advice: "run srv-epmd doctor here: registration says why it is not published",
    };
  }
  // Of one that answers each link that is missing is told by itself.
  const missed = answer ? [] : missedBy(member, members);
  const not = missed.length === 0 ? "" : `, not with ${namesOf(missed)}`;
  return {
    ...{ code: "NOT_LISTED", nodes: [node] },
    text: `${node} matches, is linked with ${namesOf(linked)}${not}, and is not in ${catalogue}${found}`,
    advice: `run srv-epmd doctor --all ${onMachine({ machine: addressSeenBy(member, linked) })}: registration says whether its srv-epmd publishes it, domain and serve-options under which service, consul-agent and consul-leader in which Consul`,
  };
}

/** The address from which a node is linked with others, for people: `10.0.0.2` */
export function addressSeenBy({ node }: Member, linked: readonly Member[]): string | undefined {
  const ends = linked.flatMap(({ state }) => state?.ends.filter((end) => end.node === node) ?? []);
  // Behind the gateway and in a mesh a loopback address leads to other machines.
  return ends.find(({ address }) => !isLoopback(address))?.address;
}

/** A node whose VM has ended a moment ago: it is not there, and nobody is linked with it. */
export function hasEnded(member: Member, members: readonly Member[]): boolean {
  return member.withdrawn === true && !member.answer && linkedWith(member, members).length === 0;
}

/** What keeps a node out of look-ups together with others of its machine, as the key of that; else its name. */
export function absenceOf({ node, health, obstacle, withdrawn, machine }: Member): string {
  if (machine === undefined || withdrawn) return node;
  if (obstacle) return obstacle.entry === undefined ? `${machine} ${obstacle.words}` : node;
  return health === "critical" ? machine : node;
}

/** Nodes that no look-up finds, of one cause. */
export function notFound(absent: readonly [Member, ...Member[]], members: readonly Member[]): ClusterProblem {
  const [first] = absent;
  const isOne = absent.length === 1;
  const linked = linkedWords(absent, members);
  // The machine may be down: a VM notices after net_ticktime that a link is dead.
  const dead =
    first.obstacle?.kind === "agent" && linked !== ""
      ? " (such a link may be dead, for 75 s at most if net_ticktime is not set)"
      : "";
  const problem = (why: string, advice: string): ClusterProblem => ({
    ...{ code: "NOT_FOUND", nodes: absent.map(({ node }) => node) },
    text: `${namesOf(absent)} ${isOne ? "is" : "are"} not found: ${why}${linked}${dead}`,
    advice,
  });
  const { node, health, obstacle, withdrawn, missing = "" } = first;
  const where = onMachine({ machine: first.machine });
  if (obstacle) {
    return problem(
      `${obstacle.words}, so look-ups leave ${isOne ? "it" : "them"} out`,
      obstacleAdvice(obstacle, where),
    );
  }
  if (withdrawn) {
    return problem(
      "its VM has left its srv-epmd, which has withdrawn it",
      `a VM that loses its EPMD registers again within seconds: if it does not, run srv-epmd doctor ${where}; vm-listens and registration say why`,
    );
  }
  if (health === "critical") {
    return problem(
      notRefreshed(absent),
      `${isOne ? "its VM or its" : "the VMs or their"} srv-epmd ${isOne ? "has" : "have"} ended, or cannot reach the agent: run srv-epmd doctor ${where}; vm-listens says ${isOne ? "whether the VM runs" : "which VMs run"}, registration and consul-agent why nobody refreshes the ${isOne ? "check" : "checks"}`,
    );
  }
  return problem(missing, `run srv-epmd doctor ${node} here: peer-records says why look-ups do not find it`);
}

/** Of nodes whose own checks are critical. */
function notRefreshed({ length }: readonly Member[]): string {
  return length === 1
    ? "its TTL check in Consul is critical: no srv-epmd refreshes it"
    : "their TTL checks in Consul are critical: no srv-epmd refreshes them";
}

/** Nodes of this machine that one check keeps out of look-ups: they are found here without the catalogue. */
export function foundHereAlone(nodes: readonly [Member, ...Member[]]): ClusterProblem {
  const [{ obstacle, machine }] = nodes;
  const where = onMachine({ machine });
  const [are, them] = nodes.length === 1 ? ["is", "it"] : ["are", "them"];
  const why = obstacle?.words ?? notRefreshed(nodes);
  return {
    ...{ code: "NOT_FOUND", nodes: nodes.map(({ node }) => node) },
    text: `${namesOf(nodes)} ${are} found on this machine alone: ${why}, so look-ups elsewhere leave ${them} out`,
    advice: obstacle
      ? obstacleAdvice(obstacle, where)
      : `run srv-epmd doctor ${where}: registration and consul-agent say why nobody refreshes the check`,
  };
}

export function linkedWith({ node }: Member, members: readonly Member[]): Member[] {
  return members.filter((member) => member.linked.has(node));
}

/** Who is linked with some of these nodes, and the word for those: `it`, `them`, `some of them`. */
export function linkedWithAny(nodes: readonly Member[], members: readonly Member[]) {
  const linked = members.filter((member) => nodes.some(({ node }) => member.linked.has(node)));
  const isWhole = linked.every((member) => nodes.every(({ node }) => member.linked.has(node)));
  return { linked, which: nodes.length === 1 ? "it" : isWhole ? "them" : "some of them" };
}

/** `; a@h, b@h are linked with it, c@h is not` */
export function linkedWords(absent: readonly Member[], members: readonly Member[]): string {
  const { linked, which } = linkedWithAny(absent, members);
  if (linked.length === 0) return "";
  const are = (some: readonly Member[]) => `${namesOf(some)} ${some.length === 1 ? "is" : "are"}`;
  const missed = new Set(absent.flatMap((one) => missedBy(one, members)).filter((member) => !linked.includes(member)));
  return `; ${are(linked)} linked with ${which}${missed.size === 0 ? "" : `, ${are(Array.from(missed))} not`}`;
}

/** Nodes that should be linked with one that does not answer here, and are not: it is a visible node to others. */
function missedBy({ node }: Member, members: readonly Member[]): Member[] {
  if (!members.some(({ state }) => state?.visible.includes(node))) return [];
  const asked = members.filter((other) => other.state && needsLinks(other) && !neverConnect(node, other.node));
  return asked.filter(({ linked }) => !linked.has(node));
}

export const namesOf = (members: readonly Member[]) => listed(members.map(({ node }) => node));
