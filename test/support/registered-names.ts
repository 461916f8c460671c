import { setTimeout as sleep } from "node:timers/promises";
import type { Cluster } from "./cluster.js";

/** Names that have registered with the daemon of a machine since it was started. */
export function registeredNames(cluster: Cluster, index: number): string[] {
  const lines = cluster.daemon(index).log();
  return lines.flatMap(({ msg, node }) => (msg === "node registered" ? [node as string] : []));
}

/** Every tag that Consul's agent shows, at one of fifty looks a second. */
export function watchTags({ consul }: Cluster): { readonly stop: () => Promise<string[]> } {
  const seen = new Set<string>();
  let over = false;
  const looking = (async () => {
    while (!over) {
      const { body } = await consul.request("GET", "/v1/agent/services");
      for (const { Tags } of Object.values(body as Record<string, { Tags: string[] }>)) {
        for (const tag of Tags) seen.add(tag);
      }
      await sleep(20);
    }
  })();
  return {
    stop: async () => {
      over = true;
      await looking;
      return Array.from(seen).sort();
    },
  };
}
