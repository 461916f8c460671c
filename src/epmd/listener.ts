import { createServer, type Server, type Socket } from "node:net";
import type { IpPort } from "../config/network-values.js";
import type { Logger } from "../daemon/logger.js";
import { EpmdError, ListenError } from "../errors.js";
import { type Cidr, familyOf, hostPort, isWildcard } from "../net/ip.js";
import { shareHiddenClassesOfSockets } from "../os/hidden-classes.js";
import { OpenSockets } from "../os/open-sockets.js";
import { findListener, isAbsent, listenError, Places, takePlaces } from "../os/sockets.js";
import { kill, knowsFullNames, names } from "./client.js";
import { type Peer, type PeerLog, type PeerLogs, peerOf } from "./peer.js";
import { nodesWords, takeOver } from "./stock-epmd.js";

/** An address to listen on. */
export interface ListenAddress {
  /** Canonical IP literal. */
  readonly address: string;
  /** Strangers are served there too. */
  readonly strangers: boolean;
  /** No option names it: it is passed over when the machine has no such address. */
  readonly implied: boolean;
  /** Also passed over when another program has the port there. */
  readonly shared?: boolean;
}

export interface ListenerOptions {
  readonly allow: readonly Cidr[];
  readonly maxConnections: number;
  /** @param log of what this peer does */
  readonly onConnection: (socket: Socket, peer: Peer, log: PeerLog) => void;
  /** A stock epmd without living nodes that has the port is killed. Default false. */
  readonly replaceEpmd?: boolean;
  readonly log: Logger;
  readonly logs: PeerLogs;
}

export interface Listener {
  /** The bound port, the same on all addresses. */
  readonly port: number;
  /** `ip:port` */
  readonly addresses: readonly string[];
  /**
   * Listens on another address of this machine too, for local peers; does nothing when a wildcard covers it.
   * @throws ListenError LISTEN_IN_USE, LISTEN_FAILED
   */
  readonly add: (address: string) => Promise<void>;
  /** Stops listening on an address that was added; its connections stay. */
  readonly remove: (address: string) => Promise<void>;
  /** Open connections. */
  readonly connections: number;
  /** close() was called: the connections that end now are ended by us. */
  readonly isClosed: boolean;
  /** Stops accepting and ends every connection. */
  readonly close: () => Promise<void>;
}

/** For port 0: how many free ports are tried, because a port that is free on one address may be taken on another. */
const PORT_ATTEMPTS = 20;
const BACKLOG = 1024;

/**
 * Listens on every address with one port; 0 takes a port that is free on all.
 * @throws ListenError LISTEN_IN_USE, which says who has the port; LISTEN_FAILED
 */
export async function listen(
  addresses: readonly ListenAddress[],
  port: number,
  options: ListenerOptions,
): Promise<Listener> {
  shareHiddenClassesOfSockets();
  const bind = () => bindAll(addresses, port, options);
  try {
    return options.replaceEpmd ? await bindInItsPlace(bind, options.log) : await bind();
  } catch (error) {
    if (!isInUse(error)) throw error;
    const message = `${error.message}: ${await describePortHolder(error.at)}`;
    throw new ListenError(error.code, message, { cause: error, at: error.at });
  }
}

