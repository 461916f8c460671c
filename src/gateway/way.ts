import { type EpmdResponse, SYNTHETIC_DESCRIPTION } from "../core/epmd/messages.js";
import { formatNodeName, type NodeName } from "../core/node-name.js";
import type { RegisteredNode, Registry } from "../core/registry.js";
import { type Found, servesAll } from "../core/resolution.js";
import type { Asking } from "../epmd/observed.js";
import type { Peer } from "../epmd/peer.js";
import { failed, portAnswer, refuse, type Telling } from "../epmd/port-answer.js";
import type { RelayClient } from "./relay-client.js";

export interface LookUpDeps extends Asking, Telling {
  readonly registry: Registry;
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
  asked: NodeName,
  forwarded: boolean,
  peer: Peer,
  deps: LookUpDeps,
): Promise<EpmdResponse> {
  const host = asked.host ?? deps.hostOf(peer.dialled);
  if (host === undefined) {
    const reason = `${peer.dialled} is an address of the gateway that stands for no host`;
    return refuse(asked.aliveName, peer, { outcome: "not-found", reason }, deps);
  }
  // The asker's resolver has applied its search list before it asked the gateway for the address.
  const name: NodeName = asked.host === undefined ? { ...asked, host, absolute: true } : { ...asked, host };
  const resolution = await deps.resolve(name, {
    sameHost: true,
    // The relay tries the endpoints itself, in the order in which they come.
    mayProbe: false,
    allowed: (source) => !forwarded || servesAll(source),
  });
  switch (resolution.outcome) {
    case "found":
      return answerFound(name, resolution, peer, deps);
    case "not-found":
      return refuse(formatNodeName(name), peer, resolution, deps);
    case "unavailable":
      return failed(formatNodeName(name), peer, { outcome: "unavailable", reason: resolution.cause }, deps);
    default:
      return resolution satisfies never;
  }
}

async function answerFound(name: NodeName, found: Found, peer: Peer, deps: LookUpDeps): Promise<EpmdResponse> {
  const { description = SYNTHETIC_DESCRIPTION } = found;
  const local = found.source === "registry" ? deps.registry.get(name.aliveName) : undefined;
  if (local && local.address === undefined && (await deps.accepts(local))) {
    return portAnswer(name.aliveName, local.port, description);
  }
  // A Connect proxy may listen at the very address that stands for the host.
  const here = found.source === "upstream" && found.endpoints.find(({ address }) => address === peer.dialled);
  if (here) return portAnswer(name.aliveName, here.port, description);
  const node = formatNodeName(name);
  const relayed = await deps.relay({ node, address: peer.dialled, endpoints: found.endpoints });
  if (relayed.outcome === "failed") {
    return failed(node, peer, { outcome: "unreachable", reason: relayed.reason }, deps);
  }
  return portAnswer(name.aliveName, relayed.port, description);
}
