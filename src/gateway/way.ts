import type { RegisteredNode, Registry } from "../epmd/core/registry.js";
import { type LookedUp, parseRequestedName, portAnswer, refusal, unresolved } from "../epmd/look-up.js";
import type { Peer } from "../epmd/peer.js";
import { type PortPlease2Request, SYNTHETIC_DESCRIPTION } from "../epmd/wire/messages.js";
import { formatNodeName, type NodeName } from "../names/node-name.js";
import { accepts } from "../os/sockets.js";
import type { RelayClient } from "../relay/client.js";
import type { RelayPeer } from "../relay/wire/target.js";
import type { Found } from "../resolve/core/resolution.js";
import type { NodeResolver } from "../resolve/node-resolver.js";

export interface GatewayLookUpDeps {
  readonly registry: Registry;
  readonly nodes: Pick<NodeResolver, "resolve">;
  /** The host of an address of the gateway. */
  readonly hostOf: (address: string) => string | undefined;
  readonly relay: RelayClient["ensure"];
  /** The service at the other end of mutual TLS to a host's nodes; absent: nodes are dialled themselves. */
  readonly peerOf?: ((host: string) => RelayPeer | undefined) | undefined;
  /** Whether a node that lives here accepts connections at the addresses of the gateway. */
  readonly accepts: (node: RegisteredNode) => Promise<boolean>;
}

/**
 * A look-up at an address of the gateway. The address says which host the client means, and the client will dial that
 * address: the node itself listens there, or a relay to it.
 */
export async function lookUpAtGateway(
  { name, forwarded }: PortPlease2Request,
  peer: Peer,
  deps: GatewayLookUpDeps,
): Promise<LookedUp> {
  const written = parseRequestedName(name);
  const asked = { way: "gateway", asked: name, node: written } as const;
  if (!written) return refusal(asked, { outcome: "refused", reason: "not a name that can be looked up" });
  // A relay serves processes of this machine only.
  if (!peer.sameHost) return refusal(asked, { outcome: "refused", reason: "the gateway serves this machine alone" });
  const host = deps.hostOf(peer.dialled);
  // Otherwise a client could ask for a relay to any host by writing that host into the name.
  if (written.host !== undefined && written.host !== host) {
    const reason = `${peer.dialled} stands for ${host ?? "no host"}: names of other hosts are not looked up there`;
    return refusal(asked, { outcome: "refused", reason });
  }
  if (host === undefined) {
    const reason = `${peer.dialled} is an address of the gateway that stands for no host`;
    return refusal(asked, { outcome: "not-found", reason });
  }
  // The client's resolver has applied its search list already.
  const node: NodeName = { ...written, host, absolute: true };
  const resolution = await deps.nodes.resolve(node, {
    sameHost: true,
    // The relay tries the endpoints itself, in their order.
    mayProbe: false,
    forStranger: forwarded,
  });
  if (resolution.outcome !== "found") return unresolved({ ...asked, node }, resolution, false);
  return answerFound({ ...asked, node }, resolution, peer, deps);
}

async function answerFound(
  asked: Pick<LookedUp, "way" | "asked"> & { readonly node: NodeName },
  found: Found,
  peer: Peer,
  deps: GatewayLookUpDeps,
): Promise<LookedUp> {
  const { description = SYNTHETIC_DESCRIPTION } = found;
  const { aliveName } = asked.node;
  const local = found.source === "registry" ? deps.registry.get(aliveName) : undefined;
  if (local && local.address === undefined && (await deps.accepts(local))) {
    return portAnswer(asked, aliveName, local.port, description, found);
  }
  // A Connect proxy may listen at the address that stands for the host.
  const here = found.source === "upstream" && found.endpoints.find(({ address }) => address === peer.dialled);
  if (here) return portAnswer(asked, aliveName, here.port, description, found);
  const service = found.source === "catalogue" ? deps.peerOf?.(asked.node.host ?? "") : undefined;
  if (deps.peerOf && found.source === "catalogue" && !service) {
    const reason = "it is no node of a service of Consul, whose certificate it would show";
    return refusal(asked, { outcome: "unreachable", reason }, found);
  }
  const relayed = await deps.relay({
    node: formatNodeName(asked.node),
    address: peer.dialled,
    endpoints: found.endpoints,
    ...(service && { peer: service }),
  });
  if (relayed.outcome === "relayed") return portAnswer(asked, aliveName, relayed.port, description, found);
  return refusal(asked, { outcome: "unreachable", reason: relayed.reason }, found);
}

/** Milliseconds. A loopback connection takes microseconds, unless the VM's backlog is full. */
const ACCEPT_LIMIT = 500;

/**
 * Whether a node that lives here accepts connections at every address of the gateway; a node that listens on 127.0.0.1
 * only does not. Tested once for each registration, because a VM does not change where it listens.
 * @param anyAddress any address of the range: a program that listens at the host's address only must not be taken for the VM
 */
export function createAcceptTest(anyAddress: () => string): (node: RegisteredNode) => Promise<boolean> {
  const known = new WeakMap<RegisteredNode, Promise<boolean>>();
  return (node) => {
    const earlier = known.get(node);
    if (earlier) return earlier;
    const result = accepts({ address: anyAddress(), port: node.port }, ACCEPT_LIMIT).then((accepting) => {
      // A timeout is not cached; a relay reaches the VM in any case.
      if (accepting === undefined) known.delete(node);
      return accepting ?? false;
    });
    known.set(node, result);
    return result;
  };
}
