import { createServer, type Server, type Socket } from "node:net";
import type { Logger } from "../daemon/logger.js";
import { ListenError } from "../errors.js";
import { type Cidr, familyOf } from "../net/ip.js";
import { isAbsent, listenError } from "../os/sockets.js";
import { formatPeer, type Peer, peerOf } from "./peer.js";
import type { PeerLogs } from "./peer-log.js";
import { Places, takePlaces } from "./places.js";

/** An address to listen on. */
export interface ListenAddress {
  /** Canonical IP literal. */
  readonly address: string;
  /** Peers that are not local are served there too. */
  readonly strangers: boolean;
  /** Nobody asked for it by name: when the machine has no such address it is passed over. */
  readonly implied: boolean;
  /** Passed over when something else has the port there, too. */
  readonly shared?: boolean;
}

export interface ListenerOptions {
  readonly allow: readonly Cidr[];
  readonly maxConnections: number;
  readonly onConnection: (socket: Socket, peer: Peer) => void;
  readonly log: Logger;
  readonly logs: PeerLogs;
}

export interface Listener {
  /** Bound port; all addresses have the same. */
  readonly port: number;
  readonly addresses: readonly string[];
  /**
   * Listens on another address of this machine too, for local peers; nothing to do when a wildcard covers it.
   * @throws ListenError LISTEN_IN_USE, LISTEN_FAILED
   */
  readonly add: (address: string) => Promise<void>;
  /** Listens no more on an address that was added; connections stay. */
  readonly remove: (address: string) => Promise<void>;
  /** How many are open. */
  readonly connections: number;
  /** Stops accepting and ends every connection. */
  readonly close: () => Promise<void>;
}

/** How often another free port is tried when the one found on the first address is taken on the next. */
const PORT_ATTEMPTS = 20;
const BACKLOG = 1024;

/**
 * Listens on every address with one port; 0 takes a port that is free on all.
 * @throws ListenError LISTEN_IN_USE, LISTEN_FAILED
 */
export async function listen(
  addresses: readonly ListenAddress[],
  port: number,
  options: ListenerOptions,
): Promise<Listener> {
  for (let attempt = 1; ; attempt++) {
    const listener = new EpmdListener(options);
    try {
      await listener.bindAll(addresses, port);
      return listener;
    } catch (error) {
      await listener.close();
      if (port !== 0 || attempt === PORT_ATTEMPTS || (error as ListenError).code !== "LISTEN_IN_USE") throw error;
    }
  }
}

class EpmdListener implements Listener {
  readonly #servers = new Set<Server>();
  readonly #sockets = new Set<Socket>();
  readonly #options: ListenerOptions;
  readonly #bound = new Map<string, Promise<Server>>();
  /** Sockets that are on their way out. */
  readonly #leaving = new Map<string, Promise<void>>();
  #closed = false;
  readonly #places: Places;
  readonly #strangerPlaces: Places;
  port = 0;
  readonly addresses: string[] = [];

  constructor(options: ListenerOptions) {
    this.#options = options;
    this.#places = new Places(options.maxConnections);
    // Strangers cannot take the places of the nodes here.
    this.#strangerPlaces = new Places(Math.floor(options.maxConnections / 2));
  }

  async bindAll(addresses: readonly ListenAddress[], port: number): Promise<void> {
    this.port = port;
    for (const address of addresses) {
      try {
        const server = await this.#bind(address);
        this.port = (server.address() as { port: number }).port;
        this.addresses.push(formatPeer({ address: address.address, port: this.port }));
      } catch (error) {
        const { code } = error as NodeJS.ErrnoException;
        if (address.shared || (address.implied && code !== "EADDRINUSE")) {
          this.#options.log[isAbsent(code) ? "debug" : "warn"](
            { address: address.address, code },
            code === "EADDRINUSE" ? "address passed over: something else has the port there" : "address passed over",
          );
          continue;
        }
        throw listenError({ address: address.address, port: this.port }, error);
      }
    }
    if (this.#servers.size === 0)
      throw new ListenError("LISTEN_FAILED", "this machine has none of the addresses to listen on");
  }

  async add(address: string): Promise<void> {
    const wildcard = familyOf(address) === 4 ? "0.0.0.0" : "::";
    // Our own socket that is being closed is no other program's.
    await this.#leaving.get(address);
    if (this.#bound.has(wildcard) || this.#closed) return;
    try {
      // Two who want one address in the same moment must not be each other's EADDRINUSE.
      await (this.#bound.get(address) ?? this.#bind({ address, strangers: false }));
    } catch (error) {
      throw listenError({ address, port: this.port }, error);
    }
  }

  /** Resolves when the address can be listened on again. Connections that stand go on. */
  async remove(address: string): Promise<void> {
    const bound = this.#bound.get(address);
    if (!bound) return this.#leaving.get(address);
    this.#bound.delete(address);
    const stop = (server: Server) => {
      this.#servers.delete(server);
      // The system's socket is closed within the call; what its callback waits for are the connections.
      server.close();
    };
    // One that is still being bound may fail, which is for whoever added it.
    const leaving = bound.then(stop, () => {}).finally(() => this.#leaving.delete(address));
    this.#leaving.set(address, leaving);
    await leaving;
  }

  #bind({ address, strangers }: Pick<ListenAddress, "address" | "strangers">): Promise<Server> {
    const server = createServer({ allowHalfOpen: true, noDelay: true }, (socket) => this.#accept(socket, strangers));
    const bound = new Promise<Server>((resolve, reject) => {
      server.once("error", reject);
      server.listen({ host: address, port: this.port, backlog: BACKLOG, ipv6Only: familyOf(address) === 6 }, () => {
        server.off("error", reject);
        server.on("error", (error) => this.#options.log.error({ err: error, address }, "listening failed"));
        this.#servers.add(server);
        if (this.#closed) server.close();
        resolve(server);
      });
    });
    this.#bound.set(address, bound);
    bound.catch(() => {
      if (this.#bound.get(address) === bound) this.#bound.delete(address);
    });
    return bound;
  }

  #accept(socket: Socket, strangers: boolean): void {
    const { allow, logs, onConnection } = this.#options;
    const peer = peerOf(socket, allow);
    if (!peer) return void socket.destroy();
    if (!peer.local && !strangers) {
      logs.about(peer).debug({}, "connection closed: not a local peer, and --listen does not name this address");
      return void socket.destroy();
    }
    const full = takePlaces(peer.local ? [this.#places] : [this.#places, this.#strangerPlaces], socket);
    if (full) {
      if (full.tell()) this.#tellFull(full, peer);
      return void socket.destroy();
    }
    this.#sockets.add(socket);
    socket.once("close", () => this.#sockets.delete(socket));
    onConnection(socket, peer);
  }

  #tellFull(full: Places, peer: Peer): void {
    const { maxConnections, logs } = this.#options;
    const what = full === this.#places ? "all connections are" : "the strangers' half of all connections is";
    logs.about(peer).warn({ maxConnections }, `connection closed: ${what} in use`);
  }

  get connections(): number {
    return this.#sockets.size;
  }

  async close(): Promise<void> {
    this.#closed = true;
    const closed = Array.from(this.#servers, (server) => new Promise<void>((resolve) => server.close(() => resolve())));
    // Their own closing has to be over too: nodes are unregistered by it.
    const ended = Array.from(this.#sockets, (socket) => new Promise<void>((resolve) => socket.once("close", resolve)));
    for (const socket of this.#sockets) socket.destroy();
    await Promise.all([...closed, ...ended]);
  }
}
