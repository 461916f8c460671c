import type { Endpoint } from "../core/endpoint.js";
import { encodeEndpoints } from "../core/epmd/endpoints.js";
import { type EpmdResponse, SYNTHETIC_DESCRIPTION } from "../core/epmd/messages.js";
import { formatNodeName, type NodeName } from "../core/node-name.js";
import type { RegisteredNode, Registry } from "../core/registry.js";
import { type Found, type Resolution, servesAll } from "../core/resolution.js";
import type { Asking } from "./observed.js";
import { formatPeer, type Peer, refusedName } from "./peer.js";
import { failed, NOT_FOUND, type NoPort, parseQuery, portAnswer, refuse, type Telling } from "./port-answer.js";

export interface WayDeps extends Asking, Telling {
  readonly registry: Registry;
  /** Port at which others reach a node that lives here; undefined when nobody can. */
  readonly advertisedPort: (node: RegisteredNode) => number | undefined;
  /** Look-ups at the addresses that stand for hosts; undefined when there is no gateway. */
  readonly gatewayWay?: () => GatewayWay | undefined;
}

const NO_NAME: NoPort = { outcome: "refused", reason: "not a name that can be looked up" };

/** The gateway, as far as look-ups go. */
export interface GatewayWay {
  /** Whether this address stands, or might stand, for a host. */
  readonly contains: (address: string) => boolean;
  readonly lookUp: (asked: NodeName, forwarded: boolean, peer: Peer, asking: Asking) => Promise<EpmdResponse>;
  /** Whether a node alive here is one of the host that an address stands for. */
  readonly lives: (node: RegisteredNode, address: string) => boolean;
}

/**
 * From a resolution to the port for this client: a port is answered only if dialling it, at the address this client
 * will dial, reaches the node. A stock client dials the address at which it asked; one that asked with an `@` reads
 * the endpoints in Extra.
 */
export function lookUpPort(
  name: string,
  forwarded: boolean,
  peer: Peer,
  deps: WayDeps,
): EpmdResponse | Promise<EpmdResponse> {
  const gateway = deps.gatewayWay?.();
  if (gateway?.contains(peer.dialled) && !name.includes("@")) {
    const asked = parseQuery(name);
    return asked ? gateway.lookUp(asked, forwarded, peer, deps) : refuse(name, peer, NO_NAME, deps);
  }
  // A local node that calls itself `web@other.service.consul` is not that one.
  const node = name.includes("@") ? undefined : deps.registry.get(name);
  if (node && node.address === undefined) {
    const port = peer.sameHost ? node.port : deps.advertisedPort(node);
    if (port === undefined) {
      const reason = "no port of this bridge network is mapped to the node's";
      return refuse(name, peer, { outcome: "unreachable", reason }, deps);
    }
    return portAnswer(node.aliveName, port, node);
  }
  const asked = parseQuery(name);
  if (!asked) return refuse(name, peer, NO_NAME, deps);
  const refused = refusedName(asked, peer);
  if (refused !== undefined) return refuse(name, peer, { outcome: "refused", reason: refused }, deps);
  const resolution = deps.resolve(asked, {
    sameHost: peer.sameHost,
    dialled: peer.dialled,
    mayProbe: peer.local,
    allowed: (source) => (peer.local && !forwarded) || servesAll(source),
    usable: (endpoint) => isUsable(endpoint, asked, peer),
  });
  return resolution instanceof Promise
    ? resolution.then((settled) => respond(asked, settled, peer, deps))
    : respond(asked, resolution, peer, deps);
}

function isUsable(endpoint: Pick<Endpoint, "address">, { form }: NodeName, { dialled }: Peer): boolean {
  return form === "full" || endpoint.address === dialled;
}

function respond(asked: NodeName, resolution: Resolution, peer: Peer, deps: WayDeps): EpmdResponse {
  switch (resolution.outcome) {
    case "found":
      return respondFound(asked, resolution, peer, deps);
    case "not-found":
      refuse(formatNodeName(asked), peer, resolution, deps);
      return notFound(asked, resolution.reason);
    case "unavailable":
      failed(formatNodeName(asked), peer, { outcome: "unavailable", reason: resolution.cause }, deps);
      return notFound(asked, resolution.cause);
    default:
      return resolution satisfies never;
  }
}

function respondFound(asked: NodeName, found: Found, peer: Peer, deps: WayDeps): EpmdResponse {
  const { endpoints, source, description = SYNTHETIC_DESCRIPTION } = found;
  // A node that lives here is reached at whatever address of ours was dialled.
  const livesHere = source === "registry" && deps.registry.get(asked.aliveName)?.address === undefined;
  const chosen = livesHere ? endpoints[0] : endpoints.find((endpoint) => isUsable(endpoint, asked, peer));
  if (!chosen) {
    const places = endpoints.map((endpoint) => formatPeer(endpoint)).join(", ");
    const reason = `the node is at ${places}, but this client would dial ${peer.dialled}`;
    return refuse(formatNodeName(asked), peer, { outcome: "unreachable", reason }, deps);
  }
  if (asked.form !== "full") return portAnswer(asked.aliveName, chosen.port, description);
  return portAnswer(asked.aliveName, chosen.port, { ...description, extra: encodeEndpoints(endpoints) });
}

/** A client that asked with a full name is told why. */
function notFound({ form }: NodeName, reason: string): EpmdResponse {
  return form === "full" ? { ...NOT_FOUND, reason } : NOT_FOUND;
}
