import type { Socket } from "node:net";
import type { Logger } from "../daemon/logger.js";
import { type Cidr, canonicalIp, cidrContains, hostPort, isLoopback } from "../net/ip.js";

/** Who is at the other end of a connection. Addresses are canonical IP literals. */
export interface Peer {
  readonly address: string;
  readonly port: number;
  /** The local address of the connection. A stock client dials the node at this address too. */
  readonly dialled: string;
  /** On this machine, or named by `--allow`: it may register, and ask for everything. */
  readonly local: boolean;
  /** On this machine: our loopback addresses are its own too. */
  readonly sameHost: boolean;
}

/** Stock EPMD's idea of local (epmd_srv.c, conn_local_peer_check), widened by `--allow`. */
export function identifyPeer(address: string, port: number, dialled: string, allow: readonly Cidr[]): Peer {
  const sameHost = isLoopback(address) || address === dialled;
  return { address, port, dialled, sameHost, local: sameHost || allow.some((cidr) => cidrContains(cidr, address)) };
}

/**
 * Undefined when the connection has ended. The address is asked for at a loopback address, too: where a machine forwards
 * packets of others to that (route_localnet of ip-sysctl, with DNAT), it may be a stranger's.
 * @param listened the canonical address of the listening socket, where that is no wildcard: the connection has the same
 */
export function peerOf(socket: Socket, allow: readonly Cidr[], listened?: string): Peer | undefined {
  const address = canonicalIp(socket.remoteAddress ?? "");
  const dialled = listened ?? canonicalIp(socket.localAddress ?? "");
  if (address === undefined || dialled === undefined) return undefined;
  return identifyPeer(address, socket.remotePort ?? 0, dialled, allow);
}

type Level = "debug" | "info" | "warn" | "error";

/** The part of a logger that peers' lines need. Messages are constants: what differs between lines is in the fields. */
export type PeerLog = Readonly<Record<Level, (fields: object, message: string) => void>> & {
  readonly isLevelEnabled: (level: Level) => boolean;
};

/** Milliseconds in which strangers' lines are counted. */
const MINUTE = 60_000;

/**
 * The log of what peers do. Local peers get every line. Strangers must not fill the disk or hide other lines: of each
 * message their first line is written at once, then one line a minute with the number of those left out.
 */
export class PeerLogs {
  readonly #log: Logger;
  readonly #strangers: PeerLog;
  /** By level and message: the lines left out since the last one. */
  readonly #since = new Map<string, { more: number; last: object }>();

  constructor(log: Logger) {
    this.#log = log;
    this.#strangers = this.#sampled();
  }

  /** For lines that name the peer themselves: no logger is made for each peer. */
  of({ local }: Pick<Peer, "local">): PeerLog {
    return local ? this.#log : this.#strangers;
  }

  /** Every line has the field `peer`. */
  about(peer: Peer): PeerLog {
    return new LogAboutPeer(this.of(peer), peer);
  }

  #sampled(): PeerLog {
    const at = (level: Level) => (fields: object, message: string) => this.#write(level, fields, message);
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
      const what = `${message}: ${more} more by strangers within a minute, this is the last`;
      this.#log[level]({ ...last, more }, what);
      this.#count(level, message);
    };
    setTimeout(end, MINUTE).unref();
  }
}

/** Adds the peer to each line. Nothing is made before a line is written, since few connections write one. */
class LogAboutPeer implements PeerLog {
  readonly #log: PeerLog;
  readonly #peer: Peer;

  constructor(log: PeerLog, peer: Peer) {
    this.#log = log;
    this.#peer = peer;
  }

  isLevelEnabled(level: Level): boolean {
    return this.#log.isLevelEnabled(level);
  }

  debug(fields: object, message: string): void {
    this.#write("debug", fields, message);
  }

  info(fields: object, message: string): void {
    this.#write("info", fields, message);
  }

  warn(fields: object, message: string): void {
    this.#write("warn", fields, message);
  }

  error(fields: object, message: string): void {
    this.#write("error", fields, message);
  }

  #write(level: Level, fields: object, message: string): void {
    if (this.#log.isLevelEnabled(level)) this.#log[level]({ peer: hostPort(this.#peer), ...fields }, message);
  }
}
