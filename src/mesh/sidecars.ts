import { setTimeout as sleep } from "node:timers/promises";
import { FOLLOW_TIMINGS, Follower, type FollowTimings } from "../catalogue/follower.js";
import type { ConsulClient } from "../consul/client.js";
import type { Logger } from "../daemon/logger.js";
import { hostPort } from "../net/ip.js";
import { listDestinations, type Sidecar } from "./core/upstreams.js";

/** Milliseconds. */
interface SidecarTimings extends FollowTimings {
  /** Shortest time between two requests for the list of proxies. A look-up that misses an upstream waits for the next list. */
  readonly shortest: number;
  /** Time between two requests for the list without such a look-up. */
  readonly longest: number;
}

const SIDECAR_TIMINGS: SidecarTimings = { ...FOLLOW_TIMINGS, shortest: 250, longest: 30_000 };

/** The most proxies that are followed: each costs a connection to the agent. */
const MOST_FOLLOWED = 32;

interface SidecarsDeps {
  readonly connect: () => Promise<Pick<ConsulClient, "sidecars" | "followSidecar">>;
  readonly isOurs: (sidecar: Sidecar) => boolean;
  readonly log: Logger;
  readonly timings?: Partial<SidecarTimings>;
}

/** The Connect proxies of the nodes here, as the local agent has them. */
export interface Sidecars {
  /** The known proxies; undefined before the first answer of the agent. */
  readonly known: readonly Sidecar[] | undefined;
  /** Asks for the list of proxies; calls at the same time share one request. @throws ConsulError */
  refresh(): Promise<readonly Sidecar[]>;
  /** Never rejects. */
  close(): Promise<void>;
}

/** For a command: each look-up asks the agent. */
export function readSidecars({ connect, isOurs }: SidecarsDeps): Sidecars {
  return {
    known: undefined,
    refresh: async () => (await (await connect()).sidecars()).filter(isOurs),
    close: async () => {},
  };
}

/**
 * For the daemon: each known proxy is followed by blocking queries, so that a new or removed upstream is seen at once. The
 * agent has no blocking queries for its list of proxies: that is asked for at intervals, and when a look-up misses an
 * upstream.
 */
export function followSidecars(deps: SidecarsDeps): Sidecars {
  return new FollowedSidecars(deps);
}

class FollowedSidecars implements Sidecars {
  readonly #deps: SidecarsDeps;
  readonly #timings: SidecarTimings;
  readonly #abort = new AbortController();
  readonly #watches = new Map<string, SidecarWatch>();
  readonly #rounds: Promise<void>;
  #listing: Promise<void> | undefined;
  #askedAt = Number.NEGATIVE_INFINITY;
  #everListed = false;
  #failing = false;
  /** Error of the last request for the list. */
  #failure: unknown;
  #crowded = false;

  constructor(deps: SidecarsDeps) {
    this.#deps = deps;
    this.#timings = { ...SIDECAR_TIMINGS, ...deps.timings };
    this.#rounds = this.#listRegularly();
  }

  get known(): readonly Sidecar[] | undefined {
    return this.#everListed ? Array.from(this.#watches.values(), ({ sidecar }) => sidecar) : undefined;
  }

  async refresh(): Promise<readonly Sidecar[]> {
    await this.#list();
    if (!this.known) throw this.#failure ?? new Error("srv-epmd is stopping");
    return this.known;
  }

