import type { Socket } from "node:net";
import type { Observe } from "../daemon/core/observations.js";
import type { Logger } from "../daemon/logger.js";
import { ListenError } from "../errors.js";
import type { Cidr } from "../net/ip.js";
import { openFileLimit } from "../os/machine.js";
import { uidOfSocket } from "../os/sockets.js";
import type { NodeResolver } from "../resolve/node-resolver.js";
import { type AnswerDeps, answer } from "./answer.js";
import { type ConnectionDeps, handleConnection } from "./connection.js";
import type { RegisteredNode, Registry } from "./core/registry.js";
import { type ListenAddress, type Listener, listen } from "./listener.js";
import { type GatewayWay, type LookedUp, type LookUpDeps, lookUp } from "./look-up.js";
import { type Peer, PeerLogs } from "./peer.js";
import { connectionLimit } from "./places.js";
import { recordLookUp } from "./record.js";
import { createRegister, isClosedPort } from "./registering.js";
import { UnreadAnswers } from "./unread-answers.js";
import type { NamedPort, PortPlease2Request } from "./wire/messages.js";

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
  readonly nodes: NodeResolver;
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

/** The EPMD server: sockets, connections, and the names that they hold. @throws ListenError that says who has the port */
export async function startEpmdServer(options: EpmdServerOptions): Promise<Listener> {
  const { registry, log } = options;
  const holders = new Map<RegisteredNode, () => void>();
  const maxConnections = connectionLimit(options.maxConnections, openFileLimit(), options.gateway);
  let listener: Listener | undefined;
  const port = () => listener?.port ?? options.port;
  const logs = new PeerLogs(log);
  const unread = new UnreadAnswers();

  // Subscribed before the publication: the registration of a node is logged before what follows from it.
  registry.subscribe(({ type, node }) => {
    const { aliveName, port: nodePort, creation, origin } = node;
    if (origin !== "alive2") return;
    if (type === "registered") log.info({ node: aliveName, port: nodePort, creation }, "node registered");
    else
      log.info(
        { node: aliveName, port: nodePort },
        listener?.isClosed ? "this daemon stops: the node is left for the next daemon" : "node gone",
      );
  });

  const { nodes, observe, now, advertisedPort, gatewayWay = () => undefined } = options;
  const lookUpDeps: LookUpDeps = {
    registry,
    nodes,
    advertisedPort,
    get gateway() {
      return gatewayWay();
    },
  };
  const lookUpAndRecord = (request: PortPlease2Request, peer: Peer) => {
    const at = now();
    const startedAt = performance.now();
    const record = (lookedUp: LookedUp) => {
      const elapsedMs = Math.round((performance.now() - startedAt) * 100) / 100;
      recordLookUp(lookedUp, peer, { at, elapsedMs }, { nodes, observe, log: logs.of(peer) });
      return lookedUp.response;
    };
    const lookedUp = lookUp(request, peer, lookUpDeps);
    // No promise for a node that lives here: it is answered at once.
    return lookedUp instanceof Promise ? lookedUp.then(record) : record(lookedUp);
  };
  const release = (node: RegisteredNode) => holders.get(node)?.();
  const { maxNodes, uids } = options;
  const answerDeps: AnswerDeps = {
    registry,
    register: createRegister({
      ...{ registry, maxNodes, uids, release, now, log, isClosed: (at) => isClosedPort(at) },
      uidOf: (peer) => uidOfSocket(peer, { address: peer.dialled, port: port() }),
    }),
    lookUp: lookUpAndRecord,
    list: ({ dialled }) => {
      const gateway = gatewayWay();
      return gateway?.contains(dialled)
        ? registry.nodes().filter((node) => gateway.belongsToHost(node, dialled))
        : registry.nodes();
    },
    match: (pattern, peer) => options.match(pattern, peer.sameHost),
    release,
    epmdPort: port,
    relaxedCommandCheck: options.relaxedCommandCheck,
    allowKill: options.allowKill,
  };

  const connectionDeps = (peer: Peer, socket: Socket): ConnectionDeps => ({
    answer: (request, holding) => {
      // Every request at a gateway address keeps its host.
      gatewayWay()?.markUsed(peer.dialled);
      return answer(request, peer, holding, answerDeps);
    },
    hold: (node, release) => {
      holders.set(node, release);
      // A machine that loses power sends no FIN. Linux probes after two hours by default (tcp(7), tcp_keepalive_time).
      socket.setKeepAlive(true, options.keepAlive);
    },
    unregister: (node) => {
      holders.delete(node);
      registry.unregister(node);
    },
    exit: options.onKill,
    packetTimeout: options.packetTimeout,
    unread,
    observe,
    log: logs.about(peer),
  });

  const serve = (socket: Socket, peer: Peer) => handleConnection(socket, connectionDeps(peer, socket));
  let held = options.opened;
  held?.then(() => {
    held = undefined;
  });

  const bind = () =>
    listen(options.addresses, options.port, {
      allow: options.allow,
      maxConnections,
      logs,
      onConnection: (socket, peer) => {
        if (!held) return serve(socket, peer);
        // An error of a waiting connection must not end the daemon.
        socket.on("error", () => {});
        held.then(() => socket.destroyed || serve(socket, peer));
      },
      log,
    });

  try {
    listener = options.replaceEpmd
      ? await (await import("./port-holder.js")).listenInItsPlace(bind, log)
      : await bind();
    if (maxConnections < options.maxConnections) {
      log.warn(
        { maxConnections },
        "fewer connections than --max-connections: the limit of open files (ulimit -n) is low",
      );
    }
    return listener;
  } catch (error) {
    if (!(error instanceof ListenError) || error.code !== "LISTEN_IN_USE" || !error.at) throw error;
    const { describePortHolder } = await import("./port-holder.js");
    throw new ListenError(error.code, `${error.message}: ${await describePortHolder(error.at)}`, {
      cause: error,
      at: error.at,
    });
  }
}
