import { type Probe, probeReason } from "../../distribution/core/words.js";
import { grouped } from "../../grouped.js";
import { isLongName, neverConnect } from "../../names/node-name.js";
import { familyOf, hostPort, isLoopback } from "../../net/ip.js";
import { listed } from "../../text.js";
import { type Member, type MemberPlace, needsLinks } from "./cluster-links.js";
import { type ClusterProblem, onMachine } from "./cluster-problems.js";
import { obstacleAdvice } from "./obstacles.js";

/** Why a catalogue, or the srv-epmd here, did not tell its nodes. */
export interface ListingFault {
  readonly text: string;
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

/** A node of the cluster that its catalogue does not have. */
export function notListed(member: Member, catalogue: string, members: readonly Member[]): ClusterProblem {
  const { node, missing, unavailable, answer } = member;
  const linked = linkedWith(member, members);
  const found = missing === undefined || unavailable !== undefined ? "" : ": look-ups do not find it";
  // Of one that answers each link that is missing is told by itself.
  const missed = answer ? [] : missedBy(member, members);
  const not = missed.length === 0 ? "" : `, not with ${namesOf(missed)}`;
  return {
    ...{ code: "NOT_LISTED", nodes: [node] },
    text: `${node} matches, is linked with ${namesOf(linked)}${not}, and is not in ${catalogue}${found}`,
    advice: `run srv-epmd doctor ${onMachine({ machine: addressSeenBy(member, linked) })}: registration says whether its srv-epmd publishes it, domain and serve-options under which service, consul-agent and consul-leader in which Consul`,
  };
}

/** The address from which a node is linked with others, for people: `10.0.0.2` */
function addressSeenBy({ node }: Member, linked: readonly Member[]): string | undefined {
  const ends = linked.flatMap(({ state }) => state?.ends.filter((end) => end.node === node) ?? []);
  // Behind the gateway and in a mesh a loopback address leads to other machines.
  return ends.find(({ address }) => !isLoopback(address))?.address;
}

/** A node whose VM has ended a moment ago: it is not there, and nobody is linked with it. */
export function hasEnded(member: Member, members: readonly Member[]): boolean {
  return member.withdrawn === true && !member.answer && linkedWith(member, members).length === 0;
}

/** A node that no look-up finds. @param reason as the look-up says it */
export function notFound(member: Member, reason: string, members: readonly Member[]): ClusterProblem {
  const { node, health, obstacle, withdrawn } = member;
  const problem = (why: string, advice: string): ClusterProblem => ({
    ...{ code: "NOT_FOUND", nodes: [node] },
    text: `${node} is not found: ${why}${linkedWords(member, members)}`,
    advice,
  });
  if (obstacle)
    return problem(`${obstacle.words}, so look-ups leave it out`, obstacleAdvice(obstacle, onMachine(member)));
  if (withdrawn) {
    return problem(
      "its VM has left its srv-epmd, which has withdrawn it",
      `a VM that loses its EPMD registers again within seconds: if it does not, run srv-epmd doctor ${onMachine(member)}; vm-listens and registration say why`,
    );
  }
  if (health === "critical") {
    return problem(
      "its TTL check in Consul is critical: no srv-epmd refreshes it",
      `its VM or its srv-epmd has ended, or cannot reach the agent: run srv-epmd doctor ${onMachine(member)}; vm-listens says whether the VM runs, registration and consul-agent why nobody refreshes the check`,
    );
  }
  return problem(reason, `run srv-epmd doctor ${node} here: peer-records says why look-ups do not find it`);
}

/** A node that is found and answers at no place. */
export function notThere(member: Member, members: readonly Member[]): ClusterProblem {
  const { node, places } = member;
  const other = places.find(({ probe }) => probe.result === "other-node");
  if (other?.probe.result === "other-node") {
    const text = `${node} is published at ${hostPort(other.endpoint)}, and the VM there is ${other.probe.name}`;
    return { code: "OTHER_NAME", nodes: [node], text, advice: renamed(member, other.probe.name) };
  }
  const unnamed = places.find(({ probe }) => probe.result === "erlang" || probe.result === "tls");
  if (unnamed) {
    const text = `${node} is not seen behind ${hostPort(unnamed.endpoint)}: ${probeReason(unnamed.probe)}`;
    return { code: "NOT_ASKED", nodes: [node], text, advice: unnamedAdvice(unnamed.probe, member) };
  }
  const why = places.map(({ endpoint, probe }) => `${probeReason(probe)} at ${hostPort(endpoint)}`).join("; ");
  const linked = linkedWith(member, members);
  return {
    ...{ code: "NOT_THERE", nodes: [node] },
    text: `${node} is not reached${inCatalogue(member)}: ${why}${linkedWords(member, members)}`,
    advice: linked.length > 0 ? unreachedFromHere(member, linked) : unreached(member),
  };
}

/** What to do about a VM of another name than the published one. */
function renamed({ node: published, machine }: Member, own: string): string {
  const vm = machine === undefined ? "that VM" : `the VM on ${machine}`;
  const flag = isLongName(published) ? "-name" : "-sname";
  return neverConnect(published, own)
    ? `start ${vm} with ${flag} ${published}: nodes with short names (-sname) and long ones (-name) never connect, under whatever name it is published`
    : `a VM connects to a node of the very name that it asked for: start ${vm} with ${flag} ${published}, or publish it under its own (--node-host)`;
}

function inCatalogue({ health, obstacle }: Member): string {
  if (health === undefined || health === "passing") return "";
  return ` (${health} in the catalogue${obstacle ? `: ${obstacle.words}` : ""})`;
}

function linkedWith({ node }: Member, members: readonly Member[]): Member[] {
  return members.filter((member) => member.linked.has(node));
}

/** `; a@h, b@h are linked with it, c@h is not` */
function linkedWords(member: Member, members: readonly Member[]): string {
  const linked = linkedWith(member, members);
  if (linked.length === 0) return "";
  const are = (some: readonly Member[]) => `${namesOf(some)} ${some.length === 1 ? "is" : "are"}`;
  const missed = missedBy(member, members);
  return `; ${are(linked)} linked with it${missed.length === 0 ? "" : `, ${are(missed)} not`}`;
}

/** Nodes that should be linked with one that does not answer here, and are not: it is a visible node to others. */
function missedBy({ node }: Member, members: readonly Member[]): Member[] {
  if (!members.some(({ state }) => state?.visible.includes(node))) return [];
  const asked = members.filter((other) => other.state && needsLinks(other) && !neverConnect(node, other.node));
  return asked.filter(({ linked }) => !linked.has(node));
}

const namesOf = (members: readonly Member[]) => listed(members.map(({ node }) => node));

/**
 * The place at which others have dialled a node. The other end of a link is either that, or the port of the moment from
 * which the node has dialled them: then no two of them have the same, and it is not a place that is published.
 */
function dialledAt({ node, places }: Member, linked: readonly Member[]) {
  const byPlace = new Map<string, Member[]>();
  for (const member of linked) {
    for (const end of member.state?.ends ?? []) {
      // Behind the gateway and in a mesh a loopback address leads to other machines.
      if (end.node !== node || isLoopback(end.address)) continue;
      byPlace.set(hostPort(end), [...(byPlace.get(hostPort(end)) ?? []), member]);
    }
  }
  const published = places.map(({ endpoint }) => hostPort(endpoint));
  const all = Array.from(byPlace, ([place, by]) => ({ place, by, isPublished: published.includes(place) }));
  return all.find(({ isPublished }) => isPublished) ?? all.find(({ by }) => by.length > 1);
}

/** A node that others are linked with, and that does not answer to this machine. */
function unreachedFromHere(member: Member, linked: readonly Member[]): string {
  const dialled = dialledAt(member, linked);
  if (isSilent(member, "handshake")) return unreached(member);
  if (dialled?.isPublished) {
    const refused = member.places.some(({ probe }) => probe.result === "refused");
    return `${namesOf(dialled.by)} dialled it at ${dialled.place}, so that place is right: if it is the same at a second look, look for a firewall rule that ${refused ? "refuses" : "drops"} packets of this machine there (nft list ruleset, a security group)`;
  }
  if (dialled) {
    return `${namesOf(dialled.by)} dialled it at ${dialled.place}, so the place that is published is wrong: run srv-epmd doctor ${onMachine(member)}; published-endpoint and port-mapping say what to publish`;
  }
  const seen = addressSeenBy(member, linked);
  const published = member.places.map(({ endpoint }) => endpoint.address);
  const ofFamily = published.filter((address) => familyOf(address) === familyOf(seen ?? ""));
  if (seen !== undefined && ofFamily.length > 0 && !ofFamily.includes(seen)) {
    return `${namesOf(linked)} ${linked.length === 1 ? "sees" : "see"} it at ${seen}, and it is published at ${listed(ofFamily)}: run srv-epmd doctor ${onMachine(member)}; published-endpoint and port-mapping say what to publish (--advertise-address)`;
  }
  return `run srv-epmd doctor ${onMachine(member)}: published-endpoint says whether the published place leads to it; if it does, a firewall keeps this machine out`;
}

function isSilent({ places }: Member, stage: "connect" | "handshake"): boolean {
  return places.some(({ probe }) => probe.result === "silent" && probe.stage === stage);
}

/** A place at which another program answers, or nothing does, tells more of the cause than one that refuses. */
function unreached(member: Member): string {
  const isThere = (result: Probe["result"]) => member.places.some(({ probe }) => probe.result === result);
  const look = `run srv-epmd doctor ${onMachine(member)}`;
  if (isThere("not-erlang") || isThere("closed"))
    return `another program, or a proxy that reaches no VM, has that port: ${look}; vm-listens has the port of the VM, registration the one that is published`;
  if (isSilent(member, "handshake"))
    return `its machine answers and its VM does not: ${look}; vm-state says whether the VM is stopped or hangs`;
  if (isSilent(member, "connect") || isThere("unreachable"))
    return `its machine is down or has no time to answer, or the way to it is blocked: ${look}; if vm-listens and published-endpoint are ok there, look for a firewall between this machine and that place`;
  if (isThere("connect"))
    return `${look}: connect-relay has the callers that were not let in, connect-certificate its certificate`;
  return `its VM has ended, or its port is published wrongly: ${look}; vm-listens has the port of the VM, registration the one that is published`;
}

function unnamedAdvice(probe: MemberPlace["probe"], member: Member): string {
  if (probe.result === "tls") {
    return `a probe shows no certificate: nodes() in its own shell has its links; vm-state of srv-epmd doctor ${onMachine(member)} says whether it runs`;
  }
  return "net_kernel:allowed/0 in its own shell lists the nodes that it lets in, and nodes() has its links";
}
