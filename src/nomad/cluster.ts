import { type ClusterNode, clusterNodes } from "../catalogue/core/instances.js";
import type { AskedService } from "../catalogue/core/matching.js";
import type { ConsulClient } from "../consul/client.js";
import { nodesInConsul } from "../consul/cluster.js";
import { type NomadApiSettings, type NomadSide, queryOf } from "./side.js";

interface ClusterDeps {
  /** Connected where a service of Consul's is asked for. */
  readonly consul: () => Promise<ConsulClient>;
  readonly nomad: NomadSide;
  readonly settings: Pick<NomadApiSettings, "nomadNamespace">;
  /** Milliseconds for an answer. */
  readonly timeout: number;
  /** Milliseconds since the epoch. */
  readonly now: number;
}

/** The nodes of services, each in its catalogue, of any health. @throws ConsulError, NomadError */
export async function nodesInCatalogues(
  services: readonly AskedService[],
  { consul, nomad, settings, timeout, now }: ClusterDeps,
): Promise<ClusterNode[]> {
  const lists = services.map(async (asked): Promise<ClusterNode[]> => {
    if (asked.catalogue === "consul") return nodesInConsul(await consul(), [asked], { timeout, now });
    const query = queryOf(asked.domain, settings);
    const { instances } = await (await nomad.connect()).instances(query, { signal: AbortSignal.timeout(timeout) });
    const members = instances.map(({ id, allocId, nodeId, ...rest }) => {
      const place = { serviceId: allocId.slice(0, SHORT_ID) || id, machine: nodeId.slice(0, SHORT_ID) };
      return { ...rest, ...place, meta: {}, critical: false, health: "unknown", weight: 1 } as const;
    });
    return clusterNodes(members, asked, now);
  });
  return (await Promise.all(lists)).flat();
}

/** Characters of an id, as Nomad's own commands show it. */
const SHORT_ID = 8;
