import type { ClusterNode } from "../../catalogue/core/instances.js";
import { hostPort } from "../../net/ip.js";

/**
 * Nodes that live at several places under one name: VMs that dial the name reach either. Entries of one instance, or of one
 * address and port, are the same node: one for each IP version, or one by srv-epmd and one by Nomad. Those that DNS leaves
 * out are not counted.
 * @returns by name in lower case, which is how DNS compares, the places: `10.0.0.9:20002 on box2`
 */
export function namesakesIn(nodes: readonly ClusterNode[]): ReadonlyMap<string, readonly string[]> {
  const byName = new Map<string, ClusterNode[]>();
  for (const node of nodes) {
    if (node.health === "critical") continue;
    const key = node.node.toLowerCase();
    byName.set(key, [...(byName.get(key) ?? []), node]);
  }
  return new Map(
    Array.from(byName, ([name, same]) => [name, distinctPlaces(same)] as const).filter(
      ([, places]) => places.length > 1,
    ),
  );
}

function distinctPlaces(nodes: readonly ClusterNode[]): string[] {
  const instances = new Set<string>();
  const places = new Set<string>();
  return nodes.flatMap((node) => {
    const place = hostPort(node);
    const instance = `${node.instance} ${node.machine}`;
    const isKnown = instances.has(instance) || places.has(place);
    instances.add(instance);
    places.add(place);
    return isKnown ? [] : `${place} on ${node.machine}`;
  });
}
