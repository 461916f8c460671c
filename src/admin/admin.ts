import { createServer, type Server, type Socket } from "node:net";
import type { IpPort } from "../config/network-values.js";
import type { Logger } from "../daemon/logger.js";
import type { Metrics, Observed } from "../daemon/metrics.js";
import type { Listener } from "../epmd/listener.js";
import { type Peer, PeerLogs, peerOf } from "../epmd/peer.js";
import { ListenError } from "../errors.js";
import { lazily } from "../lazily.js";
import { hostPort } from "../net/ip.js";
import { nomadUrl } from "../nomad/side.js";
import { OpenSockets } from "../os/open-sockets.js";
import { listenError, Places, takePlaces } from "../os/sockets.js";
import type { NodeResolver } from "../resolve/node-resolver.js";
import type { Exposition } from "./exposition.js";
import type { DaemonStatus, StatusDeps } from "./status.js";

interface AdminDeps extends Omit<StatusDeps, "epmd" | "recent" | "since"> {
  readonly observed: Observed;
  /** Of EPMD. */
  readonly listener: Listener;
  readonly nodes: NodeResolver;
  readonly log: Logger;
}

export interface Admin {
  /** `ip:port` */
  readonly address: string;
  /** Call it when readiness has ended. Resolves when /readyz has said so, or after a limit. */
  readonly lameDuck: () => Promise<void>;
  readonly close: () => Promise<void>;
}

/**
 * Status page, health, metrics and JSON over HTTP. It starts as a listening socket; the first connection loads the rest.
 * @returns undefined with --admin none, and where the default port is taken, for example by another daemon of this machine
 * @throws ListenError when the address of --admin cannot be used
 */
export async function startAdmin(deps: AdminDeps): Promise<Admin | undefined> {
  const { config, log } = deps;
  const at = config.admin;
  if (!at) return undefined;
  const sockets = new OpenSockets();
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
      `${refused.message}: there is no status page, health or metrics over HTTP; choose another address with --admin, or none with --admin none`,
    );
    return undefined;
  }
  return {
    address: hostPort({ address: at.address, port: (server.address() as { port: number }).port }),
    lameDuck: () => lameDuck.over(),
    close: async () => {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      opened?.close();
      await Promise.all([closed, sockets.destroy()]);
    },
  };
}

/** Loads the parts that later requests use. Rejects when one cannot be loaded. */
export async function loadAdmin(): Promise<void> {
  const [[, routes]] = await Promise.all([httpParts(), import("./exposition.js")]);
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
  const streams = new EventStreams(observations, (isLocal) => status.standing(isLocal), log);
  const server = createHttp({
    routes: createRoutes({
      status,
      nodes,
      consulUrl: config.consul,
      nomadUrl: nomadUrl(config),
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
  const { createExposition, readNow } = await import("./exposition.js");
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

/** A checker that has not asked for so long has gone, milliseconds: Nomad and load balancers ask every few seconds. */
const WATCHED = 30_000;
/** A stop waits at most this long for the next question, milliseconds. */
const LIMIT = 1_500;

/**
 * The time between "not ready" and the closed sockets, in which a load balancer learns of the stop from /readyz. There is
 * no wait where nobody has asked for readiness lately.
 */
class LameDuck {
  #askedAt = Number.NEGATIVE_INFINITY;
  #told = false;
  #over: () => void = () => {};

  /** /readyz was answered. */
  asked(ready: boolean): void {
    this.#askedAt = performance.now();
    this.#told = !ready;
    if (!ready) this.#over();
  }

  /** Resolves when "not ready" has been answered, or after the limit. */
  async over(): Promise<void> {
    if (this.#told || performance.now() - this.#askedAt > WATCHED) return;
    let timer: NodeJS.Timeout | undefined;
    await new Promise<void>((resolve) => {
      this.#over = resolve;
      timer = setTimeout(resolve, LIMIT);
    });
    clearTimeout(timer);
  }
}

/** For all peers; strangers may use half of them. */
const MAX_CONNECTIONS = 64;
/** More connections for health checks: as many for local peers as for strangers. */
const SPARE = 4;

/**
 * Limits connections. When all are in use a few more are accepted, on which only health is answered: a client that holds
 * connections open must not make a supervisor restart the daemon. Of these the oldest is closed when another one comes, so
 * they need no timeout.
 */
class Admission {
  readonly #places = new Places(MAX_CONNECTIONS);
  readonly #strangerPlaces = new Places(MAX_CONNECTIONS / 2);
  readonly #spare = { local: new Set<Socket>(), stranger: new Set<Socket>() };
  readonly #logs: PeerLogs;

  constructor(logs: PeerLogs) {
    this.#logs = logs;
  }

  admit(socket: Socket, peer: Peer): void {
    const full = takePlaces(peer.local ? [this.#places] : [this.#places, this.#strangerPlaces], socket);
    if (!full) return;
    const what = full === this.#places ? "all connections are" : "the strangers' half of all connections is";
    if (full.tell()) this.#logs.about(peer).warn({}, `${what} in use: only health is answered over HTTP`);
    const spare = peer.local ? this.#spare.local : this.#spare.stranger;
    const [oldest] = spare;
    if (spare.size >= SPARE) oldest?.destroy();
    spare.add(socket);
    socket.once("close", () => spare.delete(socket));
  }

  /** Only health is answered on it. */
  isSpare(socket: Socket): boolean {
    return this.#spare.local.has(socket) || this.#spare.stranger.has(socket);
  }
}
