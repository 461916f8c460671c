import type { LookUp, Observe } from "../daemon/core/observations.js";
import { formatNodeName, type NodeName, parseNodeName } from "../names/node-name.js";
import type { Endpoint } from "../net/endpoint.js";
import { hostPort } from "../net/ip.js";
import type { Found, NodeDescription, Resolution } from "../resolve/core/resolution.js";
import type { NodeResolver } from "../resolve/node-resolver.js";
import type { RegisteredNode, Registry } from "./core/registry.js";
import type { Peer, PeerLog, PeerLogs } from "./peer.js";
import { type PortPlease2Request, type PortPlease2Response, SYNTHETIC_DESCRIPTION } from "./wire/messages.js";
import { encodeEndpoints } from "./wire/responses.js";

/** The result of one PORT_PLEASE2 request: the response, and all that the log, the metrics and the page say of it. */
export interface LookedUp {
  readonly response: PortPlease2Response;
  readonly way: LookUp["way"];
  /** The name in the request. */
  readonly asked: string;
  /** The name that was looked up; undefined when the request holds no node name. */
  readonly node: NodeName | undefined;
  /** What the sources answered; undefined when none was asked: a node that lives here, or a refusal. */
  readonly resolution: Resolution | undefined;
  /** Why there is no port. */
  readonly noPort: NoPort | undefined;
}

export interface NoPort {
  readonly outcome: Exclude<LookUp["outcome"], "found">;
  readonly reason: string;
}

export interface LookUpDeps {
  readonly registry: Registry;
  readonly nodes: Pick<NodeResolver, "resolve">;
  /** Port at which others reach a node that lives here; undefined when nobody can. */
  readonly advertisedPort: (node: RegisteredNode) => number | undefined;
  /** Undefined while there is no gateway. */
  readonly gateway: () => GatewayWay | undefined;
}

/** The gateway as the EPMD server uses it. */
export interface GatewayWay {
  /** Whether this address is in the gateway's range. */
  readonly contains: (address: string) => boolean;
  /** Records that the host of this address is in use, so that it keeps its address. */
  readonly markUsed: (address: string) => void;
  readonly lookUp: (request: PortPlease2Request, peer: Peer) => Promise<LookedUp>;
  /** Whether a node that is alive here has the host of this address. */
  readonly belongsToHost: (node: RegisteredNode, address: string) => boolean;
}

/** The part of a look-up's result that the request alone decides. */
type Requested = Pick<LookedUp, "way" | "asked" | "node">;

/** Spelled out, not spread: every look-up passes here, and V8 copies a spread object slowly. */
function lookedUp(
  { way, asked, node }: Requested,
  response: PortPlease2Response,
  resolution: Resolution | undefined,
  noPort: NoPort | undefined,
): LookedUp {
  return { response, way, asked, node, resolution, noPort };
}

const NOT_FOUND = { type: "PORT2_RESP", result: 1 } as const;

/**
 * The rule for answers: a port is answered only if dialling it, at the address this client will dial, reaches the node.
 * A stock client dials the address at which it asked; one that asks with a host part reads the endpoints in Extra.
 */
export function lookUp(request: PortPlease2Request, peer: Peer, deps: LookUpDeps): LookedUp | Promise<LookedUp> {
  const { name, withHost, forwarded } = request;
  const gateway = deps.gateway();
  if (!withHost && gateway?.contains(peer.dialled)) return gateway.lookUp(request, peer);
  const way = withHost ? "module" : "host";
  // A name with a host part goes through the resolver: `web@other.service.consul` is not the local `web`.
  const local = withHost ? undefined : deps.registry.get(name);
  const node = parseRequestedName(name);
  const asked = { way, asked: name, node } as const;
  if (local && local.address === undefined) return answerLocal(local, asked, peer, deps);
  if (!node) return refusal(asked, { outcome: "refused", reason: "not a name that can be looked up" });
  const refused = refusedName(node, peer);
  if (refused !== undefined) return refusal(asked, { outcome: "refused", reason: refused });
  const usable = (endpoint: Pick<Endpoint, "address">) => withHost || endpoint.address === peer.dialled;
  const resolution = deps.nodes.resolve(node, {
    sameHost: peer.sameHost,
    dialled: peer.dialled,
    mayProbe: peer.local,
    forStranger: !peer.local || forwarded,
    usable,
  });
  const conclude = (settled: Resolution) =>
    settled.outcome === "found"
      ? answerFound({ ...asked, node }, settled, { withHost, usable, peer, registry: deps.registry })
      : unresolved(asked, settled, withHost);
  return resolution instanceof Promise ? resolution.then(conclude) : conclude(resolution);
}

/** Why this peer may not look a name up: strangers may ask for the nodes here, and may not use us to ask elsewhere. */
export function refusedName({ form }: NodeName, { local, address }: Peer): string | undefined {
  if (local || form === "bare") return undefined;
  return `names with a host part are looked up for local peers only (--allow ${address})`;
}

