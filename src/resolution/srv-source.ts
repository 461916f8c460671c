import { preferAddresses } from "../core/dns/address.js";
import { srvOwner } from "../core/dns/owner.js";
import { nameProblem, type ResourceRecord, type SrvRecord } from "../core/dns/record.js";
import { orderSrv } from "../core/dns/select.js";
import type { Endpoint, Family } from "../core/endpoint.js";
import { canonicalIp, familyOf } from "../core/ip.js";
import type { Question, Resolution } from "../core/resolution.js";
import type { Records, Resolver } from "../dns/resolver.js";
import { type Addresses, type AddressLookup, wantedFamilies } from "./addresses.js";
import { glueOf } from "./glue.js";
import type { LookupContext, Source } from "./source.js";

export interface SrvSourceOptions {
  readonly resolver: Resolver;
  /** Shared with the fallback, so that nothing is asked twice in one look-up. */
  readonly addresses: AddressLookup;
  /** `--srv-name`. */
  readonly srvName: string;
  /** `--family`. */
  readonly family: Family | "any";
  /** In [0, 1). */
  readonly random: () => number;
  /** Addresses of this machine, loopbacks included. */
  readonly localAddresses: () => readonly string[];
  /** A fallback is on: A and AAAA of owner and host go out in the same moment as SRV. */
  readonly addressesToo: boolean;
}

export interface SrvSource extends Source {
  /** Takes an endpoint that refused a connection out of what is remembered of its node. */
  readonly drop: (question: Question, endpoint: Pick<Endpoint, "address" | "port">) => void;
}

/** Names whose targets came without addresses: no more are remembered than this. */
const MAX_REMEMBERED = 10_000;

/** Asks DNS for the SRV records of a node and for the addresses of their targets. */
export function createSrvSource(options: SrvSourceOptions): SrvSource {
  const { resolver, addresses, srvName, random, localAddresses, addressesToo } = options;
  /** Targets of the last answer that came without addresses, by owner: next time they are asked in the same moment. */
  const withoutAddresses = new Map<string, readonly string[]>();

  function remember(owner: string, targets: readonly string[]): void {
    if (targets.length === 0) withoutAddresses.delete(owner);
    else if (withoutAddresses.has(owner) || withoutAddresses.size < MAX_REMEMBERED)
      withoutAddresses.set(owner, targets);
  }

  /** Addresses of every target: from the additional section, and what is missing there asked for, all at once. */
  async function addressesOf(
    owner: string,
    targets: readonly string[],
    answer: Records,
    families: readonly Family[],
    context: LookupContext,
  ): Promise<Map<string, Addresses>> {
    const found = new Map<string, Addresses>();
    for (const target of targets) {
      const glue = glueOf(target, answer);
      const usable = glue.addresses.filter((address) => families.some((family) => family === familyOf(address)));
      if (usable.length > 0) found.set(target, { ...glue, addresses: usable });
    }
    const missing = targets.filter((target) => !found.has(target));
    remember(owner, missing);
    await Promise.all(
      missing.map(async (target) => found.set(target, await addresses.lookUp(target, families, context))),
    );
    return found;
  }

  async function lookUp(question: Question, context: LookupContext): Promise<Resolution> {
    const owner = srvOwner(srvName, question.node);
    const problem = nameProblem(owner);
    if (problem !== undefined) return notFound(`${owner} cannot be asked for in DNS: ${problem}`);
    const families = wantedFamilies(question.family, options.family);
    const hosts = addressesToo && !context.withoutFallback ? [owner, question.node.host] : [];
    const { search } = question;
    addresses.askAhead(hosts, families, context, search);
    // RFC 2782: a target is a domain name, not a name that a user wrote, so the search list is not for it.
    addresses.askAhead(withoutAddresses.get(owner) ?? [], families, context);

    const answer = await resolver.query(owner, "SRV", { ...context, search });
    if (answer.kind === "unavailable") return { outcome: "unavailable", cause: answer.cause };
    if (answer.kind !== "records") {
      return notFound(`${owner} has no SRV record (${answer.kind.toUpperCase()} from ${answer.server ?? "nobody"})`);
    }
    const records = answer.records.filter((record) => record.type === "SRV");
    const offered = records.filter(isOffered);
    if (offered.length === 0) return notFound(whyNotOffered(owner, records));

    const targets = Array.from(new Set(offered.map((record) => record.target)));
    const known = await addressesOf(owner, targets, answer, families, context);
    const endpoints = orderSrv(offered, random).flatMap(({ target, port, priority, weight }) =>
      preferAddresses(known.get(target)?.addresses ?? [], {
        family: families.length === 1 && families[0] !== undefined ? families[0] : "any",
        sources: localAddresses(),
      }).map((address): Endpoint => ({ address, port, family: familyOf(address) ?? 4, priority, weight, target })),
    );
    const { onlyAddress } = question;
    const chosen = distinct(endpoints).filter(({ address }) => onlyAddress === undefined || address === onlyAddress);
    if (chosen.length === 0) return withoutEndpoint(owner, targets, families, known, endpoints, onlyAddress);
    const used = chosen.flatMap(({ target }) => known.get(target) ?? []);
    return {
      outcome: "found",
      source: "srv",
      endpoints: chosen,
      ttl: Math.min(answer.ttl, ...used.map(({ ttl }) => ttl)),
      stale: answer.stale || used.some(({ stale }) => stale),
    };
  }

  function drop(question: Question, { address, port }: Pick<Endpoint, "address" | "port">): void {
    const owner = srvOwner(srvName, question.node);
    const isWrong = (record: ResourceRecord, answer: Records) => {
      if (record.type !== "SRV" || record.port !== port) return false;
      const glue = glueOf(record.target, answer).addresses.map(canonicalIp);
      // Without addresses of its own the record cannot be told from its neighbours: ask anew for all of this port.
      return glue.length === 0 || glue.every((known) => known === address);
    };
    resolver.dropRecords(owner, "SRV", isWrong, question);
  }

  return { name: "srv", lookUp, drop };
}

