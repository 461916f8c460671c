import { ID_PREFIX } from "../../publish/core/service-entry.js";

/** A service of the agent, registered by us or by another program. */
export interface LocalService {
  readonly id: string;
  readonly service: string;
  /** Of a Connect proxy: the id of its service instance. */
  readonly proxyOf: string | undefined;
  /** Connect-native: it needs no proxy. */
  readonly native: boolean;
}

/**
 * Ids of the instances that another program has registered for the nodes that we publish: those of services with these
 * names that have a sidecar proxy, or that Nomad registered for our allocation.
 */
export function heldByOthers(
  services: readonly LocalService[],
  names: readonly string[],
  allocId: string | undefined,
): string[] {
  const wanted = new Set(names.map((name) => name.toLowerCase()));
  const proxied = new Set(services.map(({ proxyOf }) => proxyOf));
  return services
    .filter(
      ({ id, service, proxyOf }) =>
        !id.startsWith(ID_PREFIX) && proxyOf === undefined && wanted.has(service.toLowerCase()),
    )
    .filter(({ id, native }) => native || proxied.has(id) || (allocId !== undefined && id.includes(allocId)))
    .map(({ id }) => id);
}
