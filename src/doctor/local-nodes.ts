import { type IpPort, isAliveName } from "../config/network-values.js";
import { portPlease } from "../epmd/client.js";
import type { RegisteredNode } from "../epmd/core/registry.js";
import { SYNTHETIC_DESCRIPTION } from "../epmd/wire/messages.js";
import { decodeEndpoints } from "../epmd/wire/responses.js";
import type { Family } from "../net/endpoint.js";
import { isLoopback, isWildcard } from "../net/ip.js";
import type { LocalEpmd } from "./local-epmd.js";

export interface Reachability {
  /** Addresses at which a port listens. */
  readonly addresses: readonly string[];
  /** Other machines cannot connect. */
  readonly loopbackOnly: boolean;
}

/** From where a port can be reached. */
export function reachability(listeners: readonly IpPort[], port: number): Reachability {
  const addresses = Array.from(new Set(listeners.filter((one) => one.port === port).map(({ address }) => address)));
  return {
    addresses,
    loopbackOnly: addresses.length > 0 && addresses.every((address) => isLoopback(address) && !isWildcard(address)),
  };
}

export const NO_NODE = "no node is registered here";

/** A node that is registered here. EPMD does not tell its creation and since when it lives: both are 0. */
export type LocalNode = RegisteredNode;

/** @returns whether one of the nodes has a name */
export function nameIn(nodes: readonly LocalNode[]): (aliveName: string) => boolean {
  const names = new Set(nodes.map(({ aliveName }) => aliveName));
  return (aliveName) => names.has(aliveName);
}

const ASK_TIMEOUT = 1_000;
/** Nodes that the checks look at: each costs a connection to the EPMD, and more in some checks. */
export const MOST_NODES = 32;

/** The nodes of the EPMD here. Only a srv-epmd tells the family of a registration, and an address elsewhere. Never rejects. */
export async function nodesOf(
  { port, holder, holders }: LocalEpmd,
  listeners: readonly IpPort[] | undefined,
): Promise<LocalNode[]> {
  const address = holder === holders[0] ? "127.0.0.1" : "::1";
  const named = holder.names.filter(({ name }) => isAliveName(name)).slice(0, MOST_NODES);
  return Promise.all(
    named.map(async ({ name, port: own }): Promise<LocalNode> => {
      const told = holder.kind === "srv-epmd" ? await ask(address, port, name) : [];
      const elsewhere = told.find((endpoint) => !isLoopback(endpoint.address));
      // A VM with -proto_dist inet6_tcp listens on `::`.
      const seen: Family = listeners && reachability(listeners, own).addresses.includes("::") ? 6 : 4;
      return {
        ...{ aliveName: name, port: own, family: told[0]?.family ?? seen, origin: "alive2", creation: 0, since: 0 },
        ...SYNTHETIC_DESCRIPTION,
        ...(elsewhere && { address: elsewhere.address }),
      };
    }),
  );
}

/** A srv-epmd answers a full name with endpoints: the loopbacks of the family, or where the node lives. */
async function ask(address: string, port: number, aliveName: string) {
  try {
    const answer = await portPlease({ address, port }, `${aliveName}@localhost`, { timeout: ASK_TIMEOUT });
    return answer ? decodeEndpoints(answer.extra) : [];
  } catch {
    return [];
  }
}
