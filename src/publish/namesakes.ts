import type { ServiceMember } from "../catalogue/core/instances.js";
import type { ConsulClient } from "../consul/client.js";
import { readRights } from "../consul/rights.js";
import type { Logger } from "../daemon/logger.js";
import { grouped } from "../grouped.js";
import type { DomainSettings } from "../names/domains.js";
import { listed } from "../text.js";
import { type Holder, hostOfEntry, type MembersByName, membersByName, namesakes } from "./core/claims.js";
import { nameKey } from "./core/reconcile.js";
import { META_NODE } from "./core/service-entry.js";
import { Recurring } from "./recurring.js";
import { restAfter, type Timings } from "./timing.js";

interface NamesakesDeps {
  readonly client: Pick<ConsulClient, "members" | "ask" | "leader" | "servers">;
  readonly settings: Pick<DomainSettings, "domain" | "consulDomain" | "publishNode" | "nodeHost">;
  readonly owner: string;
  /** The nodes that are published here. */
  readonly holders: () => readonly Holder[];
  readonly timings: Pick<Timings, "audit" | "recheck" | "watch">;
  /** Monotonic milliseconds. */
  readonly now: () => number;
  readonly log: Logger;
}

interface Told {
  /** Full name. */
  readonly node: string;
  readonly places: readonly string[];
}

/** Lines of a kind for one look, and places in a line: a user who publishes at will must not fill the log. */
const MOST_TOLD = 3;

/**
 * Logs when another place publishes a node of the same name as one here, and when it no longer does: a look-up gives either
 * node. Best effort: a token may write a service and yet not read its instances.
 */
export class Namesakes {
  readonly #deps: NamesakesDeps;
  readonly #abort = new AbortController();
  /** By name without case. */
  #told: ReadonlyMap<string, Told> = new Map();
  readonly #recurring: Recurring;
  /** The log has that the token may not read. */
  #isUnreadTold = false;

  constructor(deps: NamesakesDeps) {
    this.#deps = deps;
    const { timings, now } = deps;
    const run = async () => {
      // After a failure the next look tries again.
      await this.#compare().catch(() => {});
      await this.#askForServers();
      return deps.client.servers.trouble === undefined ? timings.audit : timings.watch;
    };
    const rest = (took: number) => restAfter(took, timings);
    this.#recurring = new Recurring({ run, rest, recheck: timings.recheck, now }, timings.audit);
  }

  /** Other places that publish a node of this name. */
  of(aliveName: string): readonly string[] {
    return this.#told.get(nameKey(aliveName))?.places ?? [];
  }

  /** Something was published: compare soon. */
  soon(): void {
    this.#recurring.soon();
  }

  /** Never rejects. */
  async close(): Promise<void> {
    this.#abort.abort(new Error("srv-epmd is stopping"));
    await this.#recurring.stop();
  }

  /**
   * Where no node is published, nothing else may ask Consul's servers, and it would not be seen that they answer again. Never
   * rejects.
   */
  async #askForServers(): Promise<void> {
    const { client, holders } = this.#deps;
    if (client.servers.trouble === undefined || holders().length > 0) return;
    await client.leader(this.#abort.signal).catch(() => {});
  }

  async #compare(): Promise<void> {
    const { client, holders, settings, owner } = this.#deps;
    const listings = new Map<string, readonly ServiceMember[]>();
    const entries = holders().flatMap((holder) => holder.entries);
    const services = grouped(entries, ({ service }) => service);
    for (const [service, own] of services) {
      const query = { service, datacenter: undefined };
      const names = new Set(own.map(({ aliveName }) => aliveName));
      listings.set(service, await client.members(query, this.#abort.signal, names));
    }
    await this.#tellUnread(Array.from(services.keys()).filter((service) => listings.get(service)?.length === 0));
    const indexes = new Map<string, MembersByName>();
    const now = new Map<string, Told>();
    // Only now: a node may have gone while Consul was asked.
    for (const { node, entries } of holders()) {
      const [entry] = entries;
      if (!entry) continue;
      const host = hostOfEntry(entry, settings);
      const key = `${entry.service} ${host}`;
      const index = indexes.get(key) ?? membersByName(listings.get(entry.service) ?? [], host, settings);
      indexes.set(key, index);
      const places = (namesakes(entry, index, owner) ?? []).map(({ place }) => place);
      if (places.length > 0)
        now.set(nameKey(node.aliveName), { node: entry.meta[META_NODE] ?? node.aliveName, places });
    }
    this.#tell(now);
  }

  /** Consul leaves out of a list, without an error, what the token may not read. Never rejects. @param services with nodes here, and an empty list */
  async #tellUnread(services: readonly string[]): Promise<void> {
    if (services.length === 0 || this.#isUnreadTold) return;
    // Without an answer the next look asks again.
    const rights = await readRights(this.#deps.client, services, this.#abort.signal).catch(() => undefined);
    if (rights?.kind !== "known" || rights.missing.length === 0) return;
    this.#isUnreadTold = true;
    const policy = rights.missing.join(" ");
    this.#deps.log.warn(
      { services: services.slice(0, MOST_TOLD), policy },
      `Consul has the nodes here and shows the token no instance of ${listed(services, MOST_TOLD)}: it lacks the policy ${policy}. Look-ups are left to DNS, and patterns, the page and a second node of a name here see nothing of Consul`,
    );
  }

  #tell(now: ReadonlyMap<string, Told>): void {
    const { log } = this.#deps;
    const before = this.#told;
    this.#told = now;
    const isNews = ([key, { places }]: [string, Told]) =>
      places.some((place) => !before.get(key)?.places.includes(place));
    const news = Array.from(now).filter(isNews);
    for (const [, { node, places }] of news.slice(0, MOST_TOLD)) {
      log.error(
        { node, places: places.slice(0, MOST_TOLD) },
        `another node of the name ${node} is published, at ${listed(places, MOST_TOLD)}: look-ups lead to either, and two nodes of one name cannot be in one cluster; where nobody has started a second one, one of them is an impostor (--register-uid says who may register here)`,
      );
    }
    if (news.length > MOST_TOLD)
      log.error({ count: news.length }, "more names published here are also published by other machines");
    const over = Array.from(before).filter(([key]) => !now.has(key));
    if (over.length > 0) {
      const nodes = over.slice(0, MOST_TOLD).map(([, { node }]) => node);
      log.info({ nodes, count: over.length }, "no other node of these names is published any more");
    }
  }
}
