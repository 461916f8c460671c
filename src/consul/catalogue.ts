import type { Logger } from "../daemon/logger.js";
import type { ConsulClient, ServiceQuery } from "./client.js";
import { type ClusterNode, clusterNodes, nextIndex, type ServiceInstance } from "./core/catalogue.js";
import type { AskedService } from "./core/matching.js";
import { FOLLOW_TIMINGS, Follower, type FollowTimings } from "./follower.js";

/** Services that are followed at once: each costs a connection to the agent. */
const MAX_SERVICES = 64;

/** Milliseconds. */
export interface CatalogueTimings extends FollowTimings {
  /** A service for which nobody has asked for this long is no longer followed. */
  readonly idle: number;
}

interface CatalogueOptions {
  readonly client: Pick<ConsulClient, "followService">;
  readonly log: Logger;
  /** Monotonic milliseconds. */
  readonly now?: () => number;
  /** [0,1) */
  readonly random?: () => number;
  readonly timings?: Partial<CatalogueTimings>;
}

type CatalogueDeps = Required<CatalogueOptions> & { readonly timings: CatalogueTimings };

/** The instances that Consul has of the services for which somebody asks. */
export class Catalogue {
  readonly #deps: CatalogueDeps;
  /** Least recently asked first. */
  readonly #followed = new Map<string, { readonly service: FollowedService; readonly idle: NodeJS.Timeout }>();
  readonly #ending = new Set<Promise<void>>();
  #closed = false;

  constructor({ client, log, now, random, timings }: CatalogueOptions) {
    this.#deps = {
      client,
      log,
      now: now ?? (() => performance.now()),
      random: random ?? Math.random,
      timings: { ...FOLLOW_TIMINGS, idle: 600_000, ...timings },
    };
  }

  /**
   * All instances of a service. The first request begins to follow it, later ones are answered from memory, until
   * nobody has asked for 10 minutes. Never rejects.
   * @param limit milliseconds to wait at most, for the first answer
   * @returns undefined when nothing is known: Consul does not answer, or not in time
   */
  async instances(query: ServiceQuery, limit: number): Promise<readonly ServiceInstance[] | undefined> {
    if (this.#closed) return undefined;
    // Consul finds a service whatever its case.
    const key = `${query.service}.${query.datacenter ?? ""}`.toLowerCase();
    const before = this.#followed.get(key);
    const service = before?.service ?? new FollowedService(query, this.#deps);
    clearTimeout(before?.idle);
    this.#followed.delete(key);
    this.#followed.set(key, { service, idle: setTimeout(() => this.#drop(key), this.#deps.timings.idle) });
    const [oldest] = this.#followed.keys();
    if (this.#followed.size > MAX_SERVICES && oldest !== undefined) this.#drop(oldest);
    return service.instances(limit);
  }

  /** Never rejects. */
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
    const ending = followed.service.close().finally(() => this.#ending.delete(ending));
    this.#ending.add(ending);
  }
}

class FollowedService {
  readonly #query: ServiceQuery;
  readonly #log: Logger;
  readonly #follower: Follower<readonly ServiceInstance[], number>;
  /** Requests that wait for the first answer. */
  readonly #waiting = new Set<() => void>();
  #instances: readonly ServiceInstance[] | undefined;
  #failing = false;

  constructor(query: ServiceQuery, { client, log, now, random, timings }: CatalogueDeps) {
    this.#query = query;
    this.#log = log;
    this.#follower = new Follower<readonly ServiceInstance[], number>({
      ...{ now, random, timings },
      query: async (index = 0, wait, signal) => {
        const answer = await client.followService(query, index, wait, signal);
        return { value: answer.instances, position: nextIndex(index, answer.index) };
      },
      answered: (instances) => this.#answered(instances),
      failed: (error) => this.#failed(error),
    });
  }

  async instances(limit: number): Promise<readonly ServiceInstance[] | undefined> {
    // The first request finds an agent that is back: it does not wait for the end of the pause.
    this.#follower.hasten();
    if (this.#instances === undefined && !this.#follower.isClosed) await this.#outcome(limit);
    return this.#instances;
  }

  async close(): Promise<void> {
    const closed = this.#follower.close();
    this.#settle();
    await closed;
  }

  #answered(instances: readonly ServiceInstance[]): void {
    if (this.#failing) this.#log.info(this.#query, "Consul tells again which nodes the service has");
    this.#failing = false;
    this.#instances = instances;
    this.#settle();
  }

  #failed(err: unknown): void {
    // One line for each outage, however often it is tried.
    if (!this.#failing) {
      const got = this.#instances === undefined ? "the nodes here" : "what was known";
      this.#log.warn({ ...this.#query, err }, `Consul does not tell which nodes the service has; patterns get ${got}`);
    }
    this.#failing = true;
    this.#settle();
  }

  #settle(): void {
    for (const done of Array.from(this.#waiting)) done();
  }

  /** Resolves with the next answer or failure, or when the time is over. */
  #outcome(limit: number): Promise<void> {
    return new Promise((resolve) => {
      const done = () => {
        clearTimeout(timer);
        this.#waiting.delete(done);
        resolve();
      };
      const timer = setTimeout(done, Math.max(0, limit));
      this.#waiting.add(done);
    });
  }
}

/** The nodes of services in Consul, of any health. @param now milliseconds since the epoch @throws ConsulError */
export async function nodesInConsul(
  client: ConsulClient,
  services: readonly AskedService[],
  { timeout, now }: { readonly timeout: number; readonly now: number },
): Promise<ClusterNode[]> {
  const members = await Promise.all(
    services.map(async ({ domain: { service, datacenter } }) =>
      client.members({ service, datacenter }, AbortSignal.timeout(timeout)),
    ),
  );
  return services.flatMap((one, index) => clusterNodes(members[index] ?? [], one, now));
}
