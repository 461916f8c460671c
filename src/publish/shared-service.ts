import type { Config } from "../config/config.js";
import type { ConsulClient } from "../consul/client.js";
import type { Logger } from "../daemon/logger.js";
import { heldByOthers } from "../mesh/core/second-instance.js";
import { destinationOf, isMeshed } from "../mesh/core/sidecar.js";
import { nodeDomain } from "../names/domains.js";
import { META_PORT, type ServiceEntry } from "./core/service-entry.js";

export interface SharedServicesDeps {
  readonly client: Pick<ConsulClient, "healthService" | "localServices">;
  readonly config: Config;
  readonly log: Logger;
  readonly signal: AbortSignal;
}

/**
 * Says, once a service, that nodes share it with something else (a client of it would be sent to distribution ports), or
 * that whoever runs the mesh has registered them already.
 */
export class SharedServices {
  readonly #deps: SharedServicesDeps;
  readonly #examined = new Set<string>();
  /** Ids of others' instances that were warned of. */
  readonly #told = new Set<string>();

  constructor(deps: SharedServicesDeps) {
    this.#deps = deps;
  }

  /** Best effort: a token may write the service and yet not read the nodes on which its instances are. */
  examine({ aliveName, service }: Pick<ServiceEntry, "aliveName" | "service">): void {
    const names = [service, ...this.#serviceInMesh(aliveName)];
    this.#once(names.join(" "), async () => {
      const held = await this.#lookHere(names);
      // Said already, and with better advice.
      this.#once(`others ${service}`, () => this.#lookEverywhere(service, held));
    });
  }

  #once(key: string, look: () => Promise<void>): void {
    if (this.#examined.has(key)) return;
    this.#examined.add(key);
    look().catch(() => this.#examined.delete(key));
  }

  /** With a service for each node its name is not that of the domain. */
  #serviceInMesh(aliveName: string): string[] {
    const { config } = this.#deps;
    const host = nodeDomain(aliveName, config);
    const isInMesh = isMeshed(config) || config.nomad.upstreams.length > 0;
    return isInMesh && host !== undefined ? [destinationOf(config, { aliveName, host })] : [];
  }

  async #lookHere(names: readonly string[]): Promise<string[]> {
    const { client, config, log, signal } = this.#deps;
    const held = heldByOthers(await client.localServices(signal), names, config.nomad.allocId);
    const news = held.filter((id) => !this.#told.has(id));
    for (const id of news) this.#told.add(id);
    if (news.length > 0) {
      log.warn(
        { services: news },
        "the Consul agent has these nodes already, registered by whoever runs their mesh, and now they are published a second time, with ports that lead past it: give --register none",
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
      { service, others: others.slice(0, 5) },
      `the service ${service} also has ${others.length} instances that are not distribution ports: give the nodes a service of their own, such as ${service}-dist`,
    );
  }
}
