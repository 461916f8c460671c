import { type Probe, probeReason } from "../../distribution/core/words.js";
import { grouped } from "../../grouped.js";
import { isLongName, neverConnect } from "../../names/node-name.js";
import { familyOf, hostPort, isLoopback } from "../../net/ip.js";
import { listed } from "../../text.js";
import { addressSeenBy, linkedWith, linkedWithAny, linkedWords, namesOf } from "./cluster-absent.js";
import { isSilent, isUnanswered, type Member, type MemberPlace } from "./cluster-links.js";
import { type ClusterProblem, onMachine } from "./cluster-problems.js";
import { RULES } from "./peer-silence.js";

/** Nodes that are found and answer at no place: those of a machine at which nothing answers together, the others one by one. */
export function notThere(silent: readonly Member[], members: readonly Member[]): ClusterProblem[] {
  const groups = grouped(silent, (member) => deadAddresses(member, members)?.join(" ") ?? member.node);
  const problems = Array.from(groups.values(), (nodes) => ({ nodes, addresses: deadAddresses(nodes[0], members) }));
  const dead = problems.flatMap(({ nodes, addresses }) => (addresses ? [{ nodes, addresses }] : []));
  const others = members.filter(({ isHere, places }) => !isHere && places.length > 0);
  const isCutOff = dead.length > 1 && dead.flatMap(({ nodes }) => nodes).length === others.length;
  if (isCutOff) return [cutOff(dead, members)];
  return problems.map(({ nodes, addresses }) =>
    addresses ? deadMachine({ nodes, addresses }, members) : unanswered(nodes[0], members),
  );
}

/** A machine at which nothing answers. */
interface DeadMachine {
  readonly nodes: readonly [Member, ...Member[]];
  readonly addresses: readonly string[];
}

/**
 * The addresses of a node where nothing answers, neither there nor at the EPMD port. Undefined: something does, that is not
 * known, or others see the node at another address, so that the one that is published is wrong.
 */
function deadAddresses(member: Member, members: readonly Member[]): string[] | undefined {
  const dead = member.places.filter((place) => isUnanswered(place) && place.epmdPort?.answers === false);
  // This machine may have no way to a family.
  const others = member.places.filter((place) => !dead.includes(place) && place.probe.result !== "unreachable");
  const addresses = Array.from(new Set(dead.map(({ endpoint }) => endpoint.address))).sort();
  const seen = addressSeenBy(member, linkedWith(member, members));
  const isElsewhere = seen !== undefined && !member.places.some(({ endpoint }) => endpoint.address === seen);
  return dead.length === 0 || others.length > 0 || isElsewhere ? undefined : addresses;
}

function deadMachine(dead: DeadMachine, members: readonly Member[]): ClusterProblem {
  const { nodes, addresses } = dead;
  const [first] = nodes;
  const machine = first.machine === undefined ? "" : ` (${first.machine})`;
  const seen = `${namesOf(nodes)} ${nodes.length === 1 ? "is" : "are"} not reached${inCatalogue(first)}: nothing at ${addresses.join(", ")} answers (${triedPorts(nodes)})`;
  const problem = { code: "NOT_THERE", nodes: nodes.map(({ node }) => node) } as const;
  if (isReachedByConsul(dead)) {
    return {
      ...problem,
      text: `${seen}, and Consul's servers reach the agent of that machine${machine}: ${NO_WAY}${linkedWords(nodes, members)}`,
      advice: `${wayAdvice(addresses)}; if both are right, see that the machine runs, and compare its address with ${addresses.length === 1 ? "that" : "those"} (--advertise-address)`,
    };
  }
  const still = stillListed(nodes, members);
  const after =
    still === ""
      ? `if it does, compare its address with ${addresses.length === 1 ? "that" : "those"}, and`
      : "dead links are listed for net_ticktime (75 s at most, if it is not set): where they stay longer,";
  return {
    ...problem,
    text: `${seen}, so the machine${machine} is down or cut off${still}`,
    advice: `see that the machine runs, and that it is reached from here: ping ${addresses[0]}; ${after} look for a firewall that drops packets of this machine, there or here (nft list ruleset on both, a security group)`,
  };
}

/** No other machine answers: more likely than that all of them are down is that this one is cut off. */
function cutOff(dead: readonly DeadMachine[], members: readonly Member[]): ClusterProblem {
  const nodes = dead.flatMap((machine) => machine.nodes);
  const addresses = dead.flatMap((machine) => machine.addresses);
  const [address] = addresses;
  const seen = `${namesOf(nodes)} are not reached: none of the ${dead.length} other machines answers (${listed(addresses)}; ${triedPorts(nodes)})`;
  const problem = { code: "NOT_THERE", nodes: nodes.map(({ node }) => node) } as const;
  if (dead.every(isReachedByConsul)) {
    return {
      ...problem,
      text: `${seen}, and Consul's servers reach their agents: ${NO_WAY}${linkedWords(nodes, members)}`,
      advice: `${wayAdvice(addresses)}; if both are right, run srv-epmd doctor --cluster on one of the others`,
    };
  }
  return {
    ...problem,
    text: `${seen}, so this machine is cut off from them, or they are all down${stillListed(nodes, members)}`,
    advice: `see that this machine has its network (ping ${address}; ip route get ${address}) and no firewall that drops what it sends (nft list ruleset); if it has, run srv-epmd doctor --cluster on one of the others`,
  };
}

