import { hostPort } from "../../net/ip.js";
import { ageWords, listed } from "../../text.js";
import type { ClusterNode } from "./instances.js";

/** A name that several live nodes have, with an entry of each. */
export interface TwiceNamed {
  readonly node: string;
  readonly entries: readonly ClusterNode[];
}

/** Names under which more than one node is published that is not critical: look-ups lead to any of them. */
export function twiceNamed(nodes: readonly ClusterNode[]): TwiceNamed[] {
  const byName = new Map<string, ClusterNode[]>();
  for (const node of nodes) {
    if (node.health === "critical") continue;
    // DNS and Consul compare names without case.
    const name = node.node.toLowerCase();
    byName.set(name, [...(byName.get(name) ?? []), node]);
  }
  return Array.from(byName.values()).flatMap((same) => {
    const entries = same.filter((entry, index) => !same.slice(0, index).some((other) => isSameNode(entry, other)));
    return entries.length > 1 ? [{ node: entries[0]?.node ?? "", entries }] : [];
  });
}

/** One node has an entry for each family, and may be published by Nomad's service block too. */
function isSameNode(a: ClusterNode, b: ClusterNode): boolean {
  const isSamePlace = a.address === b.address && a.port === b.port;
  return isSamePlace || (a.instance === b.instance && a.machine === b.machine);
}

/** `node_a@svc is there twice: 10.0.0.1:20001 on box1 (3h2m), 10.0.0.2:20002 on box2 (12s)` */
export function twiceWords({ node, entries }: TwiceNamed): string {
  const places = entries.map(({ address, port, machine, age }) => {
    return `${hostPort(address, port)} on ${machine}${age === undefined ? "" : ` (${ageWords(age)})`}`;
  });
  const times = entries.length === 2 ? "twice" : `${entries.length} times`;
  return `${node} is there ${times}: ${listed(places)}`;
}
