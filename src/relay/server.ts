import type { Socket } from "node:net";
import type { PortRange } from "../config/network-values.js";
import type { Logger } from "../daemon/logger.js";
import type { HostAddress } from "../gateway/core/addresses.js";
import { hostPort } from "../net/ip.js";
import { ControlConnection } from "./control.js";
import { StandingSocket } from "./control-socket.js";
import { MAX_CONTROL_CONNECTIONS, MAX_PAIRS, MAX_RELAYS, RELAY_TIMINGS, type RelayTimings } from "./limits.js";
import { Relays } from "./relays.js";
import type { RelayEvent, RelayReply, RelayRequest } from "./wire/protocol.js";

export interface RelayServerOptions {
  /** Path of the control socket. */
  readonly socket: string;
  readonly ports: PortRange;
  readonly untilIdle: boolean;
  /** Descriptors that listeners, links and their connection attempts may have together. */
  readonly descriptors: number;
  readonly log: Logger;
  /** The most relays; default 4096. */
  readonly limit?: number;
  readonly timings?: Partial<RelayTimings>;
}

export interface RelayServer {
  /** Resolves, with the reason, when the process has no more work and may end. */
  readonly idle: Promise<string>;
  readonly openLinks: () => number;
  /** Cuts every link. */
  readonly close: () => Promise<void>;
}

/** Between two sweeps, milliseconds; less with shorter timings. */
const SWEEP_INTERVAL = 5_000;

/** The relay process without its handling of signals. @throws ListenError */
export async function startRelayServer(options: RelayServerOptions): Promise<RelayServer> {
  const { socket: path, ports, untilIdle, descriptors, log, limit = MAX_RELAYS } = options;
  const timings = { ...RELAY_TIMINGS, ...options.timings };
  const since = Date.now();
  const connections = new Map<ControlConnection, Socket>();
  const daemons = new Set<ControlConnection>();
  const pairs = new Map<string, HostAddress>();
  const tell = (event: RelayEvent) => {
    for (const daemon of daemons) daemon.send(event);
  };
  const relays = new Relays({
    ports,
    limit,
    descriptors,
    timings,
    onDialFailed: (node, endpoint, failure) => {
      const address = hostPort(endpoint.address, endpoint.port);
      log.debug({ node, address, reason: failure.code, error: failure.reason }, "endpoint not reached");
      tell({ type: "dial-failed", node, endpoint, ...failure });
    },
    onNotice: (message) => {
      log.warn(message);
      tell({ type: "notice", message });
    },
  });

  const remember = ({ host, address }: HostAddress): void => {
    // In the order of their last mention; beyond the limit the oldest is forgotten.
    pairs.delete(address);
    pairs.set(address, { host, address });
    const [oldest] = pairs.keys();
    if (pairs.size > MAX_PAIRS && oldest !== undefined) pairs.delete(oldest);
  };

  const handle = async (request: RelayRequest): Promise<RelayReply> => {
    const { id } = request;
    switch (request.type) {
      case "ensure": {
        const { node, address, endpoints } = request;
        const relayed = await relays.ensure({ node, address, endpoints });
        if (relayed.outcome === "failed") return { type: "refused", id, reason: relayed.reason };
        return { type: "ensured", id, port: relayed.port };
      }
      case "pair":
        remember(request);
        return { type: "kept", id };
      case "status": {
        const { states, totals } = relays;
        const status = { pid: process.pid, since, daemons: daemons.size, relays: states, totals };
        return { type: "status", id, status };
      }
      default:
        return request satisfies never;
    }
  };

  const accept = (stream: Socket) => {
    const connection = new ControlConnection(stream, {
      pairs: () => Array.from(pairs.values()),
      handle,
      helloLimit: timings.hello,
      log,
      onDaemon: (pid) => {
        daemons.add(connection);
        log.info({ daemon: pid }, "daemon connected");
        stream.once("close", () => log.info({ daemon: pid }, "daemon disconnected"));
      },
    });
    connections.set(connection, stream);
    stream.once("close", () => {
      connections.delete(connection);
      daemons.delete(connection);
    });
    if (connections.size > MAX_CONTROL_CONNECTIONS) connection.fail("too many connections to the control socket");
  };

  const control = new StandingSocket(path, accept, {
    // The daemons connect to the process that has the path now.
    onTaken: () => {
      for (const stream of connections.values()) stream.destroy();
    },
    log,
  });
  await control.open();

  let announceIdle: (why: string) => void = () => {};
  const idle = new Promise<string>((resolve) => {
    announceIdle = resolve;
  });
  let idleSince = performance.now();
  const sweep = async () => {
    relays.sweep();
    await control.keep();
    if (daemons.size > 0 || relays.openLinks > 0) idleSince = performance.now();
    if ((untilIdle || control.isTaken) && performance.now() - idleSince >= timings.idleProcess) announceIdle("idle");
  };
  const interval = Math.min(SWEEP_INTERVAL, timings.idleListener / 4, timings.idleProcess / 4);
  const timer = setInterval(() => void sweep(), interval);

  return {
    idle,
    openLinks: () => relays.openLinks,
    close: async () => {
      clearInterval(timer);
      const closed = control.close();
      for (const stream of connections.values()) stream.destroy();
      await Promise.all([relays.close(), closed]);
    },
  };
}
