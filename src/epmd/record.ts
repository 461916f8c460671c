import type { DaemonEvent, Observe } from "../daemon/core/observations.js";
import { formatNodeName } from "../names/node-name.js";
import { hostPort } from "../net/ip.js";
import type { NodeResolver } from "../resolve/node-resolver.js";
import type { RequestResult } from "./answer.js";
import type { LookedUp } from "./look-up.js";
import type { Peer, PeerLog } from "./peer.js";
import type { EpmdRequest, EpmdResponse } from "./wire/messages.js";

/** Alive name and host, as long as they can be. */
const LONGEST_LOGGED_NAME = 255 + 1 + 253;

export interface RecordDeps {
  readonly nodes: Pick<NodeResolver, "fullName">;
  readonly observe: Observe;
  readonly log: PeerLog;
}

/** When a request came, and how long its answer took. */
export interface Timing {
  /** Milliseconds since the epoch. */
  readonly at: number;
  readonly elapsedMs: number;
}

/** Logs a look-up, and reports it to the metrics and the status page. */
export function recordLookUp(
  lookedUp: LookedUp,
  peer: Peer,
  timing: Timing,
  { nodes, observe, log }: RecordDeps,
): void {
  logNoPort(lookedUp, peer, log);
  const { response, way, asked, node, resolution, noPort } = lookedUp;
  const found = resolution?.outcome === "found" ? resolution : undefined;
  const name = node ? nodes.fullName(node) : asked.slice(0, LONGEST_LOGGED_NAME);
  if (found?.leftOut)
    log.debug(
      { node: name, leftOut: found.leftOut },
      "some records, endpoints or probes of this look-up were not used: it reached a limit",
    );
  observe({
    type: "look-up",
    at: timing.at,
    node: name,
    asker: peer.address,
    here: peer.sameHost,
    way,
    outcome: noPort?.outcome ?? "found",
    // A node that lives here is answered from the registry without a resolution.
    source: found?.source ?? (noPort ? undefined : "registry"),
    stale: found?.stale ?? false,
    port: response.result === 0 ? response.port : undefined,
    endpoints: found?.endpoints.map((endpoint) => hostPort(endpoint)) ?? NONE,
    reason: noPort?.reason,
    elapsedMs: timing.elapsedMs,
  });
}

const NONE: readonly string[] = [];

function logNoPort({ asked, node, way, noPort }: LookedUp, peer: Peer, log: PeerLog): void {
  if (!noPort) return;
  const { outcome, reason } = noPort;
  const where = { node: (node ? formatNodeName(node) : asked).slice(0, LONGEST_LOGGED_NAME), peer: hostPort(peer) };
  // At a gateway address `unreachable` means that the relay process failed.
  if (outcome === "unavailable" || (outcome === "unreachable" && way === "gateway")) {
    log.warn({ ...where, reason }, "look-up failed");
    return;
  }
  // Strangers' look-ups are of interest only where a stock client gets no port for a node that is there.
  log[peer.local || outcome === "unreachable" ? "info" : "debug"]({ ...where, reason }, "node not found");
}

/** A request and its answer, as the metrics count them. */
export function requestEvent(request: EpmdRequest, result: RequestResult): DaemonEvent {
  // An ALIVE2_REQ, whatever the reason of its refusal.
  const type = request.type === "ALIVE2_REQ_REFUSED" ? "ALIVE2_REQ" : request.type;
  return { type: "request", request: type, result: result.action === "close" ? "closed" : resultOf(result.response) };
}

function resultOf(response: EpmdResponse): "ok" | "not-found" | "refused" {
  switch (response.type) {
    case "ALIVE2_RESP":
      return response.result === 0 ? "ok" : "refused";
    case "PORT2_RESP":
      return response.result === 0 ? "ok" : "not-found";
    case "KILL_RESP":
      return response.text === "OK" ? "ok" : "refused";
    case "STOP_RESP":
      return response.text === "STOPPED" ? "ok" : "not-found";
    default:
      return "ok";
  }
}

/** A request as the debug log shows it. */
export function describeRequest(request: EpmdRequest): string {
  switch (request.type) {
    case "ALIVE2_REQ":
      return `ALIVE2_REQ ${request.aliveName} port ${request.port}`;
    case "ALIVE2_REQ_REFUSED":
      return `ALIVE2_REQ with ${request.reason}`;
    case "PORT_PLEASE2_REQ":
      return `PORT_PLEASE2_REQ ${request.name}`;
    case "STOP_REQ":
      return `STOP_REQ ${request.aliveName}`;
    case "NAMES_REQ":
      return request.pattern === undefined ? request.type : `${request.type} ${request.pattern}`;
    default:
      return request.type;
  }
}

export function describeResult(result: RequestResult): string {
  if (result.action === "close") return `closed: ${result.reason}`;
  return describeResponse(result.response);
}

function describeResponse(response: EpmdResponse): string {
  switch (response.type) {
    case "ALIVE2_RESP":
      return response.result === 0 ? `registered, creation ${response.creation}` : "refused";
    case "PORT2_RESP":
      return response.result === 0 ? `port ${response.port}` : "not found";
    case "NAMES_RESP":
    case "DUMP_RESP":
      return `${response.nodes.length} names`;
    case "NAMES_MATCH_RESP":
      return `${response.names.length} names match`;
    default:
      return response.text;
  }
}
