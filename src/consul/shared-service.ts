import { META_PORT } from "../core/service-entry.js";
import type { Logger } from "../logger.js";
import type { ConsulClient } from "./client.js";

/** Says, once a service, that nodes share it with something else: a client of it would be sent to distribution ports. */
export class SharedServices {
  readonly #client: Pick<ConsulClient, "healthService">;
  readonly #log: Logger;
  readonly #signal: AbortSignal;
  readonly #examined = new Set<string>();

  constructor(client: Pick<ConsulClient, "healthService">, log: Logger, signal: AbortSignal) {
    this.#client = client;
    this.#log = log;
    this.#signal = signal;
  }

  /** Best effort: a token may write the service and yet not read the nodes on which its instances are. */
  examine(service: string): void {
    if (this.#examined.has(service)) return;
    this.#examined.add(service);
    this.#look(service).catch(() => this.#examined.delete(service));
  }

  async #look(service: string): Promise<void> {
    const instances = await this.#client.healthService(service, this.#signal);
    const others = instances.filter(({ meta }) => meta[META_PORT] === undefined).map((instance) => instance.serviceId);
    if (others.length === 0) return;
    this.#log.warn(
      { service, others: others.slice(0, 5) },
      `the service ${service} also has ${others.length} instances that are not distribution ports: give the nodes a service of their own, such as ${service}-dist`,
    );
  }
}
