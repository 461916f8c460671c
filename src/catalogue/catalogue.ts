import type { Logger } from "../daemon/logger.js";
import { Outages } from "../sampling.js";
import type { CatalogueBackend, CatalogueQuery, FollowedStatus } from "./core/backend.js";
import type { ServiceInstance } from "./core/instances.js";
import { type CatalogueTimings, FollowedService, type ServiceView, TIMINGS } from "./followed.js";

/** Services that are followed at once: each costs a connection to the agent. */
const MAX_SERVICES = 64;
/**
 * Look-ups of a further service do not end the follow of one that was asked for this lately, milliseconds: with a few more
 * than the limit, each look-up would begin a follow and end another.
 */
const IN_USE = 60_000;
/**
 * Matches in a row that are those of a VM, which asks each second, or of a library, and not of commands typed now and then;
 * and the longest time between two of a row, milliseconds.
 */
const STEADY = 8;
const LONGEST_PAUSE = 10_000;
/** Services that are remembered to be unreadable. */
const MAX_UNREADABLE = 1_000;

interface CatalogueOptions {
  readonly backend: CatalogueBackend;
  readonly log: Logger;
  /** Default true. False: a service is asked for once, and not followed. */
  readonly follow?: boolean;
  /** Monotonic milliseconds. */
  readonly now?: () => number;
  /** [0,1) */
  readonly random?: () => number;
  readonly timings?: Partial<CatalogueTimings>;
}

/** The instances that a catalogue has of the services for which somebody asks. */
export class Catalogue {
  readonly backend: CatalogueBackend;
  readonly #log: Logger;
  readonly #follow: boolean;
  readonly #now: () => number;
  readonly #random: () => number;
  readonly #timings: CatalogueTimings;
  /** Least recently asked first. */
  readonly #followed = new Map<string, Entry>();
  readonly #ending = new Set<Promise<void>>();
  /** Services whose follow has answered and is broken now. */
  readonly #lost = new Set<FollowedService>();
  readonly #outages: Outages;
  /** Services whose list is empty though DNS has their nodes, and of which the log tells. */
  readonly #unreadable = new Set<string>();
  /** The last first query of a service was answered at once. */
  #isPrompt = true;
  #closed = false;

  constructor({ backend, log, follow = true, now, random, timings }: CatalogueOptions) {
    this.backend = backend;
    this.#log = log;
    this.#follow = follow;
    this.#now = now ?? (() => performance.now());
    this.#random = random ?? Math.random;
    this.#timings = { ...TIMINGS, ...timings };
    this.#outages = new Outages(this.#now);
  }

  /**
   * All instances of a service, also while the catalogue is behind. The first request begins to follow it, later ones are
   * answered from memory, until nobody has asked for 10 minutes. Never rejects.
   * @param limit milliseconds to wait at most, for the first answer
   * @returns undefined when nothing is known: the back end does not answer, or not in time
   */
  async instances(query: CatalogueQuery, limit: number): Promise<readonly ServiceInstance[] | undefined> {
    const entry = this.#ask(query, () => true);
    if (!entry) return undefined;
    const before = entry.matches;
    const isRun = before !== undefined && entry.askedAt - before.at <= LONGEST_PAUSE;
    entry.matches = { count: isRun ? before.count + 1 : 1, at: entry.askedAt };
    const { service } = entry;
    // The first request that may wait finds a back end that is there again: it does not wait for the end of the pause.
    if (limit > 0) service.hasten();
    if (!service.view && limit > 0) await service.outcome(limit);
    return service.view?.instances;
  }

