import { ID_PREFIX } from "../../publish/core/service-entry.js";

/** A service of the agent, whoever registered it. */
export interface LocalService {
  readonly id: string;
  readonly service: string;
  /** For a Connect proxy the id of the instance that it stands before. */
  readonly proxyOf: string | undefined;
  /** Speaks Connect itself. */
  readonly native: boolean;
}

/**
 * Ids of what somebody else has registered for the nodes that we publish: instances of a service of these names that
 * have a sidecar proxy, or that Nomad registered for our own allocation.
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
