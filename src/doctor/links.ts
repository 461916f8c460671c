import { ipPort } from "../config/network-values.js";
import { hostPort } from "../net/ip.js";
import type { Connection } from "../os/core/connections.js";
import { socketsOf } from "../os/sockets.js";
import type { Examination } from "./examination.js";

/** A connection here that carries a distribution link. */
export interface Link {
  readonly connection: Connection;
  /** The VM here that has it; undefined where it is the gateway's relay, or this user may not see the process. */
  readonly aliveName: string | undefined;
  /** The VM here was dialled. */
  readonly isInbound: boolean;
}

/** Links of the VMs here: connections to the ports on which they listen, and to places at which nodes are known. */
export async function linksHere(examination: Examination): Promise<Link[]> {
  const [all, vms, places] = await Promise.all([
    examination.connections(),
    examination.localVms(),
    knownPlaces(examination),
  ]);
  const owners = vms.map(({ node, process }) => ({ node, sockets: process ? socketsOf(process.pid) : new Set() }));
  return all.flatMap((connection): Link[] => {
    const { local, remote, inode } = connection;
    const dialled = vms.find(({ node }) => node.port === local.port)?.node.aliveName;
    if (dialled !== undefined) return [{ connection, aliveName: dialled, isInbound: true }];
    if (!places.has(hostPort(remote))) return [];
    const owner = owners.find(({ sockets }) => inode > 0 && sockets.has(inode));
    return [{ connection, aliveName: owner?.node.aliveName, isInbound: false }];
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
