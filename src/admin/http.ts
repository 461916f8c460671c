import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { Socket } from "node:net";
import { type Peer, type PeerLogs, peerOf } from "../epmd/peer.js";
import type { Cidr } from "../net/ip.js";
import { refusalOf, saysNotForWhom } from "./core/guard.js";
import type { EventStreams } from "./event-streams.js";
import { type Reply, type Route, text } from "./routes.js";
import { type TurnLimits, Turns } from "./turns.js";

export interface HttpOptions {
  readonly routes: Readonly<Record<string, Route>>;
  readonly streams: EventStreams;
  /** Names of --admin-host, lower case. */
  readonly hosts: readonly string[];
  readonly allow: readonly Cidr[];
  readonly limits?: TurnLimits;
  /** A connection for which there was no place: only health is told on it. */
  readonly isSpare: (socket: Socket) => boolean;
  readonly logs: PeerLogs;
}

const EVENTS = "/v1/events";
/** Told on every connection. */
const HEALTH: ReadonlySet<string | undefined> = new Set(["/livez", "/readyz"]);
/** A connection on which nothing happens is closed after this; event streams say something more often. Milliseconds. */
const IDLE = 60_000;
/** A request is written in one go; the next one may come as late as Prometheus asks again. */
const LIMITS: TurnLimits = { first: 10_000, next: IDLE + 10_000 };
/** Nothing from elsewhere, nothing inline, and no page may show ours within it. */
export const POLICY =
  "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; img-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

const ALL_IN_USE = `all connections are in use: only ${[...HEALTH].join(" and ")} are answered`;
/** Of every answer. */
const HEADERS = {
  "cache-control": "no-store",
  "content-security-policy": POLICY,
  "cross-origin-resource-policy": "same-origin",
  "referrer-policy": "no-referrer",
  "x-content-type-options": "nosniff",
};

/** The HTTP server; it is handed its connections. */
export function createHttp(options: HttpOptions): Server {
  const { logs, allow, limits = LIMITS } = options;
  const turns = new Turns(limits);
  const server = createServer({ keepAliveTimeout: IDLE }, (request, response) => {
    const { socket } = request;
    const peer = peerOf(socket, allow);
    if (!peer) return void response.destroy();
    if (!turns.take(socket, response)) {
      logs.about(peer).debug({}, "HTTP connection closed: a request before the answer to the last one");
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
  // What comes with a request is of no interest.
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
    logs.about(peer).debug({ method, url, reason: refusal.message }, "an HTTP request is refused");
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
    return send(response, text(503, "as many event streams are open as there may be"));
  }
  const route = Object.hasOwn(routes, path) ? routes[path] : undefined;
  if (!route) {
    const known = [...Object.keys(routes), EVENTS].join(" ");
    return send(response, text(404, `nothing is at this path; there are ${known}`));
  }
  send(response, await route({ query: new URLSearchParams(query), peer, forUnknown: saysNotForWhom(guarded) }));
}

function send(response: ServerResponse, { status, type, body }: Reply): void {
  response.writeHead(status, {
    ...HEADERS,
    "content-type": type,
    "content-length": Buffer.byteLength(body),
  });
  response.end(body);
}
