import type { NomadEnvironment } from "../config/nomad.js";
import type { ConsulClient } from "../consul/client.js";
import type { Logger } from "../daemon/logger.js";
import { destinationOf, heldByOthers, isInMesh, type MeshSettings } from "../mesh/core/upstreams.js";
import { type DomainSettings, nodeDomain } from "../names/domains.js";
import { META_PORT, type ServiceEntry } from "./core/service-entry.js";

/** The settings that decide whether nodes are in a mesh, and which service each of them has there. */
export interface SharedServiceSettings
  extends Omit<MeshSettings, "nomad">,
    Pick<DomainSettings, "domain" | "consulDomain" | "publishNode"> {
  readonly nomad: Pick<NomadEnvironment, "upstreams" | "allocId">;
}

interface SharedServicesDeps {
  readonly client: Pick<ConsulClient, "healthService" | "localServices">;
  readonly settings: SharedServiceSettings;
  readonly log: Logger;
  readonly signal: AbortSignal;
}

/**
 * Warns once for each service that nodes share it with other instances, whose clients would be sent to distribution
 * ports, or that the operator of the mesh has registered the nodes already.
 */
export class SharedServices {
  readonly #deps: SharedServicesDeps;
  readonly #examined = new Set<string>();
  /** Ids of instances that are in a warning. */
  readonly #told = new Set<string>();

  constructor(deps: SharedServicesDeps) {
    this.#deps = deps;
  }

  /** Best effort: a token may write the service and yet not read its instances. */
  examine({ aliveName, service }: Pick<ServiceEntry, "aliveName" | "service">): void {
    const names = [service, ...this.#serviceInMesh(aliveName)];
    this.#once(names.join(" "), async () => {
      const held = await this.#lookHere(names);
      // Instances of the mesh have a warning of their own, with better advice.
      this.#once(`others ${service}`, () => this.#lookEverywhere(service, held));
    });
  }

  #once(key: string, look: () => Promise<void>): void {
    if (this.#examined.has(key)) return;
    this.#examined.add(key);
    look().catch(() => this.#examined.delete(key));
  }

  /** In a mesh each node may have a service of its own, whose name is not that of the domain. */
  #serviceInMesh(aliveName: string): string[] {
    const { settings } = this.#deps;
    const host = nodeDomain(aliveName, settings);
    return isInMesh(settings) && host !== undefined ? [destinationOf(settings, { aliveName, host })] : [];
  }

  async #lookHere(names: readonly string[]): Promise<string[]> {
    const { client, settings, log, signal } = this.#deps;
    const held = heldByOthers(await client.localServices(signal), names, settings.nomad.allocId);
    const news = held.filter((id) => !this.#told.has(id));
    for (const id of news) this.#told.add(id);
    if (news.length > 0) {
      log.warn(
        { serviceIds: news },
        "the Consul agent has these nodes already, registered by the operator of their mesh, and now they are published a second time, with ports that lead past the mesh: give --register none",
      );
    }
    return held;
  }

  async #lookEverywhere(service: string, known: readonly string[]): Promise<void> {
    const { client, log, signal } = this.#deps;
    const instances = await client.healthService(service, signal);
    const others = instances
      .filter(({ meta, serviceId }) => meta[META_PORT] === undefined && !known.includes(serviceId))
      .map(({ serviceId }) => serviceId);
    if (others.length === 0) return;
    log.warn(
      { service, serviceIds: others.slice(0, 5) },
      `the service ${service} also has ${others.length} instances that are not distribution ports: give the nodes a service of their own, such as ${service}-dist`,
    );
  }
}
