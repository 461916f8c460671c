import type { Logger } from "../daemon/logger.js";
import { hostPort } from "../net/ip.js";
import { Outages } from "../sampling.js";
import type { Held } from "./core/reconcile.js";
import { type HeldCheck, obstacleOf, type ServiceEntry } from "./core/service-entry.js";
import type { Timings } from "./timing.js";

/** The state of one name that is alive here, at one moment. */
export interface Standing {
  readonly name: string;
  /** Service ids in Consul's DNS. */
  readonly visible: readonly string[];
  /** Service ids that should be there. */
  readonly wanted: readonly string[];
  /** It should be in Consul's DNS by now and is not. */
  readonly isMissing: boolean;
  readonly reason: string | undefined;
  /** The log has the reason already, once for all names. */
  readonly isTold: boolean;
}

interface PresenceDeps {
  readonly log: Logger;
  readonly timings: Pick<Timings, "patience" | "gather">;
  /** Monotonic milliseconds. */
  readonly now: () => number;
}

/** A slow agent is no outage: a node without a known reason is called missing after so many times the patience. */
const MORE_PATIENCE = 10;
/** Returns are gathered this many times longer than losses, so that one line usually has all of them. */
const MORE_GATHERED = 6;
/** Names or ids in one line. */
const MOST_NAMED = 8;
/**
 * Logs when nodes fall out of Consul's DNS and when they are back, and what else happens to many names in one moment:
 * one line for all of them.
 */
export class Presence {
  readonly #deps: PresenceDeps;
  readonly #outages: Outages;
  /** Missing names that are not in the log yet, and since when. */
  #suspects: ReadonlyMap<string, number> = new Map();
  /** Names that count as missing. */
  readonly #missing = new Set<string>();
  readonly #returned = new Set<string>();
  /** The log has some of them. It does not get all when nodes leave DNS and return all the time (see Outages). */
  #isTold = false;
  readonly #forgotten = new Set<string>();
  /** Those of them that are in the log. */
  readonly #toldForgotten = new Set<string>();
  readonly #evaded = new Set<string>();
  #forgottenAt = -Infinity;
  #missingAt = -Infinity;
  /** When the first of `returned` came back. */
  #returnedAt = 0;

  constructor(deps: PresenceDeps) {
    this.#deps = deps;
    this.#outages = new Outages(deps.now);
  }

  /** The agent no longer holds an entry that it was given. */
  forgotten(serviceId: string): void {
    if (!this.#toldForgotten.has(serviceId)) this.#forgotten.add(serviceId);
  }

  /** Another live daemon holds the id. */
  evaded(serviceId: string): void {
    this.#evaded.add(serviceId);
  }

  /** Logs what has happened since the last look. */
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
        ? "another running daemon already uses this service id; this daemon will use a different one"
        : `other running daemons already use ${ids.length} service ids; this daemon will use different ones`;
    this.#deps.log.warn(named("serviceId", ids), `${what} (give one of the daemons another --instance)`);
  }

  #tellForgotten(standings: readonly Standing[]): void {
    const { log, now, timings } = this.#deps;
    if (this.#forgotten.size > 0 && now() - this.#forgottenAt >= timings.gather) {
      this.#forgottenAt = now();
      const ids = take(this.#forgotten);
      for (const id of ids) this.#toldForgotten.add(id);
      if (this.#outages.begin("forgotten")) {
        const what = ids.length === 1 ? "the entry" : `${ids.length} entries`;
        log.warn(named("serviceId", ids), `the Consul agent has forgotten ${what}: registering again`);
      }
    }
    if (this.#toldForgotten.size === 0 || this.#forgotten.size > 0) return;
    const visible = new Set(standings.flatMap((one) => one.visible));
    // Entries of VMs that have ended meanwhile are not waited for.
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
    log.warn(named("node", names), `${what} not in Consul's DNS: ${first.reason ?? "the Consul agent is slow"}`);
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
    log.info(named("node", names), `${what} in Consul's DNS again`);
  }
}

function take(set: Set<string>): string[] {
  const all = Array.from(set);
  set.clear();
  return all;
}

/** `{ node: "a" }`, or `{ nodes: [...], count: 40 }` */
function named(key: "node" | "serviceId", all: readonly string[]): object {
  if (all.length === 1) return { [key]: all[0] };
  return { [`${key}s`]: all.slice(0, MOST_NAMED), ...(all.length > MOST_NAMED && { count: all.length }) };
}

export interface VisibleDeps {
  readonly presence: Pick<Presence, "forgotten" | "evaded">;
  readonly log: Logger;
  /** An entry has come into Consul's DNS. */
  readonly published: (entry: ServiceEntry) => void;
}

/** Which entries of one name are in Consul's DNS as far as is known, and which of them the log has. */
export class Visible {
  readonly #key: string;
  readonly #deps: VisibleDeps;
  /** Entries that the log has as "published", by id. */
  readonly #told = new Map<string, ServiceEntry>();
  /** Ids that the agent was given and did not have when it was asked. They do not count as published until it has them. */
  readonly #doubted = new Set<string>();
  /** What else than its TTL check keeps an id out of DNS. */
  #obstacles: ReadonlyMap<string, string> = new Map();

  constructor(key: string, deps: VisibleDeps) {
    this.#key = key;
    this.#deps = deps;
  }

  /** The check was passed within its TTL, and nothing else keeps the entry out of DNS. */
  has(id: string, { condition, expiresAt }: Held, now: number): boolean {
    return condition === "passing" && expiresAt > now && !this.#obstacles.has(id) && !this.#doubted.has(id);
  }

  /** Why an id is not in DNS although no call has failed. */
  obstacle(id: string): string | undefined {
    const doubt = this.#doubted.has(id) ? "the Consul agent does not have what it was given" : undefined;
    return this.#obstacles.get(id) ?? doubt;
  }

  get isDoubted(): boolean {
    return this.#doubted.size > 0;
  }

  /** @param checks what a survey has shown */
  surveyed(ids: ReadonlySet<string>, checks: readonly HeldCheck[]): void {
    this.#obstacles = new Map(
      Array.from(ids).flatMap((id) => {
        const obstacle = obstacleOf(id, checks);
        return obstacle ? [[id, obstacle.words] as const] : [];
      }),
    );
  }

  /** The agent does not have the entry although it was given it. */
  doubt(id: string): void {
    this.forgotten(id);
    this.#doubted.add(id);
  }

  /** The agent has the entry, or the entry is no longer ours. */
  believe(id: string): void {
    this.#doubted.delete(id);
  }

  forgotten(id: string): void {
    if (this.#told.has(id)) this.#deps.presence.forgotten(id);
  }

  /** Another daemon holds the id. @param own our entry under its new id, which is not logged as another publication */
  evaded(id: string, own: ServiceEntry | undefined): void {
    if (own) this.#deps.presence.evaded(id);
    if (this.#told.delete(id) && own) this.#told.set(own.id, own);
  }

  /** The check of the entry was passed. */
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
    this.#deps.log.info(told ? describe(told) : { node: this.#key, serviceId: id }, "withdrawn");
  }
}

function describe({ aliveName, id, service, address, port }: ServiceEntry): object {
  const where = address === undefined ? { port } : { address: hostPort(address, port) };
  return { node: aliveName, service, serviceId: id, ...where };
}
