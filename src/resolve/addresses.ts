import type { Resolver } from "../dns/resolver.js";
import type { DnsResult, Records } from "../dns/wire/answer.js";
import type { Family } from "../net/endpoint.js";
import { familyOf, isLoopback } from "../net/ip.js";
import type { HostsFile } from "../os/hosts-file.js";
import { type NodeQuestion, type Unavailable, unavailable } from "./core/resolution.js";
import type { LookupContext } from "./source.js";

export interface Addresses {
  /** IP literals as the records carry them. */
  readonly addresses: readonly string[];
  /** Seconds. */
  readonly ttl: number;
  readonly stale: boolean;
  /** No name server answered for one of the families: there may be further addresses. */
  readonly unavailable: Unavailable | undefined;
}

/** RFC 8305 section 3, Resolution Delay: how long a known address waits for further answers, milliseconds. */
const RESOLUTION_DELAY = 50;

/** The families that the question asks for and that `--family` allows. */
export function wantedFamilies(asked: Family | "any", allowed: Family | "any"): readonly Family[] {
  return ([4, 6] as const).filter((family) => [asked, allowed].every((wish) => wish === "any" || wish === family));
}

/** The only address that the client can dial; undefined: it can dial any. */
export function dialledAddress({ node, onlyAddress }: NodeQuestion, { dialled }: LookupContext): string | undefined {
  // A client that sends no host part dials the address at which it asked.
  return onlyAddress ?? (node.form === "full" ? undefined : dialled);
}

/** Only the family of the dialled address, when it is one of these families; else all of these families. */
export function neededFamilies(families: readonly Family[], dialled: string | undefined): readonly Family[] {
  const needed = families.filter((family) => dialled !== undefined && family === familyOf(dialled));
  return needed.length > 0 ? needed : families;
}

/** Addresses of names: from /etc/hosts, else A and AAAA. The sources of one look-up share the queries. */
export class AddressLookup {
  readonly #resolver: Resolver;
  readonly #hostsFile: Pick<HostsFile, "addressesOf">;
  /** By look-up: answers with a TTL of 0 (Consul's default) are not cached, but serve all sources of one look-up. */
  readonly #queries = new WeakMap<LookupContext, QueryTurns>();
  readonly #now: () => number;

  /** @param now milliseconds on the clock of the look-ups' deadlines */
  constructor(resolver: Resolver, hostsFile: Pick<HostsFile, "addressesOf">, now = () => performance.now()) {
    this.#resolver = resolver;
    this.#hostsFile = hostsFile;
    this.#now = now;
  }

  isInHostsFile(name: string, families: readonly Family[], context: LookupContext): boolean {
    return this.#written(name, families, context).length > 0;
  }

  /** Sends the queries now; `lookUp` uses their answers later. */
  askAhead(names: readonly string[], families: readonly Family[], context: LookupContext, search?: boolean): void {
    for (const name of names) {
      if (this.isInHostsFile(name, families, context)) continue;
      for (const family of families) void this.#query(name, family, context, search);
    }
  }

  /**
   * Asks for all families at once; a late answer of one does not delay those of the other for long.
   * @param search the name is a relative one that a user wrote; default: it is absolute
   */
  async lookUp(
    name: string,
    families: readonly Family[],
    context: LookupContext,
    search?: boolean,
  ): Promise<Addresses> {
    const written = this.#written(name, families, context);
    if (written.length > 0) {
      context.trace?.({ step: "hosts-file", name, addresses: written });
      return { addresses: written, ttl: 0, stale: false, unavailable: undefined };
    }
    const results: DnsResult[] = [];
    const queries = families.map(async (family) => {
      const result = await this.#query(name, family, context, search);
      results.push(result);
      // RFC 8020: a name that does not exist has no record of the other family either.
      return result.kind === "records" || result.kind === "nxdomain";
    });
    await enough(queries, false);
    return combine(results);
  }

  /**
   * Addresses of /etc/hosts of the wanted families. One is enough, as for getaddrinfo(3): DNS is not asked for the other
   * family. Clients on other machines get no loopback address, such as Debian's 127.0.1.1 for the machine's own name.
   */
  #written(name: string, families: readonly Family[], { sameHost }: LookupContext): string[] {
    return this.#hostsFile
      .addressesOf(name)
      .filter((address) => families.some((family) => family === familyOf(address)))
      .filter((address) => sameHost || !isLoopback(address));
  }

  #query(name: string, family: Family, context: LookupContext, search = false): Promise<DnsResult> {
    const turns = this.#queries.get(context) ?? new QueryTurns(context.deadline, this.#now);
    this.#queries.set(context, turns);
    const type = family === 4 ? "A" : "AAAA";
    return turns.once(`${name} ${type} ${search}`, (deadline) =>
      this.#resolver.query(name, type, { search, ...context, deadline }),
    );
  }
}

