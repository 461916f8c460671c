import { createServer, type Server, type Socket } from "node:net";
import type { IpPort } from "../config/network-values.js";
import { lazily } from "../daemon/lazily.js";
import type { Logger } from "../daemon/logger.js";
import type { Metrics, Observed } from "../daemon/metrics.js";
import type { Listener } from "../epmd/listener.js";
import { PeerLogs, peerOf } from "../epmd/peer.js";
import { ListenError } from "../errors.js";
import { hostPort } from "../net/ip.js";
import { listenError } from "../os/sockets.js";
import type { NodeResolver } from "../resolve/node-resolver.js";
import { Admission } from "./admission.js";
import type { Exposition } from "./exposition.js";
import { LameDuck } from "./lame-duck.js";
import type { DaemonStatus, StatusDeps } from "./status.js";

export interface AdminDeps extends Omit<StatusDeps, "epmd" | "recent" | "since"> {
  readonly observed: Observed;
  /** The EPMD's. */
  readonly listener: Listener;
  readonly nodes: NodeResolver;
  readonly log: Logger;
}

export interface Admin {
  /** `ip:port` */
  readonly address: string;
  /** Until who asks for readiness has been told that it is over, or a while has gone by. */
  readonly lameDuck: () => Promise<void>;
  readonly close: () => Promise<void>;
}

/**
 * Status page, health, metrics and JSON over HTTP. Until the first connection it is but a listening socket: all else is
 * made then. The default place may be taken, by another daemon of this machine: then there is none.
 * @throws ListenError when a place that was asked for cannot be had
 */
export async function startAdmin(deps: AdminDeps): Promise<Admin | undefined> {
  const { config, log } = deps;
  const at = config.admin;
  if (!at) return undefined;
  const sockets = new Set<Socket>();
  const lameDuck = new LameDuck();
  const since = new Date(deps.now());
  let opened: OpenHttp | undefined;
  const logs = new PeerLogs(log);
  const admission = new Admission(logs);
  const http = lazily(async () => {
    opened = await openHttp({ ...deps, since }, { lameDuck, admission, logs });
    return opened;
  });
  const server = createServer({ noDelay: true }, (socket) => {
    const peer = peerOf(socket, config.allow);
    if (!peer) return void socket.destroy();
    admission.admit(socket, peer);
    sockets.add(socket);
    socket.once("close", () => sockets.delete(socket));
    socket.on("error", (error) => logs.about(peer).debug({ err: error }, "an HTTP connection failed"));
    http().then(
      ({ take }) => take(socket),
      (error: unknown) => {
        logs.about(peer).error({ err: error }, "HTTP cannot be served");
        socket.destroy();
      },
    );
  });
  try {
    await listen(server, at, (error) => log.error({ err: error, address: hostPort(at) }, "listening failed"));
  } catch (error) {
    const refused = listenError(at, error);
    if (config.given.has("admin")) throw new ListenError(refused.code, `--admin: ${refused.message}`, { cause: error });
    log.warn(
      `${refused.message}: no status page, health and metrics over HTTP; choose a place with --admin IP:PORT, or none with --admin none`,
    );
    return undefined;
  }
  return {
    address: hostPort({ address: at.address, port: (server.address() as { port: number }).port }),
    lameDuck: () => lameDuck.over(),
    close: async () => {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      opened?.close();
      for (const socket of sockets) socket.destroy();
      await closed;
    },
  };
}

/** All that is used later. Rejects when a part cannot be loaded. */
export async function loadAdmin(): Promise<void> {
  const [[, routes]] = await Promise.all([httpParts(), expositionParts()]);
  await routes.assets();
}

function httpParts() {
  return Promise.all([
    import("./http.js"),
    import("./routes.js"),
    import("./event-streams.js"),
    import("./status.js"),
  ] as const);
}

function expositionParts() {
  return Promise.all([import("./exposition.js"), import("./readings.js")] as const);
}

interface OpenHttp {
  readonly take: (socket: Socket) => void;
  readonly close: () => void;
}

interface Shared {
  readonly lameDuck: LameDuck;
  readonly admission: Admission;
  readonly logs: PeerLogs;
}

async function openHttp(
  deps: AdminDeps & Pick<StatusDeps, "since">,
  { lameDuck, admission, logs }: Shared,
): Promise<OpenHttp> {
  const { config, nodes, observed, listener, log } = deps;
  const { observations, metrics, recent } = observed;
  const [{ createHttp }, { createRoutes }, { EventStreams }, { DaemonStatus }] = await httpParts();
  const status = new DaemonStatus({ ...deps, recent, epmd: { port: listener.port, addresses: listener.addresses } });
  const exposition = lazily(() => loadExposition(metrics, status, listener));
  const streams = new EventStreams(observations, () => status.standing(), log);
  const server = createHttp({
    routes: createRoutes({
      status,
      nodes,
      consulUrl: config.consul,
      exposition,
      onReadyAsked: (ready) => lameDuck.asked(ready),
    }),
    streams,
    hosts: config.adminHost.map((host) => host.toLowerCase()),
    allow: config.allow,
    isSpare: (socket) => admission.isSpare(socket),
    logs,
  });
  return {
    // https://nodejs.org/api/http.html: "This event can also be explicitly emitted by users to inject connections".
    take: (socket) => void (socket.destroyed || server.emit("connection", socket)),
    close: () => streams.close(),
  };
}

async function loadExposition(metrics: Metrics, status: DaemonStatus, listener: Listener): Promise<Exposition> {
  const [{ createExposition }, { readNow }] = await expositionParts();
  return createExposition(metrics, () => readNow(status, listener.connections));
}

function listen(server: Server, { address, port }: IpPort, onError: (error: Error) => void): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen({ host: address, port }, () => {
      server.off("error", reject);
      // One connection that cannot be accepted must not end the daemon.
      server.on("error", onError);
      resolve();
    });
  });
}
