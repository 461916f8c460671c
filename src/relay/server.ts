import type { Socket } from "node:net";
import type { Duplex } from "node:stream";
import type { PortRange } from "../config/network-values.js";
import type { Logger } from "../daemon/logger.js";
import { describeError } from "../errors.js";
import type { HostAddress } from "../gateway/core/addresses.js";
import { hostPort } from "../net/ip.js";
import { Sampling } from "../sampling.js";
import { StandingSocket } from "./control-socket.js";
import { MAX_CONTROL_CONNECTIONS, MAX_PAIRS, MAX_RELAYS, RELAY_TIMINGS, type RelayTimings } from "./limits.js";
import type { NativeEnd } from "./native-end.js";
import { Relays } from "./relays.js";
import {
  encodeLine,
  type Hello,
  lineReader,
  MAX_REQUEST_LINE,
  parseDaemonLine,
  RELAY_PROTOCOL_VERSION,
  type RelayEvent,
  type RelayReply,
  type RelayRequest,
} from "./wire/protocol.js";

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

/** Characters of a reason that is told: the protocol's texts have 1024 at most. */
const MAX_TEXT = 1_000;
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
  const onNotice = (message: string) => {
    log.warn(message);
    tell({ type: "notice", message });
  };
  const relays = new Relays({
    ports,
    secure: async (far, node, peer) => (await nativeEnd()).secure(far, node, peer),
    limit,
    descriptors,
    timings,
    onDialFailed: (node, endpoint, { code, reason }) => {
      const address = hostPort(endpoint.address, endpoint.port);
      log.debug({ node, address, reason: code, error: reason }, "endpoint not reached");
      // What a peer's certificate says may be longer than a text of the protocol.
      const failure = { reason: reason.slice(0, MAX_TEXT) || "no reason given", ...(code !== undefined && { code }) };
      tell({ type: "dial-failed", node, endpoint, ...failure });
    },
    onNotice,
  });

  const sampling = new Sampling();
  let native: NativeEnd | undefined;
  let loading: Promise<NativeEnd> | undefined;
  /** All that it needs is loaded at once: the files of this release may be gone later. */
  const nativeEnd = (): Promise<NativeEnd> => {
    loading ??= import("./native-end.js").then((parts) => {
      native = new parts.NativeEnd({
        linger: timings.linger,
        admit: () => relays.admit(),
        onLinkEnd: () => relays.linkEnded(),
        hasRoomFor: (callers) => relays.hasRoomFor(callers),
        onRefused: (refusal) => {
          const { code, caller, node } = refusal;
          // It may try again and again.
          const leftOut = sampling.take(`${code} ${caller ?? ""} ${node ?? ""}`, performance.now());
          if (leftOut === undefined) return;
          log.info(
            { ...refusal, ...(leftOut > 0 && { leftOut }) },
            code === "CUT" ? "a link is cut" : "a caller is not let in",
          );
          tell({ type: "caller-refused", ...refusal, leftOut });
        },
        onNotice,
        log,
      });
      return native;
    });
    return loading;
  };

  const remember = ({ host, address }: HostAddress): void => {
    // In the order of their last mention; beyond the limit the oldest is forgotten.
    pairs.delete(address);
    pairs.set(address, { host, address });
    const [oldest] = pairs.keys();
    if (pairs.size > MAX_PAIRS && oldest !== undefined) pairs.delete(oldest);
  };

  /** @throws where the daemon has gone meanwhile: it would stay in charge */
  const nativeEndFor = async (daemon: ControlConnection): Promise<NativeEnd> => {
    const end = await nativeEnd();
    if (!connections.has(daemon)) throw new Error("the daemon has gone");
    return end;
  };
  /** @param daemon who asks */
  const handle = async (request: RelayRequest, daemon: ControlConnection): Promise<RelayReply> => {
    const { id } = request;
    switch (request.type) {
      case "ensure": {
        const { node, address, endpoints, peer } = request;
        const relayed = await relays.ensure({ node, address, endpoints, ...(peer && { peer }) });
        if (relayed.outcome === "failed") return { type: "refused", id, reason: relayed.reason };
        return { type: "ensured", id, port: relayed.port };
      }
      case "pair":
        remember(request);
        return { type: "kept", id };
      case "status": {
        const { states, totals } = relays;
        const ends = native?.status;
        const status = { pid: process.pid, since, daemons: daemons.size, relays: states, totals };
        return { type: "status", id, status: { ...status, ...(ends && { native: ends }) } };
      }
      case "native":
        return { type: "native", id, port: await (await nativeEndFor(daemon)).configure(request, daemon) };
      case "serve":
        (await nativeEndFor(daemon)).serve(request, daemon);
        return { type: "kept", id };
      case "drop":
        (await loading)?.drop(request.node, daemon);
        return { type: "kept", id };
      default:
        return request satisfies never;
    }
  };

  let isClosing = false;
  const accept = (stream: Socket) => {
    // A daemon connects again at once, while the path is still there.
    if (isClosing) return void stream.destroy();
    const connection: ControlConnection = new ControlConnection(stream, {
      pairs: () => Array.from(pairs.values()),
      handle: (request) => handle(request, connection),
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
      native?.left(connection);
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
    native?.sweep(timings.stall);
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
      isClosing = true;
      clearInterval(timer);
      const closed = control.close();
      for (const stream of connections.values()) stream.destroy();
      await Promise.all([relays.close(), native?.close(), closed]);
    },
  };
}

