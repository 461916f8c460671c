import { isAliveName } from "../config/network-values.js";
import { portPlease } from "../epmd/client.js";
import type { RegisteredNode } from "../epmd/core/registry.js";
import { SYNTHETIC_DESCRIPTION } from "../epmd/wire/messages.js";
import { decodeEndpoints } from "../epmd/wire/responses.js";
import type { Family } from "../net/endpoint.js";
import { isLoopback } from "../net/ip.js";
import { type Listening, reachability } from "./core/listeners.js";
import type { LocalEpmd } from "./local-epmd.js";

/** A node that is registered here, as far as its EPMD tells it. */
export type LocalNode = RegisteredNode;

/** Whether one of them has a name. */
export function nameIn(nodes: readonly LocalNode[]): (aliveName: string) => boolean {
  const names = new Set(nodes.map(({ aliveName }) => aliveName));
  return (aliveName) => names.has(aliveName);
}

const ASK_TIMEOUT = 1_000;
/** Each costs a connection to the EPMD, and some more to whoever looks closer. */
export const MOST_NODES = 32;

/** The nodes of the EPMD here, with what only a srv-epmd tells: the family they came over, and an address elsewhere. Never rejects. */
export async function nodesOf(
  { port, holder, holders }: LocalEpmd,
  listeners: readonly Listening[] | undefined,
): Promise<LocalNode[]> {
  const address = holder === holders[0] ? "127.0.0.1" : "::1";
  const named = holder.names.filter(({ name }) => isAliveName(name)).slice(0, MOST_NODES);
  return Promise.all(
    named.map(async ({ name, port: own }): Promise<LocalNode> => {
      const told = holder.kind === "srv-epmd" ? await ask(address, port, name) : [];
      const elsewhere = told.find((endpoint) => !isLoopback(endpoint.address));
      // A VM on IPv6 (inet6_tcp) listens at `::` and is not in the table of IPv4.
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
