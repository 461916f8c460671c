import type { Socket } from "node:net";
import type { Logger } from "../daemon/logger.js";
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

type Level = "debug" | "info" | "warn" | "error";

/** As much of a logger as what serves a peer takes. Messages are constants of ours: what differs is in the fields. */
export type PeerLog = Readonly<Record<Level, (fields: object, message: string) => void>> & {
  readonly isLevelEnabled: (level: Level) => boolean;
};

/** What strangers did is counted for so long, milliseconds. */
const MINUTE = 60_000;

/**
 * Logs of those who are served. Local peers have a line for each thing. Strangers must not fill the disk, nor hide what
 * matters: of each message they get the first line at once, and then one a minute that says how many there were.
 */
export class PeerLogs {
  readonly #log: Logger;
  readonly #strangers: PeerLog;
  /** By level and message: what came since the last line. */
  readonly #since = new Map<string, { more: number; last: object }>();

  constructor(log: Logger) {
    this.#log = log;
    this.#strangers = this.#sampled({});
  }

  /** For lines that tell the peer themselves: it costs nothing to have. */
  of({ local }: Pick<Peer, "local">): PeerLog {
    return local ? this.#log : this.#strangers;
  }

  /** Every line tells the peer. */
  about(peer: Peer): PeerLog {
    const who = { peer: formatPeer(peer) };
    return peer.local ? this.#log.child(who) : this.#sampled(who);
  }

  #sampled(who: object): PeerLog {
    const at = (level: Level) => (fields: object, message: string) =>
      this.#write(level, { ...who, ...fields }, message);
    return {
      debug: at("debug"),
      info: at("info"),
      warn: at("warn"),
      error: at("error"),
      isLevelEnabled: (level) => this.#log.isLevelEnabled(level),
    };
  }

  #write(level: Level, fields: object, message: string): void {
    if (!this.#log.isLevelEnabled(level)) return;
    const since = this.#since.get(`${level} ${message}`);
    if (since) {
      since.more++;
      since.last = fields;
      return;
    }
    this.#log[level](fields, message);
    this.#count(level, message);
  }

  #count(level: Level, message: string): void {
    const since = { more: 0, last: {} };
    this.#since.set(`${level} ${message}`, since);
    const end = () => {
      const { more, last } = since;
      this.#since.delete(`${level} ${message}`);
      if (more === 0) return;
      const what = `${message}: ${more} more of these by strangers within a minute, this is the last`;
      this.#log[level]({ ...last, more }, what);
      this.#count(level, message);
    };
    setTimeout(end, MINUTE).unref();
  }
}
