import type { Logger } from "../daemon/logger.js";
import type { Timings } from "./timings.js";

/** How one name stands that is alive here, at one moment. */
export interface Standing {
  readonly name: string;
  /** Those that are in Consul's DNS. */
  readonly visible: readonly string[];
  /** Those that should be. */
  readonly wanted: readonly string[];
  /** It should be in Consul's DNS by now, and is not. */
  readonly isMissing: boolean;
  readonly reason: string | undefined;
  /** The reason has been told of, for all names together. */
  readonly isTold: boolean;
}

export interface PresenceDeps {
  readonly log: Logger;
  readonly timings: Pick<Timings, "patience" | "gather">;
  /** Monotonic milliseconds. */
  readonly now: () => number;
}

/** An agent that takes its time is given some, before a node is called missing that waits for its turn: patiences. */
const MORE_PATIENCE = 10;
/** How much longer returns are gathered than losses: all of them in one line, as a rule. */
const MORE_GATHERED = 6;
/** Names or ids in one line. */
const MOST_NAMED = 8;
/**
 * Tells when nodes fall out of Consul's DNS and when they are back, and what else happens to many names in one moment: a
 * line for all of them, not one for each.
 */
export class Presence {
  readonly #deps: PresenceDeps;
  readonly #outages: Outages;
  /** Since when names are missing, for a reason that nobody has told yet. */
  #suspects: ReadonlyMap<string, number> = new Map();
  /** Names that were told to be missing. */
  readonly #missing = new Set<string>();
  readonly #returned = new Set<string>();
  /** Not all of them were told of, where nodes come and go all the time. */
  #isTold = false;
  readonly #forgotten = new Set<string>();
  /** Of those, what was told. */
  readonly #toldForgotten = new Set<string>();
  readonly #evaded = new Set<string>();
  #forgottenAt = -Infinity;
  #missingAt = -Infinity;
  /** When the first of them returned. */
  #returnedAt = 0;

  constructor(deps: PresenceDeps) {
    this.#deps = deps;
    this.#outages = new Outages(deps.now);
  }

  /** The agent holds an entry no more that it was given. */
  forgotten(serviceId: string): void {
    if (!this.#toldForgotten.has(serviceId)) this.#forgotten.add(serviceId);
  }

  /** Another live daemon holds the id. */
  evaded(serviceId: string): void {
    this.#evaded.add(serviceId);
  }

  /** What has happened since the last look. */
  look(standings: readonly Standing[]): void {
    this.#tellEvaded();
    this.#tellForgotten(standings);
    this.#tellMissing(standings);
    this.#tellReturned(standings);
  }

  #tellEvaded(): void {
    const ids = take(this.#evaded);
    if (ids.length === 0) return;
    const what =
      ids.length === 1
        ? "another live daemon holds this service id; ours gets one of its own"
        : `another live daemon holds ${ids.length} service ids of ours; we take others`;
    this.#deps.log.warn(named("serviceId", ids), `${what} (give one of them another --instance)`);
  }

  #tellForgotten(standings: readonly Standing[]): void {
    const { log, now, timings } = this.#deps;
    if (this.#forgotten.size > 0 && now() - this.#forgottenAt >= timings.gather) {
      this.#forgottenAt = now();
      const ids = take(this.#forgotten);
      for (const id of ids) this.#toldForgotten.add(id);
      if (this.#outages.begin("forgotten")) {
        const what = ids.length === 1 ? "the entry" : `${ids.length} entries`;
        log.warn(named("serviceId", ids), `the Consul agent has forgotten ${what}: registering anew`);
      }
    }
    if (this.#toldForgotten.size === 0 || this.#forgotten.size > 0) return;
    const visible = new Set(standings.flatMap((one) => one.visible));
    // Those of VMs that have ended meanwhile are awaited by nobody.
    const awaited = standings.flatMap(({ wanted }) => wanted).filter((id) => this.#toldForgotten.has(id));
    if (awaited.some((id) => !visible.has(id))) return;
    this.#toldForgotten.clear();
    if (this.#outages.end("forgotten") && awaited.length > 0) log.info(named("serviceId", awaited), "published again");
  }

  #tellMissing(standings: readonly Standing[]): void {
    const { log, now, timings } = this.#deps;
    const { patience, gather } = timings;
    const suspects = standings.filter((one) => one.isMissing && !one.isTold && !this.#missing.has(one.name));
    this.#suspects = new Map(suspects.map(({ name }) => [name, this.#suspects.get(name) ?? now()]));
    const news = suspects.filter(({ name, reason }) => {
      const age = now() - (this.#suspects.get(name) ?? Infinity);
      return age >= (reason === undefined ? MORE_PATIENCE * patience : patience);
    });
    const [first] = news;
    if (!first || now() - this.#missingAt < gather) return;
    for (const { name } of news) this.#missing.add(name);
    this.#missingAt = now();
    if (!this.#outages.begin("missing")) return;
    this.#isTold = true;
    const names = news.map(({ name }) => name);
    const what = names.length === 1 ? "the node is" : `${names.length} nodes are`;
    log.warn(named("name", names), `${what} not in Consul's DNS: ${first.reason ?? "the Consul agent takes its time"}`);
  }

  #tellReturned(standings: readonly Standing[]): void {
    const { log, now, timings } = this.#deps;
    const alive = new Map(standings.map((one) => [one.name, one]));
    for (const name of this.#missing) {
      const one = alive.get(name);
      if (one?.isMissing) continue;
      this.#missing.delete(name);
      if (!one) continue;
      if (this.#returned.size === 0) this.#returnedAt = now();
      this.#returned.add(name);
    }
    const isOver = this.#missing.size === 0;
    if (!isOver && now() - this.#returnedAt < MORE_GATHERED * timings.gather) return;
    const names = take(this.#returned);
    const isTold = this.#isTold;
    if (isOver) this.#isTold = false;
    if (!isTold || names.length === 0) return;
    const what = names.length === 1 ? "the node is" : `${names.length} nodes are`;
    log.info(named("name", names), `${what} in Consul's DNS again`);
  }
}

function take(set: Set<string>): string[] {
  const all = Array.from(set);
  set.clear();
  return all;
}

/** `{ name: "a" }`, or `{ names: [...], count: 40 }` */
function named(key: "name" | "serviceId", all: readonly string[]): object {
  if (all.length === 1) return { [key]: all[0] };
  return { [`${key}s`]: all.slice(0, MOST_NAMED), ...(all.length > MOST_NAMED && { count: all.length }) };
}

/** Outages that are told one after the other. */
const ALLOWANCE = 4;
/** After which one more is told, milliseconds: what comes and goes all the time does not fill the log. */
const INTERVAL = 30_000;

/** Which outages are told, and hence which of their ends. */
export class Outages {
  readonly #now: () => number;
  readonly #told = new Set<string>();
  #allowance = ALLOWANCE;
  #at: number;

  /** @param now monotonic milliseconds */
  constructor(now: () => number) {
    this.#now = now;
    this.#at = now();
  }

  /** @returns whether it is to be told */
  begin(what: string): boolean {
    const now = this.#now();
    this.#allowance = Math.min(ALLOWANCE, this.#allowance + (now - this.#at) / INTERVAL);
    this.#at = now;
    if (this.#allowance < 1) return false;
    this.#allowance--;
    this.#told.add(what);
    return true;
  }

  /** @returns whether its beginning was told */
  end(what: string): boolean {
    return this.#told.delete(what);
  }
}
