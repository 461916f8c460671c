import { setMaxListeners } from "node:events";
import type { DnsServer } from "../config/network-values.js";
import type { Observe } from "../daemon/core/observations.js";
import type { Logger } from "../daemon/logger.js";
import { atMost } from "../each-of.js";
import type { Trace } from "../resolve/core/resolution.js";
import { AnswerCache } from "./core/cache.js";
import { ExchangeSlots, type NameServer } from "./exchange.js";
import { NameServers, type SetServers } from "./name-servers.js";
import { Search } from "./search.js";
import { SharedQuery } from "./shared-query.js";
import { UdpSockets } from "./udp-sockets.js";
import { type Absence, type DnsResult, presentRecord, type Records } from "./wire/answer.js";
import { canonicalName, nameProblem, type QueryType, type ResourceRecord } from "./wire/record.js";

export interface QueryOptions {
  /** Milliseconds on the clock of `now`. */
  readonly deadline: number;
  readonly trace?: Trace | undefined;
  /** The search list of resolv.conf applies: the name is a relative one that a user wrote. Default false, an absolute name. */
  readonly search?: boolean | undefined;
  /** Asked for a stranger: it waits behind all that is asked for local peers. */
  readonly forStranger?: boolean | undefined;
}

export interface Resolver {
  /** Never rejects. The same question asked at the same time is sent to the servers once. */
  readonly query: (qname: string, qtype: QueryType, options: QueryOptions) => Promise<DnsResult>;
  /** Takes records that turned out wrong out of the cache, the last good answer included; the next query asks anew. */
  readonly dropRecords: (
    qname: string,
    qtype: QueryType,
    wrong: (record: ResourceRecord, answer: Records) => boolean,
    options?: Pick<QueryOptions, "search">,
  ) => void;
  /** The servers that are asked, as --dns has them: `[domain=]ip:port`. */
  readonly nameServers: () => Promise<readonly string[]>;
  /** The servers that are set for a name, without the one that stands in for them. */
  readonly setFor: (name: string) => Promise<SetServers>;
  /** Has a server asked for the names under its domain, in place of those that are set and do not know it; undefined: none any more. */
  readonly standIn: (server: DnsServer | undefined) => void;
  /** Ends the queries under way; their result is `unavailable`. */
  readonly close: () => Promise<void>;
}

export interface ResolverOptions {
  /** From `--dns`; empty: resolv.conf. */
  readonly dns: readonly DnsServer[];
  /** Default /etc/resolv.conf; read again when it changes. */
  readonly resolvConf?: string;
  /** Servers of resolv.conf that are not asked: the gateway's DNS is one of ours. */
  readonly isOwnServer?: ((server: NameServer) => boolean) | undefined;
  /** Asked where resolv.conf names only our own. */
  readonly otherServers?: readonly NameServer[] | undefined;
  /** Longest time that an answer or an absence is cached, milliseconds. */
  readonly maxTtl: number;
  /** Milliseconds. */
  readonly staleTtl: number;
  /** Called for each query that is sent, and for each question to the cache. */
  readonly observe?: Observe | undefined;
  readonly log: Logger;
  /** Queries under way at once, each with a socket and a port of its own; others wait. Default 128. */
  readonly maxExchanges?: number;
  /** Milliseconds on a clock that is never set, so that no answer outlives its TTL; default performance.now. */
  readonly now?: () => number;
  /** In [0, 1); default Math.random. */
  readonly random?: () => number;
}

/** RFC 8767 section 5: how long a client waits for a new answer when there is a stale one, milliseconds. */
export const CLIENT_RESPONSE_TIMER = 1_800;
/** A result is given this much before the deadline, so that its client does not give up in the same moment. Milliseconds. */
const MARGIN = 10;
const MAX_EXCHANGES = 128;
const MAX_CACHE_ENTRIES = 10_000;
/** About 20 MB. */
const MAX_CACHE_RECORDS = 50_000;

interface Cached<V> {
  readonly value: V;
  readonly receivedAt: number;
}

