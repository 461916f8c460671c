import { type IpPort, ipPort } from "../config/network-values.js";
import type { LookUp } from "../daemon/core/observations.js";
import type { Endpoint } from "../net/endpoint.js";
import type { KnownOfNode } from "./core/absent-node.js";
import type { Examination } from "./examination.js";
import type { AskedNode } from "./examined-node.js";

/** What this machine knows of the node that is asked about. Never rejects. */
export async function knownOfNode(asked: AskedNode, examination: Examination): Promise<KnownOfNode> {
  const { daemon, nodes, vms, connect, machine } = examination;
  const { aliveName } = asked.name;
  const [status, here, running, entries] = await Promise.all([
    daemon(),
    nodes(),
    vms(),
    connect()
      .then((client) => client.services())
      .catch(() => []),
  ]);
  const found = status?.lookUps?.find((lookUp) => lookUp.outcome === "found" && isOfNode(lookUp, asked));
  const isLinked = (status?.links ?? []).some((one) => one.state === "told" && one.linked.includes(asked.full));
  const [foundAt] = found?.endpoints ?? [];
  return {
    isItsName: found !== undefined || isLinked,
    foundAt,
    here: here.map((node) => node.aliveName),
    agentHas: entries.map(({ id }) => id),
    runsHere: [...here, ...running].some((one) => one.aliveName === aliveName),
    wasHere: foundAt !== undefined && machine.addresses().includes(ipPort(undefined)(foundAt).address),
  };
}

/** Where the node is found now, and these places with those where look-ups found it before. Never rejects. */
export async function placesOf(
  asked: AskedNode,
  { resolution, daemon }: Pick<Examination, "resolution" | "daemon">,
): Promise<{ readonly endpoints: readonly Endpoint[]; readonly known: readonly IpPort[] }> {
  const [found, status] = await Promise.all([resolution(), daemon()]);
  const endpoints = found.outcome === "found" ? found.endpoints : [];
  const before = status?.lookUps?.filter((lookUp) => isOfNode(lookUp, asked)).flatMap((one) => one.endpoints) ?? [];
  return { endpoints, known: [...endpoints, ...before.map(ipPort(undefined))] };
}

/** A stock VM asks for the alive name alone. */
export function isOfNode({ node }: Pick<LookUp, "node">, { full, name }: AskedNode): boolean {
  return node.toLowerCase() === full.toLowerCase() || node === name.aliveName;
}
