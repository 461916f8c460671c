import type { Logger } from "../daemon/logger.js";
import { obstacleOf } from "./core/obstacles.js";
import type { Held } from "./core/reconcile.js";
import type { HeldCheck, ServiceEntry } from "./core/service-entry.js";
import type { Presence } from "./presence.js";

export interface VisibleDeps {
  readonly presence: Pick<Presence, "forgotten" | "evaded">;
  readonly log: Logger;
  /** An entry has come into Consul's DNS. */
  readonly published: (entry: ServiceEntry) => void;
}

/** Which entries of one name are in Consul's DNS as far as we know, and what the log has been told of it. */
export class Visible {
  readonly #key: string;
  readonly #deps: VisibleDeps;
  /** Entries that the log has been told of, by id. */
  readonly #told = new Map<string, ServiceEntry>();
  /** Ids that the agent did not have although it was given them: what it says of them since is not believed. */
  readonly #doubted = new Set<string>();
  /** What keeps an id out of DNS, its TTL check apart. */
  #obstacles: ReadonlyMap<string, string> = new Map();

  constructor(key: string, deps: VisibleDeps) {
    this.#key = key;
    this.#deps = deps;
  }

  /** It was passed within its TTL, and nothing else keeps it out. */
  has(id: string, { condition, expiresAt }: Held, now: number): boolean {
    return condition === "passing" && expiresAt > now && !this.#obstacles.has(id) && !this.#doubted.has(id);
  }

  /** Why an id is not in DNS, as far as that is no failure of a call. */
  obstacle(id: string): string | undefined {
    const doubt = this.#doubted.has(id) ? "the Consul agent does not have what it was given" : undefined;
    return this.#obstacles.get(id) ?? doubt;
  }

  get isDoubted(): boolean {
    return this.#doubted.size > 0;
  }

  /** Takes over what a look at the agent has shown of these ids. */
  observe(ids: ReadonlySet<string>, checks: readonly HeldCheck[]): void {
    this.#obstacles = new Map(
      Array.from(ids).flatMap((id) => {
        const obstacle = obstacleOf(id, checks);
        return obstacle ? [[id, obstacle.words] as const] : [];
      }),
    );
  }

  /** The agent does not have it although it was given it. */
  doubt(id: string): void {
    this.forgotten(id);
    this.#doubted.add(id);
  }

  /** The agent has it, or it is ours no more. */
  believe(id: string): void {
    this.#doubted.delete(id);
  }

  forgotten(id: string): void {
    if (this.#told.has(id)) this.#deps.presence.forgotten(id);
  }

  /** Another daemon holds the id. @param own the entry as it is now; the same under another id is no news */
  evaded(id: string, own: ServiceEntry | undefined): void {
    if (own) this.#deps.presence.evaded(id);
    if (this.#told.delete(id) && own) this.#told.set(own.id, own);
  }

  /** Its check was passed. */
  appeared(entry: ServiceEntry): void {
    if (this.#told.get(entry.id) === entry) return;
    this.#told.set(entry.id, entry);
    this.#deps.log.info(describe(entry), "published");
    this.#deps.published(entry);
  }

  withdrawn(id: string, before: Held | undefined): void {
    const told = this.#told.get(id);
    this.#told.delete(id);
    const wasThere = before?.entry === undefined && before?.condition === "passing";
    if (!told && !wasThere) return;
    this.#deps.log.info(told ? describe(told) : { name: this.#key, serviceId: id }, "withdrawn");
  }
}

function describe({ aliveName, id, service, address, port }: ServiceEntry): object {
  return { name: aliveName, service, serviceId: id, address: address ?? "the agent's own", port };
}