  async close(): Promise<void> {
    this.#abort.abort(new Error("srv-epmd is stopping"));
    await Promise.all([this.#rounds, ...Array.from(this.#watches.values(), (watch) => watch.close())]);
  }

  async #listRegularly(): Promise<void> {
    const { signal } = this.#abort;
    while (!signal.aborted) {
      await this.#list();
      const pause = this.#everListed ? this.#timings.longest : this.#timings.pace;
      await sleep(pause, undefined, { signal }).catch(() => undefined);
    }
  }

  #list(): Promise<void> {
    this.#listing ??= this.#askWhenDue().finally(() => {
      this.#listing = undefined;
    });
    return this.#listing;
  }

  /** Many misses cause few requests, and each miss is followed by a request: the upstream may have been registered just now. */
  async #askWhenDue(): Promise<void> {
    const pause = this.#askedAt + this.#timings.shortest - performance.now();
    if (pause > 0) await sleep(pause, undefined, { signal: this.#abort.signal }).catch(() => undefined);
    for (const watch of this.#watches.values()) watch.hasten();
    await this.#ask();
  }

  async #ask(): Promise<void> {
    const { connect, isOurs } = this.#deps;
    const { signal } = this.#abort;
    this.#askedAt = performance.now();
    try {
      const client = await connect();
      const sidecars = (await client.sidecars(signal)).filter(isOurs);
      if (signal.aborted) return;
      this.#answers();
      this.#compare(
        sidecars.sort((a, b) => (a.id < b.id ? -1 : 1)),
        client,
      );
    } catch (error) {
      this.#failure = error;
      if (!signal.aborted) this.#fails(error);
    }
  }

  /** Proxies that are followed are not updated: the list may be older than what the watch has seen. */
  #compare(sidecars: readonly Sidecar[], client: Pick<ConsulClient, "followSidecar">): void {
    const { log } = this.#deps;
    const ids = new Set(sidecars.map(({ id }) => id));
    for (const [id, watch] of this.#watches) {
      if (!ids.has(id)) this.#drop(id, watch);
    }
    for (const sidecar of sidecars) {
      if (this.#watches.has(sidecar.id)) continue;
      if (this.#watches.size >= MOST_FOLLOWED) {
        if (!this.#crowded)
          log.warn(
            { limit: MOST_FOLLOWED, proxies: sidecars.length },
            "too many sidecar proxies: choose those of the nodes with --service",
          );
        this.#crowded = true;
        break;
      }
      this.#tell(sidecar);
      this.#watches.set(sidecar.id, this.#watch(sidecar, client));
    }
    if (!this.#everListed && sidecars.length === 0) {
      log.warn(
        "the Consul agent shows no sidecar proxy of the nodes here (with ACLs only to a token with service:read): no upstream is known",
      );
    }
    this.#everListed = true;
  }

  #watch(sidecar: Sidecar, client: Pick<ConsulClient, "followSidecar">): SidecarWatch {
    const watch: SidecarWatch = new SidecarWatch(sidecar, {
      client,
      timings: this.#timings,
      changed: (now) => this.#tell(now),
      answers: () => this.#answers(),
      fails: (error) => this.#fails(error),
      gone: () => this.#drop(sidecar.id, watch),
    });
    return watch;
  }

  #drop(id: string, watch: SidecarWatch): void {
    if (this.#watches.get(id) !== watch) return;
    this.#watches.delete(id);
    this.#deps.log.info({ proxy: id }, "the sidecar proxy is no longer registered; its upstreams are not used");
    void watch.close();
  }

  #tell({ id, service, upstreams }: Sidecar): void {
    const listeners = upstreams.map(({ destination, address, port }) => `${destination} ${hostPort(address, port)}`);
    this.#deps.log.info(
      { proxy: id, service, listeners },
      `upstreams of the sidecar proxy: ${listDestinations(upstreams)}`,
    );
  }

  #answers(): void {
    if (this.#failing) this.#deps.log.info("the Consul agent answers again about upstreams");
    this.#failing = false;
  }

  /** Logs one line for each outage. */
  #fails(err: unknown): void {
    if (!this.#failing) {
      const rest = this.#everListed ? "the known ones are used" : "nodes behind them are not found yet";
      this.#deps.log.warn({ err }, `the Consul agent does not answer about upstreams; ${rest}`);
    }
    this.#failing = true;
  }
}

interface SidecarWatchDeps {
  readonly client: Pick<ConsulClient, "followSidecar">;
  readonly timings: FollowTimings;
  readonly changed: (sidecar: Sidecar) => void;
  readonly answers: () => void;
  readonly fails: (error: unknown) => void;
  /** The agent no longer has the proxy. */
  readonly gone: () => void;
}

/** Follows the registration of one Connect proxy until it is closed. */
class SidecarWatch {
  readonly #follower: Follower<Sidecar | undefined, string>;
  #sidecar: Sidecar;

  constructor(sidecar: Sidecar, { client, timings, changed, answers, fails, gone }: SidecarWatchDeps) {
    this.#sidecar = sidecar;
    this.#follower = new Follower<Sidecar | undefined, string>({
      query: async (hash = "", wait, signal) => {
        const answer = await client.followSidecar(sidecar.id, hash, wait, signal);
        return { value: answer.sidecar, position: answer.hash };
      },
      answered: (now) => {
        answers();
        if (!now) return gone();
        const before = this.#sidecar;
        this.#sidecar = now;
        if (JSON.stringify(before) !== JSON.stringify(now)) changed(now);
      },
      failed: fails,
      timings,
      now: () => performance.now(),
      random: Math.random,
    });
  }

  get sidecar(): Sidecar {
    return this.#sidecar;
  }

  /** Ends the pause before a retry. */
  hasten(): void {
    this.#follower.hasten();
  }

  /** Ends the query under way. Never rejects. */
  close(): Promise<void> {
    return this.#follower.close();
  }
}