export function createResolver(options: ResolverOptions): Resolver {
  const { now = () => performance.now(), random = Math.random, maxTtl, staleTtl, log } = options;
  const { observe = () => {} } = options;
  const nameServers = new NameServers({
    rules: options.dns,
    resolvConf: options.resolvConf ?? "/etc/resolv.conf",
    isOwn: options.isOwnServer,
    otherwise: options.otherServers,
    log,
  });
  const cache = new AnswerCache<Cached<Records>, Cached<Absence>>({
    maxTtl,
    staleTtl,
    maxEntries: MAX_CACHE_ENTRIES,
    maxRecords: MAX_CACHE_RECORDS,
  });
  const slots = new ExchangeSlots(options.maxExchanges ?? MAX_EXCHANGES);
  const sockets = new UdpSockets();
  const underWay = new Map<string, SharedQuery>();
  const searching = new Search(now);
  const closing = new AbortController();
  // Each query under way adds a listener, which is no leak.
  setMaxListeners(0, closing.signal);

  function store(key: string, result: DnsResult): void {
    const receivedAt = now();
    if (result.kind === "records") {
      const additionals = result.additionals.filter((record) => isAddress(record) || record.type === "CNAME");
      // The addresses of the additional section are kept with the records: the lowest TTL counts.
      const ttl = Math.min(result.ttl, ...additionals.filter(isAddress).map((record) => record.ttl));
      const records = result.records.length + additionals.length;
      cache.storeGood(key, { value: { ...result, additionals }, receivedAt }, ttl, receivedAt, records);
    } else if (result.kind !== "unavailable") {
      cache.storeAbsent(key, { value: result, receivedAt }, result.ttl, receivedAt);
    }
  }

  function join(
    key: string,
    qname: string,
    qtype: QueryType,
    { deadline, trace, forStranger }: QueryOptions,
  ): SharedQuery {
    const shared = underWay.get(key);
    observe({ type: "cache", result: shared ? "shared" : "miss" });
    if (shared) {
      shared.join(deadline, trace, forStranger);
      return shared;
    }
    const query = new SharedQuery(
      { qname, qtype },
      {
        nameServers,
        slots,
        sockets,
        now,
        random,
        closing: closing.signal,
        lastGood: (maxAge) => cache.lastGood(key, now(), maxAge),
        observe,
      },
    );
    query.join(deadline, trace, forStranger);
    underWay.set(key, query);
    query.start((end) => {
      underWay.delete(key);
      store(key, end.result);
    });
    return query;
  }

  function stale(key: string): Records | undefined {
    const last = cache.lastGood(key, now());
    return last && { ...last.value, ttl: 0, stale: true };
  }

  async function lookup(
    qname: string,
    qtype: QueryType,
    query: QueryOptions,
    troubled?: () => void,
  ): Promise<DnsResult> {
    const key = `${qtype} ${qname}`;
    const fresh = cache.fresh(key, now());
    if (fresh) {
      observe({ type: "cache", result: "hit" });
      return fromCache(fresh, qname, qtype, query.trace);
    }
    for (;;) {
      const shared = join(key, qname, qtype, query);
      if (troubled) void shared.trouble.then(troubled);
      const remaining = query.deadline - now() - MARGIN;
      const patience = stale(key) ? Math.min(remaining, CLIENT_RESPONSE_TIMER) : remaining;
      const end = (await atMost(patience, shared.end)) ?? { result: shared.soFar(), endedBy: undefined };
      // The query ended on an earlier deadline than ours: start another.
      if (end.endedBy !== undefined && query.deadline > end.endedBy) continue;
      return end.result.kind === "unavailable" ? (stale(key) ?? end.result) : end.result;
    }
  }

  function fromCache(
    { value, receivedAt }: Cached<Records | Absence>,
    qname: string,
    qtype: QueryType,
    trace: Trace | undefined,
  ): DnsResult {
    const age = Math.floor((now() - receivedAt) / 1000);
    trace?.({
      step: "query",
      server: "cache",
      transport: "cache",
      qname,
      qtype,
      elapsedMs: 0,
      result: value.kind === "nxdomain" ? "NXDOMAIN" : "NOERROR",
      flags: [],
      records: value.kind === "records" ? value.records.map(presentRecord) : [],
      additionals: value.kind === "records" ? value.additionals.map(presentRecord) : [],
    });
    return { ...value, ttl: Math.max(0, value.ttl - age) };
  }

  return {
    async query(name, qtype, query) {
      const asked = name.toLowerCase();
      if (nameProblem(asked) !== undefined) return { kind: "nxdomain", ttl: 0, server: undefined };
      const names = (query.search ? await nameServers.namesFor(asked) : [asked]).map(canonicalName);
      // A search domain may make a name longer than DNS allows.
      const possible = Array.from(new Set(names)).filter((qname) => nameProblem(qname) === undefined);
      const [only, second] = possible;
      if (only !== undefined && second === undefined) return lookup(only, qtype, query);
      return searching.lookUp(canonicalName(asked), possible, query.deadline, (qname, deadline, troubled) =>
        lookup(qname, qtype, { ...query, deadline }, troubled),
      );
    },
    nameServers: () => nameServers.all(),
    setFor: (name) => nameServers.setFor(name),
    standIn: (server) => nameServers.standIn(server),
    dropRecords(name, qtype, wrong, { search = false } = {}) {
      const asked = name.toLowerCase();
      for (const qname of search ? nameServers.knownNamesFor(asked) : [asked]) {
        cache.revise(`${qtype} ${canonicalName(qname)}`, (cached) => {
          const { value, receivedAt } = cached;
          const records = value.records.filter((record) => !wrong(record, value));
          if (records.length === value.records.length) return cached;
          return records.length === 0 ? undefined : { value: { ...value, records }, receivedAt };
        });
      }
    },
    async close() {
      closing.abort();
      await Promise.all(Array.from(underWay.values(), (query) => query.end));
      sockets.close();
    },
  };
}

function isAddress(record: ResourceRecord): boolean {
  return record.type === "A" || record.type === "AAAA";
}