function answerLocal(node: RegisteredNode, asked: Requested, peer: Peer, deps: LookUpDeps): LookedUp {
  const port = peer.sameHost ? node.port : deps.advertisedPort(node);
  if (port !== undefined) return portAnswer(asked, node.aliveName, port, node, undefined);
  return refusal(asked, {
    outcome: "unreachable",
    reason:
      "other machines cannot dial the node: its port is not a mapped port of this bridge network, or it is reached by Connect alone (--connect-native)",
  });
}

interface Choice {
  readonly withHost: boolean;
  readonly usable: (endpoint: Endpoint) => boolean;
  readonly peer: Peer;
  readonly registry: Registry;
}

function answerFound(
  asked: Requested & { node: NodeName },
  found: Found,
  { withHost, usable, peer, registry }: Choice,
): LookedUp {
  const { endpoints, source, description = SYNTHETIC_DESCRIPTION } = found;
  const { aliveName } = asked.node;
  // A node that lives here is reached at each address of this machine.
  const livesHere = source === "registry" && registry.get(aliveName)?.address === undefined;
  const chosen = livesHere ? endpoints[0] : endpoints.find(usable);
  if (!chosen) {
    const places = endpoints.map((endpoint) => hostPort(endpoint)).join(", ");
    const reason = `the node is at ${places}, but this client would dial ${peer.dialled}`;
    return refusal(asked, { outcome: "unreachable", reason }, found);
  }
  const extra = withHost ? encodeEndpoints(endpoints) : description.extra;
  return portAnswer(asked, aliveName, chosen.port, { ...description, extra }, found);
}

/** The name in a PORT_PLEASE2 request; undefined when it is no node name. */
export function parseRequestedName(name: string): NodeName | undefined {
  try {
    return parseNodeName(name);
  } catch {
    return undefined;
  }
}

export function portAnswer(
  asked: Requested,
  aliveName: string,
  port: number,
  { nodeType, protocol, highestVersion, lowestVersion, extra }: NodeDescription,
  resolution: Resolution | undefined,
): LookedUp {
  const response = {
    type: "PORT2_RESP",
    result: 0,
    port,
    aliveName,
    nodeType,
    protocol,
    highestVersion,
    lowestVersion,
    extra,
  } as const;
  return lookedUp(asked, response, resolution, undefined);
}

export function refusal(asked: Requested, noPort: NoPort, resolution?: Resolution): LookedUp {
  return lookedUp(asked, NOT_FOUND, resolution, noPort);
}

/** @param withHost the client reads a reason behind the result */
export function unresolved(asked: Requested, resolution: Exclude<Resolution, Found>, withHost: boolean): LookedUp {
  const { outcome } = resolution;
  const reason = outcome === "unavailable" ? resolution.cause : resolution.reason;
  const response = withHost ? { ...NOT_FOUND, reason } : NOT_FOUND;
  return lookedUp(asked, response, resolution, { outcome, reason });
}

export interface RecordedLookUpDeps extends LookUpDeps {
  readonly nodes: Pick<NodeResolver, "resolve" | "fullName">;
  readonly observe: Observe;
  readonly logs: Pick<PeerLogs, "of">;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
}

/**
 * Looks up, and records the look-up, unless a srv-epmd asks: the VM for which that asks is in the records there, and behind a
 * command there is none. No promise for a node that lives here: it is answered at once.
 */
export function answerLookUp(
  request: PortPlease2Request,
  peer: Peer,
  deps: RecordedLookUpDeps,
): PortPlease2Response | Promise<PortPlease2Response> {
  const { nodes, observe, logs } = deps;
  const at = deps.now();
  const startedAt = performance.now();
  const record = (result: LookedUp) => {
    if (request.forwarded) return result.response;
    const elapsedMs = Math.round((performance.now() - startedAt) * 100) / 100;
    recordLookUp(result, peer, { at, elapsedMs }, { nodes, observe, log: logs.of(peer) });
    return result.response;
  };
  const result = lookUp(request, peer, deps);
  return result instanceof Promise ? result.then(record) : record(result);
}

/** Endpoints of a look-up that found none. */
const NONE: readonly string[] = [];
/** Alive name and host, as long as they can be. */
const LONGEST_LOGGED_NAME = 255 + 1 + 253;

interface RecordDeps {
  readonly nodes: Pick<NodeResolver, "fullName">;
  readonly observe: Observe;
  readonly log: PeerLog;
}

/** When a request came, and how long its answer took. */
interface Timing {
  /** Milliseconds since the epoch. */
  readonly at: number;
  readonly elapsedMs: number;
}

/** Logs a look-up, and reports it to the metrics and the status page. */
export function recordLookUp(result: LookedUp, peer: Peer, timing: Timing, { nodes, observe, log }: RecordDeps): void {
  logNoPort(result, peer, log);
  const { response, way, asked, node, resolution, noPort } = result;
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
    code: resolution?.outcome === "found" ? undefined : resolution?.code,
    elapsedMs: timing.elapsedMs,
  });
}

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