interface ControlOptions {
  readonly pairs: () => readonly HostAddress[];
  readonly handle: (request: RelayRequest) => Promise<RelayReply>;
  /** A daemon has said hello. */
  readonly onDaemon: (pid: number) => void;
  /** For its hello, milliseconds. */
  readonly helloLimit: number;
  readonly log: Logger;
}

/** Bytes that a daemon may leave unread: one that does not read must not use up our memory. */
const MAX_UNREAD = 32 * 1024 * 1024;

/** The connection of one daemon to the control socket. */
export class ControlConnection {
  readonly #stream: Duplex;
  readonly #options: ControlOptions;
  readonly #timer: NodeJS.Timeout;
  #state: "new" | "ready" | "ending" = "new";

  constructor(stream: Duplex, options: ControlOptions) {
    this.#stream = stream;
    this.#options = options;
    this.#timer = setTimeout(() => this.fail(`no hello within ${options.helloLimit} ms`), options.helloLimit);
    const read = lineReader({
      limit: MAX_REQUEST_LINE,
      onLine: (line) => this.#take(line),
      onInvalid: (reason) => this.fail(reason),
    });
    stream.on("data", read);
    // A daemon that was killed resets the connection; `close` follows.
    stream.on("error", () => {});
    stream.on("end", () => stream.end());
    stream.on("close", () => clearTimeout(this.#timer));
    stream.write(
      encodeLine({ type: "hello", version: RELAY_PROTOCOL_VERSION, pid: process.pid, pairs: options.pairs() }),
    );
  }

  send(line: RelayReply | RelayEvent): void {
    if (this.#state !== "ready" || this.#stream.destroyed) return;
    if (this.#stream.writableLength > MAX_UNREAD) {
      this.#options.log.warn("connection to a daemon closed: it does not read");
      this.#stream.destroy();
      return;
    }
    this.#stream.write(encodeLine(line));
  }

  /** Sends the daemon the reason, and closes. */
  fail(message: string): void {
    if (this.#state === "ending") return;
    this.#state = "ending";
    clearTimeout(this.#timer);
    this.#options.log.warn({ error: message }, "control connection closed");
    this.#stream.end(encodeLine({ type: "error", message }));
    // The daemon gets time to read it: a close with bytes unread here would be a reset.
    const timer = setTimeout(() => this.#stream.destroy(), this.#options.helloLimit);
    this.#stream.on("close", () => clearTimeout(timer));
  }

  /** @returns whether to read on. @throws ProtocolError */
  #take(text: string): boolean {
    const line = parseDaemonLine(text);
    if (line.type === "hello") this.#greet(line);
    else if (this.#state === "new") this.fail("the first line is not a hello");
    else if (line.type === "unknown") {
      this.send({ type: "refused", id: line.id, reason: `this relay process does not know ${line.name}` });
    } else {
      this.#options
        .handle(line)
        .catch((error: unknown) => ({ type: "refused", id: line.id, reason: describeError(error) }) as const)
        .then((reply) => this.send(reply));
    }
    return this.#state === "ready";
  }

  #greet({ version, pid }: Hello): void {
    if (version !== RELAY_PROTOCOL_VERSION) {
      this.fail(`the relay process speaks version ${RELAY_PROTOCOL_VERSION} of its protocol, not ${version}`);
    } else if (this.#state === "new") {
      clearTimeout(this.#timer);
      this.#state = "ready";
      this.#options.onDaemon(pid);
    }
  }
}