  /**
   * What is known of a service for a look-up; it begins to be followed. At once when it is known, or when it does not
   * pay to wait: the back end fails, is silent, or did not answer at once the last time. Never rejects.
   * @param limit milliseconds to wait at most, for the first answer or for what changed during a pause
   */
  look(query: CatalogueQuery, limit: number): ServiceView | undefined | Promise<ServiceView | undefined> {
    const entry = this.#ask(query, (oldest) => this.#now() - oldest.askedAt > IN_USE);
    if (!entry) return undefined;
    const { service } = entry;
    const caughtUp = service.catchUp(limit);
    if (caughtUp) return caughtUp.then(() => service.view);
    const { view } = service;
    if (view) return view;
    if (!this.#isPrompt || service.isBroken || limit <= 0) return undefined;
    return service.firstAnswer(limit).then((isSilent) => {
      if (isSilent) this.#isPrompt = false;
      return service.view;
    });
  }

  /** What is known of a service that is followed. Is no question: it keeps no follow alive. */
  known(query: CatalogueQuery): ServiceView | undefined {
    return this.#followed.get(keyOf(query))?.service.view;
  }

  /**
   * Waits for an answer about a service that is followed where `look` does not: for the first one, and where the back end is
   * silent. @param limit milliseconds to wait at most
   */
  async lateAnswer(query: CatalogueQuery, limit: number): Promise<void> {
    const service = this.#followed.get(keyOf(query))?.service;
    if (service && !service.isBroken && (!service.view || service.isGivenUp)) await service.lateAnswer(limit);
  }

  /** Why the last query for a service that is followed failed; undefined when it did not. */
  failure(query: CatalogueQuery): unknown {
    return this.#followed.get(keyOf(query))?.service.failure;
  }

  /** An instance refused a connection: look-ups leave it out until it changes in the catalogue. */
  refused(query: CatalogueQuery, endpoint: { readonly address: string; readonly port: number }): void {
    this.#followed.get(keyOf(query))?.service.refused(endpoint);
  }

  /** DNS has a node of this service, and the catalogue has none. Logged once, when it lasts. */
  isInDns(query: CatalogueQuery): void {
    const key = keyOf(query);
    const { emptyMeans } = this.backend;
    const service = this.#followed.get(key)?.service;
    if (!service?.seemsUnreadable || emptyMeans === undefined) return;
    if (this.#unreadable.has(key) || this.#unreadable.size >= MAX_UNREADABLE) return;
    this.#unreadable.add(key);
    this.#log.warn({ ...query }, emptyMeans);
  }

  status(): readonly FollowedStatus[] {
    const since = this.#now() - IN_USE;
    return Array.from(this.#followed.values(), ({ service, matches }) => {
      const isSteady = matches !== undefined && matches.count >= STEADY && matches.at >= since;
      return { ...service.status(), ...(isSteady && { forPatterns: true }) };
    });
  }

  /** Never rejects. */
  async close(): Promise<void> {
    this.#closed = true;
    for (const key of Array.from(this.#followed.keys())) this.#drop(key);
    await Promise.all(this.#ending);
  }

  /** @param mayReplace whether the service that was asked for longest ago may be given up for this one */
  #ask(query: CatalogueQuery, mayReplace: (oldest: Entry) => boolean): Entry | undefined {
    if (this.#closed) return undefined;
    const key = keyOf(query);
    const before = this.#followed.get(key);
    if (!before) {
      const [oldest] = this.#followed;
      if (oldest && this.#followed.size >= MAX_SERVICES) {
        if (!mayReplace(oldest[1])) return undefined;
        this.#drop(oldest[0]);
      }
    }
    const entry = before ?? this.#begin(key, query);
    entry.askedAt = this.#now();
    entry.idle.refresh();
    this.#followed.delete(key);
    this.#followed.set(key, entry);
    return entry;
  }

  #begin(key: string, query: CatalogueQuery): Entry {
    const service: FollowedService = new FollowedService(query, {
      backend: this.backend,
      follow: this.#follow,
      timings: this.#timings,
      now: this.#now,
      random: this.#random,
      answered: (isFirst, elapsed) => {
        // One that is late changes nothing: a look-up that found the back end silent has noted that.
        if (isFirst && elapsed <= this.#timings.firstAnswer) this.#isPrompt = true;
        if ((service.view?.instances.length ?? 0) > 0) this.#unreadable.delete(key);
        this.#found(entry);
      },
      failed: (error) => {
        this.#isPrompt = false;
        this.#failed(entry, query, error);
      },
    });
    const idle = setTimeout(() => this.#drop(key), this.#timings.idle);
    this.#log.debug({ ...query }, `${this.backend.title} is asked which nodes the service has, from now on`);
    const entry: Entry = { service, idle, askedAt: this.#now(), matches: undefined, isTold: false };
    return entry;
  }

  #found(entry: Entry): void {
    const isTold = this.#lost.delete(entry.service) ? this.#lost.size === 0 && this.#outages.end("lost") : entry.isTold;
    entry.isTold = false;
    if (isTold) this.#log.info(`${this.backend.title} tells again which nodes the service has`);
  }

  /** Of a back end that goes away the log has one line, however many services are followed and however often it is tried. */
  #failed(entry: Entry, query: CatalogueQuery, err: unknown): void {
    if (entry.isTold) return;
    const { service, matches } = entry;
    const forPattern = matches !== undefined;
    const isKnown = service.view !== undefined;
    const isNews = isKnown ? this.#lost.size === 0 && this.#outages.begin("lost") : forPattern;
    if (isKnown) this.#lost.add(service);
    // A service that was never known has no look-ups that miss it: they go another way, as without a catalogue.
    entry.isTold = isKnown || forPattern;
    this.#log[isNews ? "warn" : "debug"](
      { ...query, err },
      `${this.backend.title} does not tell which nodes the service has: ${this.backend.meanwhile[isKnown ? "known" : "unknown"]}`,
    );
  }

  #drop(key: string): void {
    const entry = this.#followed.get(key);
    if (!entry) return;
    const { service, idle } = entry;
    clearTimeout(idle);
    this.#followed.delete(key);
    this.#lost.delete(service);
    const ending = service.close().finally(() => this.#ending.delete(ending));
    this.#ending.add(ending);
  }
}

interface Entry {
  readonly service: FollowedService;
  readonly idle: NodeJS.Timeout;
  /** Monotonic milliseconds. */
  askedAt: number;
  /** How often in a row a pattern was matched with its instances, and when last: without an answer it lists fewer nodes. Undefined: never. */
  matches: { readonly count: number; readonly at: number } | undefined;
  /** The log has that the back end does not answer for it. */
  isTold: boolean;
}

function keyOf({ service, datacenter = "", namespace = "" }: CatalogueQuery): string {
  return `${service}.${datacenter}.${namespace}`.toLowerCase();
}
