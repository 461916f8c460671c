import { ipPort } from "../config/network-values.js";
import { isHelperName } from "../names/node-name.js";
import { hostPort } from "../net/ip.js";
import type { Connection } from "../os/core/connections.js";
import { socketsOf } from "../os/sockets.js";
import type { RunningVm } from "../os/vm-process.js";
import type { Examination } from "./examination.js";
import { nameIn } from "./local-epmd.js";

/** A connection here that carries a distribution link. */
export interface Link {
  readonly connection: Connection;
  /** The VM here that has it; undefined where it is the gateway's relay, or this user may not see the process. */
  readonly aliveName: string | undefined;
  /** The VM here was dialled. */
  readonly isInbound: boolean;
}

/** VMs that run here, ask the EPMD here, and are not registered with it: where srv-epmd ends, their links stay. */
export async function unregisteredVms({
  vms,
  nodes,
  config,
}: Pick<Examination, "vms" | "nodes" | "config">): Promise<RunningVm[]> {
  const [running, registered] = await Promise.all([vms(), nodes()]);
  const isRegistered = nameIn(registered);
  return running.filter(
    ({ aliveName, epmdPort }) =>
      epmdPort === config.port && !isRegistered(aliveName) && !isHelperName(aliveName, isRegistered),
  );
}

/** Links of the VMs here: connections to the ports on which they listen, and to places at which nodes are known. */
export async function linksHere(examination: Examination): Promise<Link[]> {
  const [all, vms, unregistered, listeners, places] = await Promise.all([
    examination.connections(),
    examination.localVms(),
    unregisteredVms(examination),
    examination.listeners(),
    knownPlaces(examination),
  ]);
  const registered = vms.flatMap(({ node, process }) => (process ? { ...node, pid: process.pid } : []));
  const owners = [...registered, ...unregistered].map(({ aliveName, pid }) => ({ aliveName, sockets: socketsOf(pid) }));
  const isListening = (port: number) => listeners?.some((one) => one.port === port);
  return all.flatMap((connection): Link[] => {
    const { local, remote, inode } = connection;
    const dialled = vms.find(({ node }) => node.port === local.port)?.node.aliveName;
    if (dialled !== undefined) return [{ connection, aliveName: dialled, isInbound: true }];
    const owner = owners.find(({ sockets }) => inode > 0 && sockets.has(inode))?.aliveName;
    // A VM that is not registered: the port on which it takes links is one that listens.
    const isTaken = unregistered.some(({ aliveName }) => aliveName === owner) && isListening(local.port);
    if (isTaken) return [{ connection, aliveName: owner, isInbound: true }];
    return places.has(hostPort(remote)) ? [{ connection, aliveName: owner, isInbound: false }] : [];
  });
}

/** Where the node asked about is, and the nodes that the srv-epmd here knows of, or that it has found for VMs here. */
async function knownPlaces({ resolution, daemon }: Examination): Promise<ReadonlySet<string>> {
  const [found, status] = await Promise.all([resolution(), daemon()]);
  const asked = found.outcome === "found" ? found.endpoints : [];
  const cluster = status?.cluster?.outcome === "listed" ? status.cluster.nodes : [];
  const before = (status?.lookUps ?? []).flatMap(({ endpoints }) => endpoints.map(ipPort(undefined)));
  return new Set([...asked, ...cluster, ...before].map((place) => hostPort(place)));
}