/** Queries of one look-up that are under way at once: an answer with many targets must not make a flood of queries. */
const MAX_QUERIES = 16;

/** The address queries of one look-up, each sent once. */
class QueryTurns {
  readonly #deadline: number;
  readonly #now: () => number;
  readonly #queries = new Map<string, Promise<DnsResult>>();
  readonly #waiting: ((deadline: number) => void)[] = [];
  #underWay = 0;

  /** @param deadline of the look-up, milliseconds on the clock of `now` */
  constructor(deadline: number, now: () => number) {
    this.#deadline = deadline;
    this.#now = now;
  }

  /** @param send gets the deadline of this query, which leaves time for the queries that wait */
  once(key: string, send: (deadline: number) => Promise<DnsResult>): Promise<DnsResult> {
    const known = this.#queries.get(key);
    if (known) return known;
    const query = this.#inTurn(send);
    this.#queries.set(key, query);
    return query;
  }

  async #inTurn(send: (deadline: number) => Promise<DnsResult>): Promise<DnsResult> {
    const turn = new Promise<number>((resolve) => this.#waiting.push(resolve));
    // Counted after all queries of this moment are in the queue.
    queueMicrotask(() => this.#next());
    const deadline = await turn;
    try {
      return await send(deadline);
    } finally {
      this.#underWay--;
      this.#next();
    }
  }

  #next(): void {
    if (this.#underWay >= MAX_QUERIES) return;
    const start = this.#waiting.shift();
    if (!start) return;
    this.#underWay++;
    const turns = 1 + Math.ceil(this.#waiting.length / MAX_QUERIES);
    start(this.#now() + (this.#deadline - this.#now()) / turns);
  }
}

/** CNAMEs inside one additional section. */
const MAX_ALIASES = 8;

/** The addresses of an SRV target in the additional section. */
export function glueOf(target: string, { additionals, stale }: Pick<Records, "additionals" | "stale">): Addresses {
  let owner = target;
  let ttl = Number.POSITIVE_INFINITY;
  for (let aliases = 0; aliases <= MAX_ALIASES; aliases++) {
    const name = owner;
    const cname = additionals.find((record) => record.type === "CNAME" && record.owner === name);
    if (cname?.type !== "CNAME") break;
    owner = cname.target;
    ttl = Math.min(ttl, cname.ttl);
  }
  const records = additionals.flatMap((record) =>
    (record.type === "A" || record.type === "AAAA") && record.owner === owner ? [record] : [],
  );
  return {
    addresses: records.map(({ address }) => address),
    ttl: Math.min(ttl, ...records.map((record) => record.ttl)),
    stale,
    unavailable: undefined,
  };
}

/**
 * Waits for all look-ups, but no longer than the Resolution Delay after the first useful result.
 * @param lookUps give whether their result is useful
 * @param anyKnown a useful result is known already
 */
export async function enough(lookUps: readonly Promise<boolean>[], anyKnown: boolean): Promise<void> {
  if (lookUps.length === 0) return;
  let timer: NodeJS.Timeout | undefined;
  const delay = new Promise<void>((resolve) => {
    const start = () => {
      timer ??= setTimeout(resolve, RESOLUTION_DELAY);
    };
    if (anyKnown) start();
    else
      for (const lookUp of lookUps)
        lookUp.then(
          (found) => found && start(),
          () => {},
        );
  });
  try {
    await Promise.race([Promise.all(lookUps), delay]);
  } finally {
    clearTimeout(timer);
  }
}

function combine(results: readonly DnsResult[]): Addresses {
  const found = results.filter((result) => result.kind === "records");
  const silent = results.find((result) => result.kind === "unavailable");
  return {
    addresses: found.flatMap(({ records }) =>
      records.flatMap((record) => (record.type === "A" || record.type === "AAAA" ? [record.address] : [])),
    ),
    ttl: Math.min(...found.map((result) => result.ttl)),
    stale: found.some((result) => result.stale),
    unavailable: silent && unavailable(silent.code, silent.cause),
  };
}
