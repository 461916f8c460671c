import { grouped } from "../../grouped.js";
import { hostPort } from "../../net/ip.js";
import { ageWords, listed } from "../../text.js";
import type { ClusterNode } from "./instances.js";

/** A name that several live nodes have, with an entry of each. */
export interface TwiceNamed {
  readonly node: string;
  readonly entries: readonly ClusterNode[];
}

/**
 * Names under which more than one node is published that is not critical: look-ups lead to any of them. Entries of one
 * instance, or of one address and port, are the same node: one for each IP version, or one by srv-epmd and one by Nomad.
 */
export function twiceNamed(nodes: readonly ClusterNode[]): TwiceNamed[] {
  // DNS and Consul compare names without case.
  const byName = grouped(
    nodes.filter(({ health }) => health !== "critical"),
    ({ node }) => node.toLowerCase(),
  );
  return Array.from(byName.values()).flatMap((same) => {
    const entries = same.filter((entry, index) => !same.slice(0, index).some((other) => isSameNode(entry, other)));
    return entries.length > 1 ? [{ node: entries[0]?.node ?? "", entries }] : [];
  });
}

function isSameNode(a: ClusterNode, b: ClusterNode): boolean {
  const isSamePlace = a.address === b.address && a.port === b.port;
  return isSamePlace || (a.instance === b.instance && a.machine === b.machine);
}

/** `10.0.0.9:20002 on box2` */
export function placeWords(entry: ClusterNode): string {
  return `${hostPort(entry)} on ${entry.machine}`;
}

/** `node_a@svc is there twice: 10.0.0.1:20001 on box1 (3h2m), 10.0.0.2:20002 on box2 (12s)` */
export function twiceWords({ node, entries }: TwiceNamed): string {
  const places = entries.map((entry) => {
    return `${placeWords(entry)}${entry.age === undefined ? "" : ` (${ageWords(entry.age)})`}`;
  });
  const times = entries.length === 2 ? "twice" : `${entries.length} times`;
  return `${node} is there ${times}: ${listed(places)}`;
}