async function bindAll(addresses: readonly ListenAddress[], port: number, options: ListenerOptions): Promise<Listener> {
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

/** What the listening socket says of its connections. */
interface Accept {
  readonly strangers: boolean;
  /** Its address; undefined for a wildcard. */
  readonly listened: string | undefined;
}

class EpmdListener implements Listener {
  readonly #servers = new Set<Server>();
  readonly #sockets = new OpenSockets();
  readonly #options: ListenerOptions;
  readonly #bound = new Map<string, Promise<Server>>();
  /** Addresses whose socket is being closed. */
  readonly #leaving = new Map<string, Promise<void>>();
  #closed = false;
  readonly #places: Places;
  readonly #forLocal: readonly Places[];
  readonly #forStrangers: readonly Places[];
  port = 0;
  readonly addresses: string[] = [];

  constructor(options: ListenerOptions) {
    this.#options = options;
    this.#places = new Places(options.maxConnections);
    this.#forLocal = [this.#places];
    // Strangers get half of all places: they must not keep the nodes here from registering.
    this.#forStrangers = [this.#places, new Places(Math.floor(options.maxConnections / 2))];
  }

  async bindAll(addresses: readonly ListenAddress[], port: number): Promise<void> {
    this.port = port;
    for (const address of addresses) {
      try {
        const server = await this.#bind(address);
        this.port = (server.address() as { port: number }).port;
        this.addresses.push(hostPort({ address: address.address, port: this.port }));
      } catch (error) {
        const { code } = error as NodeJS.ErrnoException;
        if (address.shared || (address.implied && code !== "EADDRINUSE")) {
          this.#options.log[isAbsent(code) ? "debug" : "warn"](
            { address: hostPort({ address: address.address, port: this.port }), reason: code },
            code === "EADDRINUSE" ? "address passed over: another program has the port there" : "address passed over",
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
    // Our own socket that is still being closed would look like another program's.
    await this.#leaving.get(address);
    if (this.#bound.has(wildcard) || this.#closed) return;
    try {
      // A second call for an address that is being bound would fail with EADDRINUSE.
      await (this.#bound.get(address) ?? this.#bind({ address, strangers: false }));
    } catch (error) {
      throw listenError({ address, port: this.port }, error);
    }
  }

  /** Resolves when the address can be listened on again. */
  async remove(address: string): Promise<void> {
    const bound = this.#bound.get(address);
    if (!bound) return this.#leaving.get(address);
    this.#bound.delete(address);
    const stop = (server: Server) => {
      this.#servers.delete(server);
      // The socket is closed within the call; the callback of close() would wait for the connections.
      server.close();
    };
    // Binding may still fail: add() reports that.
    const leaving = bound.then(stop, () => {}).finally(() => this.#leaving.delete(address));
    this.#leaving.set(address, leaving);
    await leaving;
  }

  #bind({ address, strangers }: Pick<ListenAddress, "address" | "strangers">): Promise<Server> {
    const accept: Accept = { strangers, listened: isWildcard(address) ? undefined : address };
    const server = createServer({ allowHalfOpen: true }, (socket) => this.#accept(socket, accept));
    const bound = new Promise<Server>((resolve, reject) => {
      server.once("error", reject);
      server.listen({ host: address, port: this.port, backlog: BACKLOG, ipv6Only: familyOf(address) === 6 }, () => {
        server.off("error", reject);
        server.on("error", (error) =>
          this.#options.log.error({ err: error, address: hostPort({ address, port: this.port }) }, "listening failed"),
        );
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

  #accept(socket: Socket, { strangers, listened }: Accept): void {
    const { allow, logs, onConnection } = this.#options;
    const peer = peerOf(socket, allow, listened);
    if (!peer) return void socket.destroy();
    if (!peer.local && !strangers) {
      logs.about(peer).debug({}, "connection closed: not a local peer, and --listen does not name this address");
      return void socket.destroy();
    }
    const full = takePlaces(peer.local ? this.#forLocal : this.#forStrangers, socket);
    const log = logs.about(peer);
    if (full) {
      if (full.tell()) this.#logFull(full, log);
      return void socket.destroy();
    }
    this.#sockets.add(socket);
    onConnection(socket, peer, log);
  }

  #logFull(full: Places, log: PeerLog): void {
    const { maxConnections } = this.#options;
    const what = full === this.#places ? "all connections are" : "the strangers' half of all connections is";
    log.warn({ maxConnections }, `connection closed: ${what} in use`);
  }

  get isClosed(): boolean {
    return this.#closed;
  }

  get connections(): number {
    return this.#sockets.size;
  }

  async close(): Promise<void> {
    this.#closed = true;
    const closed = Array.from(this.#servers, (server) => new Promise<void>((resolve) => server.close(() => resolve())));
    // Their `close` events unregister nodes, and are waited for too.
    await Promise.all([...closed, this.#sockets.destroy()]);
  }
}

/** For an EPMD on this machine, milliseconds. */
const ASK_TIMEOUT = 500;
/** How many stock epmds are ended one after the other: each VM without `-start_epmd false` starts a new one. */
const REPLACE_ATTEMPTS = 3;
/** Milliseconds in which an EPMD that answered OK to KILL must be gone. */
const KILL_GRACE = 2000;
const KILL_POLL = 20;

/** Describes the program that has our port, as far as NAMES (for an EPMD) and /proc (for the process) tell, and what to do. */
async function describePortHolder(at: IpPort): Promise<string> {
  const process = findListener(at.port);
  const by = process === undefined ? "" : ` (process ${process.pid}: ${process.command})`;
  const otherPort = "stop it, or choose another port with --port, and ERL_EPMD_PORT for the VMs";
  try {
    const { names: live } = await names(at, { timeout: ASK_TIMEOUT });
    if (/srv-epmd/.test(process?.command ?? "") || (await knowsFullNames(at, { timeout: ASK_TIMEOUT }))) {
      return `another srv-epmd with ${nodesWords(live)} is there${by}; ${otherPort}`;
    }
    return `a stock epmd with ${nodesWords(live)} is there${by}; ${takeOver({ names: live, port: at.port, process })}`;
  } catch (error) {
    if (!(error instanceof EpmdError)) throw error;
    return `something that is no EPMD is there${by}; ${otherPort}`;
  }
}

/**
 * Ends an EPMD that has no living nodes, as `epmd -kill` does. A srv-epmd is left alone, whatever it has.
 * @returns whether it obeyed
 */
async function endIdleEpmd(at: IpPort): Promise<boolean> {
  try {
    const { names: live } = await names(at, { timeout: ASK_TIMEOUT });
    if (live.length > 0 || (await knowsFullNames(at, { timeout: ASK_TIMEOUT }))) return false;
    // An EPMD answers NO when a node has registered meanwhile.
    return await kill(at, { timeout: ASK_TIMEOUT });
  } catch (error) {
    if (!(error instanceof EpmdError)) throw error;
    return false;
  }
}

function isInUse(error: unknown): error is ListenError & { readonly at: IpPort } {
  return error instanceof ListenError && error.code === "LISTEN_IN_USE" && error.at !== undefined;
}

/** `--replace-epmd`. @throws what listening throws, when there is no epmd that can be replaced */
async function bindInItsPlace(bind: () => Promise<Listener>, log: Logger): Promise<Listener> {
  let patience = Number.NEGATIVE_INFINITY;
  for (let ended = 0; ; ) {
    try {
      return await bind();
    } catch (error) {
      if (!isInUse(error)) throw error;
      if (performance.now() > patience) {
        if (ended === REPLACE_ATTEMPTS || !(await endIdleEpmd(error.at))) throw error;
        ended += 1;
        patience = performance.now() + KILL_GRACE;
        log.info({ address: hostPort(error.at) }, "stopped a stock epmd that had no registered nodes, to use its port");
      }
      await new Promise((resolve) => setTimeout(resolve, KILL_POLL));
    }
  }
}
