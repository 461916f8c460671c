import type { RegisteredNode, Registry } from "../epmd/core/registry.js";
import { type LookedUp, parseQuery, portAnswer, refusal, unresolved } from "../epmd/look-up.js";
import type { Peer } from "../epmd/peer.js";
import { type PortPlease2Request, SYNTHETIC_DESCRIPTION } from "../epmd/wire/messages.js";
import { formatNodeName, type NodeName } from "../names/node-name.js";
import { accepts } from "../os/sockets.js";
import type { RelayClient } from "../relay/client.js";
import type { Found } from "../resolve/core/resolution.js";
import type { NodeResolver } from "../resolve/node-resolver.js";

export interface GatewayLookUpDeps {
  readonly registry: Registry;
  readonly nodes: Pick<NodeResolver, "resolve">;
  /** The host that an address stands for. */
  readonly hostOf: (address: string) => string | undefined;
  readonly relay: RelayClient["ensure"];
  /** Whether a node that lives here accepts connections at the addresses of the gateway. */
  readonly accepts: (node: RegisteredNode) => Promise<boolean>;
}

/**
 * The gateway's way: the address at which a stock client asks says which host it means, and it will dial that address.
 * What reaches the node there is the node itself, or a relay that leads to it.
 */
export async function lookUpAtGateway(
  { name, forwarded }: PortPlease2Request,
  peer: Peer,
  deps: GatewayLookUpDeps,
): Promise<LookedUp> {
  const written = parseQuery(name);
  const asked = { way: "gateway", asked: name, node: written } as const;
  if (!written) return refusal(asked, { outcome: "refused", reason: "not a name that can be looked up" });
  // A relay is a way to its node for every process here: who asks from elsewhere gets none.
  if (!peer.sameHost) return refusal(asked, { outcome: "refused", reason: "the gateway serves this machine alone" });
  const host = deps.hostOf(peer.dialled);
  // The address says which host is meant. With another one in the name a relay would lead anywhere.
  if (written.host !== undefined && written.host !== host) {
    const reason = `${peer.dialled} stands for ${host ?? "no host"}: names of other hosts are not looked up there`;
    return refusal(asked, { outcome: "refused", reason });
  }
  if (host === undefined) {
    const reason = `${peer.dialled} is an address of the gateway that stands for no host`;
    return refusal(asked, { outcome: "not-found", reason });
  }
  // The asker's resolver has applied its search list before it asked the gateway for the address.
  const node: NodeName = { ...written, host, absolute: true };
  const resolution = await deps.nodes.resolve(node, {
    sameHost: true,
    // The relay tries the endpoints itself, in the order in which they come.
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
  // A Connect proxy may listen at the very address that stands for the host.
  const here = found.source === "upstream" && found.endpoints.find(({ address }) => address === peer.dialled);
  if (here) return portAnswer(asked, aliveName, here.port, description, found);
  const relayed = await deps.relay({
    node: formatNodeName(asked.node),
    address: peer.dialled,
    endpoints: found.endpoints,
  });
  if (relayed.outcome === "relayed") return portAnswer(asked, aliveName, relayed.port, description, found);
  return refusal(asked, { outcome: "unreachable", reason: relayed.reason }, found);
}

/** A loopback connection takes microseconds, unless the VM's backlog is full. Milliseconds. */
const ACCEPT_LIMIT = 500;

/**
 * Whether a node that lives here accepts connections at every address of the gateway. One whose listener is bound to
 * 127.0.0.1 does not. Asked once for each registration: where a VM listens does not change.
 * @param anyAddress of the range, another each time: whoever took just the address of a host must not pass for the VM
 */
export function createAcceptTest(anyAddress: () => string): (node: RegisteredNode) => Promise<boolean> {
  const known = new WeakMap<RegisteredNode, Promise<boolean>>();
  return (node) => {
    const earlier = known.get(node);
    if (earlier) return earlier;
    const result = accepts({ address: anyAddress(), port: node.port }, ACCEPT_LIMIT).then((answer) => {
      // Silence says nothing for the next time; a relay leads to the VM in any case.
      if (answer === undefined) known.delete(node);
      return answer ?? false;
    });
    known.set(node, result);
    return result;
  };
}
