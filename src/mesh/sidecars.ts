import { setTimeout as sleep } from "node:timers/promises";
import type { ConsulClient } from "../consul/client.js";
import { FOLLOW_TIMINGS, Follower, type FollowTimings } from "../consul/follower.js";
import type { Logger } from "../daemon/logger.js";
import { hostPort } from "../net/ip.js";
import type { Sidecar } from "./core/sidecar.js";
import { listDestinations } from "./core/upstream.js";

/** Milliseconds. */
export interface SidecarTimings extends FollowTimings {
  /** From one look at which proxies there are to the next that a look-up may cause; look-ups that miss meanwhile wait for it. */
  readonly shortest: number;
  /** To the next that comes by itself. */
  readonly longest: number;
}

export const SIDECAR_TIMINGS: SidecarTimings = { ...FOLLOW_TIMINGS, shortest: 250, longest: 30_000 };

/** Each costs a connection to the agent. */
const MOST_FOLLOWED = 32;

export interface SidecarsDeps {
  readonly connect: () => Promise<Pick<ConsulClient, "sidecars" | "followSidecar">>;
  readonly isOurs: (sidecar: Sidecar) => boolean;
  readonly log: Logger;
  readonly timings?: Partial<SidecarTimings>;
}

/** The Connect proxies of this place, as the local agent has them. */
export interface Sidecars {
  /** What is known; undefined before the agent has ever answered. */
  readonly known: readonly Sidecar[] | undefined;
  /** Looks which proxies there are, together with all who ask for that in one moment. @throws ConsulError */
  refresh(): Promise<readonly Sidecar[]>;
  /** Never rejects. */
  close(): Promise<void>;
}

/** For a command: asks with each look-up. */
export function readSidecars({ connect, isOurs }: SidecarsDeps): Sidecars {
  return {
    known: undefined,
    refresh: async () => (await (await connect()).sidecars()).filter(isOurs),
    close: async () => {},
  };
}

/**
 * For the daemon: a proxy that is known is followed by blocking queries, so that an upstream that comes or goes is seen
 * at once; which proxies there are is asked now and then, and when something was not found (the agent's list knows no
 * blocking queries).
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
  /** Of the last look at which proxies there are. */
  #failure: unknown;
  #crowded = false;

  constructor(deps: SidecarsDeps) {
    this.#deps = deps;
    this.#timings = { ...SIDECAR_TIMINGS, ...deps.timings };
    this.#rounds = this.#lookAgainAndAgain();
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

  async #lookAgainAndAgain(): Promise<void> {
    const { signal } = this.#abort;
    while (!signal.aborted) {
      await this.#list();
      const pause = this.#everListed ? this.#timings.longest : this.#timings.pace;
      await sleep(pause, undefined, { signal }).catch(() => undefined);
    }
  }

  #list(): Promise<void> {
    this.#listing ??= this.#lookWhenDue().finally(() => {
      this.#listing = undefined;
    });
    return this.#listing;
  }

  /** A thousand misses a second must not reach the agent, and what was registered this moment must not be missed. */
  async #lookWhenDue(): Promise<void> {
    const pause = this.#askedAt + this.#timings.shortest - performance.now();
    if (pause > 0) await sleep(pause, undefined, { signal: this.#abort.signal }).catch(() => undefined);
    for (const watch of this.#watches.values()) watch.hasten();
    await this.#look();
  }

  async #look(): Promise<void> {
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

  /** What is followed is left alone: this list may be older than what the watch has seen. */
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
            { most: MOST_FOLLOWED, found: sidecars.length },
            "too many sidecar proxies: --service says which are meant",
          );
        this.#crowded = true;
        break;
      }
      this.#tell(sidecar);
      this.#watches.set(sidecar.id, this.#watch(sidecar, client));
    }
    if (!this.#everListed && sidecars.length === 0) {
      log.warn(
        "the Consul agent has no sidecar proxy of the nodes here that the token may read (service:read): no upstream is known",
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
    this.#deps.log.info({ proxy: id }, "the sidecar proxy is registered no more: its upstreams are used no more");
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
    if (this.#failing) this.#deps.log.info("the Consul agent tells again which upstreams there are");
    this.#failing = false;
  }

  /** One line an outage, however often it is tried. */
  #fails(err: unknown): void {
    if (!this.#failing) {
      const rest = this.#everListed ? "what was known stays" : "nodes behind them are not found yet";
      this.#deps.log.warn({ err }, `the Consul agent does not tell which upstreams there are; ${rest}`);
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
  /** The agent has it no more; the watch has ended. */
  readonly gone: () => void;
}

/** Follows the registration of one Connect proxy until it is closed or the proxy has gone. */
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

  /** Tries again at once what is waiting for a retry. */
  hasten(): void {
    this.#follower.hasten();
  }

  /** Gives up the query under way. Never rejects. */
  close(): Promise<void> {
    return this.#follower.close();
  }
}
