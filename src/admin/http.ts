import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { Socket } from "node:net";
import { type Peer, type PeerLogs, peerOf } from "../epmd/peer.js";
import type { Cidr } from "../net/ip.js";
import { asksForUnknownPage, refusalOf } from "./core/guard.js";
import type { EventStreams } from "./event-streams.js";
import { type Reply, type Route, text } from "./routes.js";

interface HttpOptions {
  readonly routes: Readonly<Record<string, Route>>;
  readonly streams: EventStreams;
  /** Names of --admin-host, lower case. */
  readonly hosts: readonly string[];
  readonly allow: readonly Cidr[];
  readonly limits?: TurnLimits;
  /** Only health is answered on this connection. */
  readonly isSpare: (socket: Socket) => boolean;
  readonly logs: PeerLogs;
}

const EVENTS = "/v1/events";
/** Answered on every connection. */
const HEALTH: ReadonlySet<string | undefined> = new Set(["/livez", "/readyz"]);
/** An idle connection is closed after this; event streams write more often. Milliseconds. */
const IDLE = 60_000;
/** A request is written in one piece; Prometheus sends the next one up to a minute later. */
const LIMITS: TurnLimits = { first: 10_000, next: IDLE + 10_000 };
/** Nothing from other sites, nothing inline, no form to elsewhere, and no frame of another page. */
export const POLICY =
  "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; img-src 'self' data:; base-uri 'none'; form-action 'self'; frame-ancestors 'none'";

const ALL_IN_USE = `all connections are in use: only ${[...HEALTH].join(" and ")} are answered`;
/** In every response. */
const HEADERS = {
  "cache-control": "no-store",
  "content-security-policy": POLICY,
  "cross-origin-resource-policy": "same-origin",
  "referrer-policy": "no-referrer",
  "x-content-type-options": "nosniff",
};

/** The HTTP server. It does not listen: connections are given to it with the event `connection`. */
export function createHttp(options: HttpOptions): Server {
  const { logs, allow, limits = LIMITS } = options;
  const turns = new Turns(limits);
  const server = createServer({ keepAliveTimeout: IDLE }, (request, response) => {
    const { socket } = request;
    const peer = peerOf(socket, allow);
    if (!peer) return void response.destroy();
    if (!turns.take(socket, response)) {
      logs.about(peer).debug({}, "HTTP connection closed: a request came before the answer to the last one");
      return void socket.destroy();
    }
    answer(request, response, peer, options).catch((error: unknown) => {
      logs.about(peer).error({ err: error, url: request.url }, "an HTTP request failed");
      if (!response.headersSent) send(response, text(500, "internal fault; the log says more"));
      else response.destroy();
    });
  });
  server.timeout = IDLE;
  server.on("connection", (socket: Socket) => turns.add(socket));
  return server;
}

async function answer(
  request: IncomingMessage,
  response: ServerResponse,
  peer: Peer,
  options: HttpOptions,
): Promise<void> {
  const { routes, streams, hosts, isSpare, logs } = options;
  const { method = "", url = "/", headers, socket } = request;
  // A body is read and ignored.
  request.resume();
  const guarded = {
    method,
    host: headers.host,
    fetchSite: headers["sec-fetch-site"]?.toString(),
    origin: headers.origin,
    userAgent: headers["user-agent"],
  };
  const refusal = refusalOf(guarded, hosts);
  if (refusal) {
    logs.about(peer).debug({ method, url, reason: refusal.code }, "an HTTP request is refused");
    response.setHeader("connection", "close");
    if (refusal.status === 405) response.setHeader("allow", "GET");
    return send(response, text(refusal.status, refusal.message));
  }
  const [path = "", query] = url.split("?", 2);
  if (isSpare(socket)) {
    response.setHeader("connection", "close");
    if (!HEALTH.has(path)) return send(response, text(503, ALL_IN_USE));
  }
  if (path === EVENTS) {
    if (streams.add(response, peer, HEADERS)) return;
    response.setHeader("connection", "close");
    return send(response, text(503, "too many event streams are open"));
  }
  const route = Object.hasOwn(routes, path) ? routes[path] : undefined;
  if (!route) {
    const known = [...Object.keys(routes), EVENTS].join(" ");
    return send(response, text(404, `there is nothing at this path; the paths are ${known}`));
  }
  send(response, await route({ query: new URLSearchParams(query), peer, forUnknownPage: asksForUnknownPage(guarded) }));
}

function send(response: ServerResponse, { status, type, body }: Reply): void {
  response.writeHead(status, {
    ...HEADERS,
    "content-type": type,
    "content-length": Buffer.byteLength(body),
  });
  response.end(body);
}

/** Milliseconds for a request, from the connection on or from the answer to the one before. */
interface TurnLimits {
  readonly first: number;
  readonly next: number;
}

/**
 * A connection alternates: request, response, next request. A client that is slow with its request loses the connection, and
 * so does one that sends the next request early, which would start thousands at once. (headersTimeout and requestTimeout of
 * node:http work only in servers that listen themselves.)
 */
class Turns {
  readonly #limits: TurnLimits;
  /** Connections on which a request is awaited. */
  readonly #asking = new Map<Socket, NodeJS.Timeout>();

  constructor(limits: TurnLimits) {
    this.#limits = limits;
  }

  /** A new connection. */
  add(socket: Socket): void {
    this.#wait(socket, this.#limits.first);
    socket.once("close", () => this.#end(socket));
  }

  /** A request came. @returns false when none was awaited */
  take(socket: Socket, response: ServerResponse): boolean {
    if (!this.#end(socket)) return false;
    response.once("close", () => socket.destroyed || this.#wait(socket, this.#limits.next));
    return true;
  }

  #wait(socket: Socket, limit: number): void {
    this.#asking.set(
      socket,
      setTimeout(() => socket.destroy(), limit),
    );
  }

  #end(socket: Socket): boolean {
    clearTimeout(this.#asking.get(socket));
    return this.#asking.delete(socket);
  }
}
