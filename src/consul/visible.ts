import type { HeldMap } from "../core/reconcile.js";
import type { ServiceEntry } from "../core/service-entry.js";
import type { Logger } from "../logger.js";

/** Which entries of one name are in Consul's DNS as far as we know; every coming and going is one line in the log. */
export class Visible {
  readonly #key: string;
  readonly #log: Logger;
  readonly #entries = new Map<string, ServiceEntry | undefined>();

  constructor(key: string, log: Logger) {
    this.#key = key;
    this.#log = log;
  }

  get ids(): string[] {
    return Array.from(this.#entries.keys());
  }

  /** @param entry undefined for one that was found there @returns whether it is news */
  appear(id: string, entry: ServiceEntry | undefined): boolean {
    const news = entry !== undefined && this.#entries.get(id) !== entry;
    if (news) this.#log.info(describe(entry), "published");
    this.#entries.set(id, entry);
    return news;
  }

  withdraw(id: string): void {
    const entry = this.#entries.get(id);
    if (this.#entries.delete(id)) {
      this.#log.info(entry ? describe(entry) : { name: this.#key, serviceId: id }, "withdrawn");
    }
  }

  forgotten(id: string): void {
    if (this.#entries.delete(id)) this.#log.warn({ serviceId: id }, "the Consul agent has forgotten the entry");
  }

  /** Takes over what a look at the agent has shown. */
  observe(held: HeldMap): void {
    for (const id of this.#entries.keys()) if (!held.has(id)) this.forgotten(id);
    for (const [id, { entry, condition }] of held) {
      if (condition === "passing" && !this.#entries.has(id)) this.#entries.set(id, entry);
    }
  }
}

function describe({ aliveName, id, service, address, port }: ServiceEntry): object {
  return { name: aliveName, service, serviceId: id, address: address ?? "the agent's own", port };
}
