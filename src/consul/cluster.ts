import { type ClusterNode, clusterNodes } from "../catalogue/core/instances.js";
import type { AskedService } from "../catalogue/core/matching.js";
import type { ConsulClient } from "./client.js";

/** The nodes of services in Consul, of any health. @param now milliseconds since the epoch @throws ConsulError */
export async function nodesInConsul(
  client: ConsulClient,
  services: readonly Extract<AskedService, { readonly catalogue: "consul" }>[],
  { timeout, now }: { readonly timeout: number; readonly now: number },
): Promise<ClusterNode[]> {
  const members = await Promise.all(
    services.map(async ({ domain: { service, datacenter } }) =>
      client.members({ service, datacenter }, AbortSignal.timeout(timeout)),
    ),
  );
  return services.flatMap((one, index) => clusterNodes(members[index] ?? [], one, now));
}
