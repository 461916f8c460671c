import type { Socket } from "node:net";
import type { Observe } from "../daemon/core/observations.js";
import type { Logger } from "../daemon/logger.js";
import { exchangeLimit } from "../dns/exchange.js";
import { hostLimit } from "../gateway/core/addresses.js";
import type { Cidr } from "../net/ip.js";
import { openFileLimit } from "../os/machine.js";
import { uidOfSocket, usersOfPort } from "../os/sockets.js";
import type { NodeResolver } from "../resolve/node-resolver.js";
import type { AnswerDeps } from "./answer.js";
import { handleConnection, UnreadAnswers } from "./connection.js";
import type { RegisteredNode, Registry } from "./core/registry.js";
import { LinkTellers } from "./link-tellers.js";
import { type ListenAddress, type Listener, listen } from "./listener.js";
import type { GatewayWay } from "./look-up.js";
import { type Peer, type PeerLog, PeerLogs } from "./peer.js";
import { createRegister, isClosedPort } from "./registering.js";
import type { NamedPort } from "./wire/messages.js";

export interface EpmdServerOptions {
  readonly addresses: readonly ListenAddress[];
  /** 0: any free port. */
  readonly port: number;
  readonly allow: readonly Cidr[];
  readonly maxConnections: number;
  /** Milliseconds. */
  readonly packetTimeout: number;
  /** Names that can be registered at once. */
  readonly maxNodes: number;
  /** Milliseconds of silence after which the connection of a registered node is probed. */
  readonly keepAlive: number;
  /** Users whose processes may register nodes; undefined: any. */
  readonly uids?: ReadonlySet<number> | undefined;
  readonly relaxedCommandCheck: boolean;
  readonly allowKill: boolean;
  /** A stock epmd without living nodes that has the port is killed. */
  readonly replaceEpmd: boolean;
  readonly registry: Registry;
  readonly nodes: Pick<NodeResolver, "resolve" | "fullName">;
  /** Port at which others reach a node that lives here; undefined when nobody can. */
  readonly advertisedPort: (node: RegisteredNode) => number | undefined;
  /** The nodes that match the pattern of a NAMES request. */
  readonly match: (pattern: string, sameHost: boolean) => readonly NamedPort[] | Promise<readonly NamedPort[]>;
  /** Whether there will be a gateway: it needs file descriptors of its own. */
  readonly gateway: boolean;
  /** Connections wait for it: the gateway must be there before the first answer. Absent: they are served at once. */
  readonly opened?: Promise<void> | undefined;
  /** Undefined while there is no gateway. */
  readonly gatewayWay?: () => GatewayWay | undefined;
  readonly observe: Observe;
  /** A KILL was obeyed. */
  readonly onKill: () => void;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
  readonly log: Logger;
}

export interface EpmdServer {
  readonly listener: Listener;
  readonly links: Pick<LinkTellers, "ask">;
}

/** The EPMD server: sockets, connections, and the names that they hold. @throws ListenError that says who has the port */
export async function startEpmdServer(options: EpmdServerOptions): Promise<EpmdServer> {
  const { registry, log } = options;
  const holders = new Map<RegisteredNode, () => void>();
  const maxConnections = connectionLimit(options.maxConnections, openFileLimit(), options.gateway);
  let listener: Listener | undefined;
  const port = () => listener?.port ?? options.port;
  const logs = new PeerLogs(log);
  const unread = new UnreadAnswers();
  const links = new LinkTellers();

  // Subscribed before the publication: the registration of a node is logged before what follows from it.
  registry.subscribe(({ type, node }) => {
    const { aliveName, port: nodePort, creation, origin } = node;
    if (origin !== "alive2") return;
    if (type === "unregistered") links.end(node);
    if (type === "registered") log.info({ node: aliveName, port: nodePort, creation }, "node registered");
    else
      log.info(
        { node: aliveName, port: nodePort },
        listener?.isClosed ? "this daemon stops: the node is left for the next daemon" : "node gone",
      );
  });

  const { nodes, observe, now, advertisedPort, match, gatewayWay: gateway = () => undefined } = options;
  const release = (node: RegisteredNode) => holders.get(node)?.();
  const { maxNodes, uids } = options;
  const uidOf = (peer: Peer) => uidOfSocket(peer, { address: peer.dialled, port: port() });
  const answering: AnswerDeps = {
    ...{ registry, nodes, advertisedPort, gateway, observe, logs, now },
    register: createRegister({
      ...{ registry, maxNodes, uids, release, now, log, isClosed: (at) => isClosedPort(at) },
      uidOf,
    }),
    isVmOf: async (node, peer) => {
      // Of a VM on another machine only the address is known.
      if (node.address !== undefined || !peer.sameHost) return peer.address === node.address;
      const [listening, uid] = [await usersOfPort(node.port), await uidOf(peer)];
      return listening === undefined || (uid !== undefined && listening.has(uid));
    },
    match,
    release,
    epmdPort: port,
    relaxedCommandCheck: options.relaxedCommandCheck,
    allowKill: options.allowKill,
  };

  const stays = (socket: Socket) => {
    // A machine that loses power sends no FIN. Linux probes after two hours by default (tcp(7), tcp_keepalive_time).
    socket.setKeepAlive(true, options.keepAlive);
    // Only a connection that stays has several answers. The one answer of the others is followed by their end: nothing waits.
    socket.setNoDelay(true);
  };

  const serve = (socket: Socket, peer: Peer, peerLog: PeerLog) =>
    handleConnection(socket, {
      peer,
      answering,
      hold: (node, release) => {
        holders.set(node, release);
        stays(socket);
      },
      unregister: (node) => {
        holders.delete(node);
        registry.unregister(node);
      },
      tell: (node) => {
        links.hold(node, socket);
        stays(socket);
      },
      exit: options.onKill,
      packetTimeout: options.packetTimeout,
      unread,
      observe,
      log: peerLog,
    });
  let held = options.opened;
  held?.then(() => {
    held = undefined;
  });

  listener = await listen(options.addresses, options.port, {
    ...{ allow: options.allow, maxConnections, replaceEpmd: options.replaceEpmd, logs, log },
    onConnection: (socket, peer, peerLog) => {
      if (!held) return serve(socket, peer, peerLog);
      // An error of a waiting connection must not end the daemon.
      socket.on("error", () => {});
      held.then(() => socket.destroyed || serve(socket, peer, peerLog));
    },
  });
  if (maxConnections < options.maxConnections) {
    log.warn(
      { maxConnections },
      "fewer connections than --max-connections: the limit of open files (ulimit -n) is low",
    );
  }
  return { listener, links };
}

/** File descriptors for everything but connections and DNS queries: listening sockets, a DNS zone, Consul, logs. */
const RESERVED = 128;

/**
 * At most as many connections as there are file descriptors for. The system closes a connection without a descriptor
 * before its peer is known, so strangers could keep the nodes here from registering.
 */
export function connectionLimit(wanted: number, openFiles: number | undefined, gateway = false): number {
  if (openFiles === undefined) return wanted;
  const needed = RESERVED + exchangeLimit(openFiles) + (gateway ? gatewayFiles(openFiles) : 0);
  return Math.max(2, Math.min(wanted, openFiles - Math.min(needed, Math.ceil(openFiles / 2))));
}

/** The gateway's: a listener for each host, the questions that it passes on, and DNS connections. */
function gatewayFiles(openFiles: number): number {
  return hostLimit(openFiles) + exchangeLimit(openFiles) + RESERVED / 2;
}
