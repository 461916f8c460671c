import { CATALOGUE_TIMINGS, type CatalogueTimings } from "../publish/timings.js";
import type { ConsulClient, ServiceQuery } from "./client.js";
import type { ServiceInstance } from "./core/catalogue.js";
import { ServiceWatch, type WatchDeps } from "./service-watch.js";

/** Each costs a connection to the agent. */
const MAX_SERVICES = 64;

export interface CatalogueDeps extends Pick<WatchDeps, "log"> {
  readonly client: Pick<ConsulClient, "followService">;
  readonly now?: () => number;
  readonly random?: () => number;
  readonly timings?: Partial<CatalogueTimings>;
}

export interface Catalogue {
  /**
   * All instances of a service, from memory once it is followed: that begins with the first who asks, and ends when
   * nobody has asked for 10 minutes. Never rejects.
   * @param limit milliseconds to wait at most, for the first answer
   * @returns undefined when nothing is known
   */
  instances(query: ServiceQuery, limit: number): Promise<readonly ServiceInstance[] | undefined>;
  /** Never rejects. */
  close(): Promise<void>;
}

/** What Consul says of the services that somebody asks for. */
export function createCatalogue(deps: CatalogueDeps): Catalogue {
  return new FollowedServices(deps);
}

interface Followed {
  readonly watch: ServiceWatch;
  readonly idle: NodeJS.Timeout;
}

class FollowedServices implements Catalogue {
  readonly #deps: WatchDeps;
  /** Least recently asked first. */
  readonly #followed = new Map<string, Followed>();
  readonly #ending = new Set<Promise<void>>();
  #closed = false;

  constructor({ client, log, now, random, timings }: CatalogueDeps) {
    this.#deps = {
      client,
      log,
      now: now ?? (() => performance.now()),
      random: random ?? Math.random,
      timings: { ...CATALOGUE_TIMINGS, ...timings },
    };
  }

  async instances(query: ServiceQuery, limit: number): Promise<readonly ServiceInstance[] | undefined> {
    if (this.#closed) return undefined;
    // Consul finds a service whatever its case.
    const key = `${query.service}.${query.datacenter ?? ""}`.toLowerCase();
    const before = this.#followed.get(key);
    const watch = before?.watch ?? new ServiceWatch(query, this.#deps);
    clearTimeout(before?.idle);
    this.#followed.delete(key);
    this.#followed.set(key, { watch, idle: setTimeout(() => this.#drop(key), this.#deps.timings.idle) });
    const [oldest] = this.#followed.keys();
    if (this.#followed.size > MAX_SERVICES && oldest !== undefined) this.#drop(oldest);
    return watch.instances(limit);
  }

  async close(): Promise<void> {
    this.#closed = true;
    for (const key of Array.from(this.#followed.keys())) this.#drop(key);
    await Promise.all(this.#ending);
  }

  #drop(key: string): void {
    const followed = this.#followed.get(key);
    if (!followed) return;
    clearTimeout(followed.idle);
    this.#followed.delete(key);
    const ending = followed.watch.close().finally(() => this.#ending.delete(ending));
    this.#ending.add(ending);
  }
}