function isOffered({ target, port }: SrvRecord): boolean {
  // RFC 2782: target "." means not offered. Consul gives port 0 to a service registered without a port.
  return target !== "" && port !== 0;
}

function whyNotOffered(owner: string, records: readonly SrvRecord[]): string {
  return records.every(({ target }) => target === "")
    ? `${owner} is not offered: its SRV record has the target "."`
    : `the SRV record of ${owner} has port 0: it was registered without a port`;
}

function withoutEndpoint(
  owner: string,
  targets: readonly string[],
  families: readonly Family[],
  addresses: ReadonlyMap<string, Addresses>,
  endpoints: readonly Endpoint[],
  onlyAddress: string | undefined,
): Resolution {
  const silent = Array.from(addresses.values()).find(({ unavailable }) => unavailable !== undefined);
  if (silent?.unavailable !== undefined) return { outcome: "unavailable", cause: silent.unavailable };
  if (onlyAddress !== undefined && endpoints.length > 0) {
    const others = endpoints.map(({ address }) => address).join(", ");
    return notFound(`the SRV records of ${owner} lead to ${others}, not to ${onlyAddress}`);
  }
  const kind = families.length === 1 ? `IPv${families[0]} address` : "address";
  return notFound(`${owner} has no ${kind}: its SRV target ${targets.join(", ")} has none`);
}

function distinct(endpoints: readonly Endpoint[]): Endpoint[] {
  const seen = new Map<string, Endpoint>();
  for (const endpoint of endpoints) {
    const key = `${endpoint.address} ${endpoint.port}`;
    if (!seen.has(key)) seen.set(key, endpoint);
  }
  return Array.from(seen.values());
}

function notFound(reason: string): Resolution {
  return { outcome: "not-found", reason };
}
