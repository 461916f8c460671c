import { setTimeout as sleep } from "node:timers/promises";
import type { NodeLinks } from "../admin/core/status.js";
import { hostPort } from "../net/ip.js";
import type { RunningVm } from "../os/vm-process.js";
import { type LinksKnown, linksWith, type SeenConnection, type VmWord } from "./core/links-with.js";
import type { Examination } from "./examination.js";
import type { AskedNode } from "./examined-node.js";
import { isOfNode, placesOf } from "./known-of-node.js";
import { type Link, linksHere, unregisteredVms } from "./links.js";
import { daemonStatus } from "./local-epmd.js";
import { type LocalVm, namesOf } from "./local-vms.js";

/** A daemon asks its VMs every 3 s at most. Milliseconds. */
const PATIENCE = 4_000;
const PAUSE = 400;
/** A VM that was answered is linked so soon, or its connection is seen. Milliseconds. */
const LINKS_WITHIN = 1_000;

/** What is known of links between the VMs here and the node asked for. */
export async function linksKnown(asked: AskedNode, examination: Examination): Promise<LinksKnown> {
  const [vms, unregistered, probes, status] = await Promise.all([
    examination.peersOfAsked(),
    unregisteredPeers(asked, examination),
    examination.probes(),
    examination.daemon(),
  ]);
  const names = [...namesOf(vms), ...unregistered.map(({ aliveName }) => aliveName)];
  const all = await connectionsWith(asked, names, examination);
  const others = probes.flatMap(({ probe }) => (probe.result === "other-node" ? [probe.name] : []));
  const isPlaceKnown = probes.some(({ probe }) => ["node", "erlang", "tls"].includes(probe.result));
  const lists = probes.flatMap(({ probe }) => {
    const state = probe.result === "node" && probe.joined?.cookie === "same" ? probe.joined.state : undefined;
    return state ? [...state.visible, ...state.hidden] : [];
  });
  const wasJoined = probes.some(({ probe }) => probe.result === "node" && probe.joined?.cookie === "same");
  const wordOf = ({ node, probe }: LocalVm, told: readonly NodeLinks[]): VmWord => {
    const said = told.find(({ name }) => name === node.aliveName);
    const byItself = said?.state === "told" ? said.linked.includes(asked.full) : undefined;
    const byNode = wasJoined && "name" in probe ? lists.includes(probe.name) : undefined;
    return { aliveName: node.aliveName, isLinked: byNode ?? byItself };
  };
  // No srv-epmd asks such a VM for its links.
  const unasked = unregistered.map(({ aliveName, host = "" }): VmWord => {
    const isLinked = wasJoined ? lists.some((name) => name.startsWith(`${aliveName}@${host}`)) : undefined;
    return { aliveName, isLinked };
  });
  const known = (told: readonly NodeLinks[]) => {
    // The VM there has another name than the one asked for, and a VM here is linked with it under that.
    const isOthers = ({ aliveName }: SeenConnection) =>
      told.some(
        (one) => one.name === aliveName && one.state === "told" && others.some((name) => one.linked.includes(name)),
      );
    const connections = all.filter((connection) => !isOthers(connection));
    return linksWith({ vms: [...vms.map((vm) => wordOf(vm, told)), ...unasked], connections, isPlaceKnown });
  };
  const told = status?.links ?? [];
  const first = known(told);
  // What a VM said some seconds ago may be older than a connection that is seen now, or than its look-up.
  const oldest = Math.min(...told.flatMap((links) => (links.state === "told" ? [Date.parse(links.at)] : [])));
  const isAskedSince = status?.lookUps?.some((one) => {
    return (
      one.here && one.outcome === "found" && isOfNode(one, asked) && one.at + one.elapsedMs + LINKS_WITHIN > oldest
    );
  });
  // A link without a connection has been cut since, or goes through the gateway's relay; a connection may be a new link.
  const isSeen = first.linked.some((name) => all.some(({ aliveName }) => aliveName === name));
  const isNewer = all.some(({ aliveName }) => aliveName === undefined || !first.linked.includes(aliveName));
  const isDoubtful = isNewer || (first.state === "linked" ? !isSeen : isAskedSince === true);
  const isOld = isDoubtful && !isNew(told, vms, examination);
  return isOld ? known(await freshlyTold(vms, examination)) : first;
}

/** The node itself may be one of those that run here. */
async function unregisteredPeers({ name, host }: AskedNode, examination: Examination): Promise<RunningVm[]> {
  const running = await unregisteredVms(examination);
  return running.filter((vm) => vm.aliveName !== name.aliveName || (vm.host !== undefined && vm.host !== host));
}

/** Each VM was asked after the connections were looked at. */
function isNew(told: readonly NodeLinks[], vms: readonly LocalVm[], { startedAt }: Examination): boolean {
  return vms.every(({ node }) => {
    const links = told.find(({ name }) => name === node.aliveName);
    return links !== undefined && (links.state !== "told" || Date.parse(links.at) >= startedAt);
  });
}

/** What the VMs here say of their links now; after PATIENCE what they said last. */
async function freshlyTold(vms: readonly LocalVm[], examination: Examination): Promise<readonly NodeLinks[]> {
  const end = performance.now() + PATIENCE;
  for (;;) {
    const links = (await daemonStatus(examination.config))?.links;
    if (links === undefined || isNew(links, vms, examination) || performance.now() > end) return links ?? [];
    await sleep(PAUSE);
  }
}

/**
 * Connections of the VMs here with the places where the node is, or was found before, and from its machine: where it was
 * before only while it is not found anywhere.
 */
async function connectionsWith(
  asked: AskedNode,
  vms: readonly string[],
  examination: Examination,
): Promise<SeenConnection[]> {
  const [links, { endpoints, known }] = await Promise.all([linksHere(examination), placesOf(asked, examination)]);
  const places = new Set(known.map((endpoint) => hostPort(endpoint)));
  const current = new Set(endpoints.map((endpoint) => hostPort(endpoint)));
  const addresses = new Set((endpoints.length > 0 ? endpoints : known).map(({ address }) => address));
  const out = links.filter(({ connection, isInbound }) => !isInbound && places.has(hostPort(connection.remote)));
  // Whoever dialled the VM has a port of its own: only the machine is known.
  const into = links.filter(({ connection: { local, remote }, isInbound, aliveName }) => {
    // Of a link on this machine both ends are here.
    const isOut = out.some(({ connection }) => hostPort(connection.local) === hostPort(remote));
    const isOfPeer = aliveName !== undefined && vms.includes(aliveName);
    return isInbound && isOfPeer && addresses.has(remote.address) && !(isOut && places.has(hostPort(local)));
  });
  return [
    ...out.map((link) => seen(link, !current.has(hostPort(link.connection.remote)))),
    ...into.map((link) => seen(link, endpoints.length === 0)),
  ];
}

function seen({ aliveName, connection: { local, remote }, isInbound }: Link, isFormer: boolean): SeenConnection {
  return { aliveName, local: hostPort(local), remote: hostPort(remote), isInbound, isFormer };
}