/** Serf finds a machine that has gone down within half a minute. */
const NO_WAY =
  "unless it has just gone down, which Consul notices within half a minute, the way from this machine is blocked (a route, a firewall)";

const BLOCKED =
  "the way to its machine is blocked, or it has no time to answer (Consul's servers reach the agent of that machine, unless it has gone down within the last half minute)";

function wayAdvice([address = ""]: readonly string[]): string {
  return `see the route from here (ip route get ${address}), and look for a firewall that drops packets of this machine: ${RULES}`;
}

function isReachedByConsul({ nodes }: DeadMachine): boolean {
  return nodes.some(isPassed);
}

/** Consul's servers reach the agent that has its entry. */
function isPassed({ health }: Member): boolean {
  return health === "passing" || health === "warning";
}

/** What others list may be a link of before: a VM notices that it is dead after net_ticktime. */
function stillListed(nodes: readonly Member[], members: readonly Member[]): string {
  const { linked, which } = linkedWithAny(nodes, members);
  if (linked.length === 0) return "";
  return `; ${namesOf(linked)} still ${linked.length === 1 ? "lists" : "list"} ${which}, and such a link may be dead`;
}

/** `TCP ports 4369, 20001` */
function triedPorts(nodes: readonly Member[]): string {
  const places = nodes.flatMap((member) => member.places);
  const ports = new Set(
    places.flatMap(({ endpoint, epmdPort }) => [endpoint.port, ...(epmdPort ? [epmdPort.port] : [])]),
  );
  return `TCP ports ${listed(Array.from(ports, String).sort((a, b) => Number(a) - Number(b)))}`;
}

function unanswered(member: Member, members: readonly Member[]): ClusterProblem {
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
    text: `${node} is not reached${inCatalogue(member)}: ${why}${linkedWords([member], members)}`,
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
  // Old links of this machine do not show whether a new one comes about from here.
  const elsewhere = linked.filter(({ isHere }) => !isHere);
  const dialled = dialledAt(member, elsewhere);
  if (hangs(member) || elsewhere.length === 0) return unreached(member);
  if (dialled?.isPublished) {
    const refused = member.places.some(({ probe }) => probe.result === "refused");
    return `${namesOf(dialled.by)} dialled it at ${dialled.place}, so that place is right: if it is the same at a second look, look for a firewall rule that ${refused ? "refuses" : "drops"} packets of this machine, there or here (nft list ruleset on both, a security group)`;
  }
  if (dialled) {
    return `${namesOf(dialled.by)} dialled it at ${dialled.place}, so the place that is published is wrong: run srv-epmd doctor ${onMachine(member)}; published-endpoint and port-mapping say what to publish`;
  }
  const seen = addressSeenBy(member, elsewhere);
  const published = member.places.map(({ endpoint }) => endpoint.address);
  const ofFamily = published.filter((address) => familyOf(address) === familyOf(seen ?? ""));
  if (seen !== undefined && ofFamily.length > 0 && !ofFamily.includes(seen)) {
    return `${namesOf(elsewhere)} ${elsewhere.length === 1 ? "sees" : "see"} it at ${seen}, and it is published at ${listed(ofFamily)}: run srv-epmd doctor ${onMachine(member)}; published-endpoint and port-mapping say what to publish (--advertise-address)`;
  }
  return `run srv-epmd doctor --all ${onMachine(member)}: published-endpoint says whether the published place leads to it; if it does, a firewall there or here keeps this machine out`;
}

/** It takes connections, and says nothing. */
function hangs({ places }: Member): boolean {
  return places.some(({ probe }) => isSilent(probe, "handshake"));
}

/** A place at which another program answers, or nothing does, tells more of the cause than one that refuses. */
function unreached(member: Member): string {
  const isThere = (result: Probe["result"]) => member.places.some(({ probe }) => probe.result === result);
  const look = `run srv-epmd doctor ${onMachine(member)}`;
  if (isThere("not-erlang") || isThere("closed"))
    return `another program, or a proxy that reaches no VM, has that port: ${look}; vm-listens has the port of the VM, registration the one that is published`;
  if (hangs(member))
    return `its machine answers and its VM does not: ${look}; vm-state says whether the VM is stopped or hangs`;
  const [barred] = member.places.filter(({ epmdPort }) => epmdPort?.answers);
  if (barred?.epmdPort) {
    const { address, port } = barred.endpoint;
    return `its machine answers at ${hostPort(address, barred.epmdPort.port)}: look for a firewall that drops TCP port ${port} for this machine, there or here (nft list ruleset on both, a security group); if there is none, ${look} --all: published-endpoint says whether the published place leads to it`;
  }
  if (member.places.some(({ probe }) => isSilent(probe, "connect")) || isThere("unreachable"))
    return `${isPassed(member) ? BLOCKED : "its machine is down or has no time to answer, or the way to it is blocked"}: ${look}; if vm-listens and published-endpoint are ok there, look for a firewall between this machine and that place`;
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
