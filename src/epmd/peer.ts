import type { Socket } from "node:net";
import type { NodeName } from "../names/node-name.js";
import { type Cidr, canonicalIp, cidrContains, hostPort, isLoopback } from "../net/ip.js";

/** Who is at the other end of a connection. Addresses are canonical IP literals. */
export interface Peer {
  readonly address: string;
  readonly port: number;
  /** The address at which the peer asks, and hence, if it is a stock client, the address that it will dial. */
  readonly dialled: string;
  /** May register, and gets everything that local peers get: it is on this machine, or `--allow`ed. */
  readonly local: boolean;
  /** Is on this machine: our loopback addresses mean the same to it as to us. */
  readonly sameHost: boolean;
}

/** Stock EPMD's idea of local (epmd_srv.c, conn_local_peer_check), widened by `--allow`. */
export function identifyPeer(address: string, port: number, dialled: string, allow: readonly Cidr[]): Peer {
  const sameHost = isLoopback(address) || address === dialled;
  return { address, port, dialled, sameHost, local: sameHost || allow.some((cidr) => cidrContains(cidr, address)) };
}

/** Undefined when the connection is gone already. */
export function peerOf(socket: Socket, allow: readonly Cidr[]): Peer | undefined {
  const address = canonicalIp(socket.remoteAddress ?? "");
  const dialled = canonicalIp(socket.localAddress ?? "");
  if (address === undefined || dialled === undefined) return undefined;
  return identifyPeer(address, socket.remotePort ?? 0, dialled, allow);
}

/** Strangers may ask for the nodes of this place, not use us to look around. @returns why this peer may not ask for it */
export function refusedName({ form }: NodeName, { local, address }: Peer): string | undefined {
  if (local || form === "bare") return undefined;
  return `names with a host part are looked up for local peers only (--allow ${address})`;
}

export function formatPeer({ address, port }: { readonly address: string; readonly port: number }): string {
  return hostPort(address, port);
}
