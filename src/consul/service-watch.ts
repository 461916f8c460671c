import type { Logger } from "../daemon/logger.js";
import { type CatalogueTimings, retryDelay } from "../publish/timings.js";
import type { ConsulClient, ServiceQuery } from "./client.js";
import { nextIndex, type ServiceInstance } from "./core/catalogue.js";
import { Pace } from "./transport.js";

export interface WatchDeps {
  readonly client: Pick<ConsulClient, "followService">;
  readonly log: Logger;
  /** Monotonic milliseconds. */
  readonly now: () => number;
  readonly random: () => number;
  readonly timings: CatalogueTimings;
}

/** Follows the health of one service by blocking queries, from its making until it is closed. */
export class ServiceWatch {
  readonly #query: ServiceQuery;
  readonly #deps: WatchDeps;
  readonly #abort = new AbortController();
  /** Those who wait for the first answer. */
  readonly #waiting = new Set<() => void>();
  readonly #ended: Promise<void>;
  #instances: readonly ServiceInstance[] | undefined;
  #failures = 0;
  /** Ends the pause before a retry. */
  #retryNow: (() => void) | undefined;

  constructor(query: ServiceQuery, deps: WatchDeps) {
    this.#query = query;
    this.#deps = deps;
    this.#ended = this.#follow();
  }

  /**
   * The instances: from memory when there was an answer ever, else with the first one. Never rejects.
   * @param limit milliseconds to wait at most
   * @returns undefined when nothing is known: Consul says nothing, or not in time
   */
  async instances(limit: number): Promise<readonly ServiceInstance[] | undefined> {
    // An agent that is back is found by the first who asks, not at the end of the pause.
    this.#retryNow?.();
    if (this.#instances === undefined && !this.#abort.signal.aborted) await this.#outcome(limit);
    return this.#instances;
  }

  /** Gives up the query under way. Never rejects. */
  async close(): Promise<void> {
    this.#abort.abort(new Error("nobody asks any more"));
    this.#settle();
    await this.#ended;
  }

  async #follow(): Promise<void> {
    const { client, now, random, timings } = this.#deps;
    const { signal } = this.#abort;
    const pace = new Pace(timings.pace, now);
    let index = 0;
    while (!signal.aborted) {
      try {
        const answered = await client.followService(this.#query, index, timings.wait, signal);
        index = nextIndex(index, answered.index);
        this.#succeeded(answered.instances);
        await this.#pause(pace.take());
      } catch (error) {
        if (signal.aborted) return;
        // Servers that were started anew count from the beginning: a query with the old index would miss changes.
        index = 0;
        this.#failed(error);
        await this.#pause(retryDelay(this.#failures, timings.firstRetry, timings.maxRetry, random), true);
      }
    }
  }

  #succeeded(instances: readonly ServiceInstance[]): void {
    if (this.#failures > 0) this.#deps.log.info(this.#query, "Consul tells again which nodes the service has");
    this.#failures = 0;
    this.#instances = instances;
    this.#settle();
  }

  #failed(err: unknown): void {
    // One line an outage, however often it is tried.
    if (this.#failures++ === 0) {
      const got = this.#instances === undefined ? "the nodes here" : "what was known";
      this.#deps.log.warn(
        { ...this.#query, err },
        `Consul does not tell which nodes the service has; patterns get ${got}`,
      );
    }
    this.#settle();
  }

  #settle(): void {
    for (const done of Array.from(this.#waiting)) done();
  }

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

  #pause(milliseconds: number, retry = false): Promise<void> {
    const { signal } = this.#abort;
    if (signal.aborted || milliseconds === 0) return Promise.resolve();
    return new Promise((resolve) => {
      const done = () => {
        clearTimeout(timer);
        signal.removeEventListener("abort", done);
        this.#retryNow = undefined;
        resolve();
      };
      const timer = setTimeout(done, milliseconds);
      signal.addEventListener("abort", done);
      if (retry) this.#retryNow = done;
    });
  }
}
