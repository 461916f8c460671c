import { orderSrv } from "../dns/core/order.js";
import type { Resolver } from "../dns/resolver.js";
import type { Records } from "../dns/wire/answer.js";
import { nameProblem, type ResourceRecord, type SrvRecord } from "../dns/wire/record.js";
import type { Endpoint, Family } from "../net/endpoint.js";
import { canonicalIp, familyOf, isLinkLocal } from "../net/ip.js";
import {
  type Addresses,
  type AddressLookup,
  dialledAddress,
  enough,
  glueOf,
  neededFamilies,
  wantedFamilies,
} from "./addresses.js";
import { endpointsOf, firstOffers, MAX_ENDPOINTS } from "./core/endpoints.js";
import { Bounds, type NodeQuestion, notFound, type Resolution, srvOwner, unavailable } from "./core/resolution.js";
import { type LookupContext, type Source, TRAITS } from "./source.js";

export interface SrvSourceOptions {
  readonly resolver: Resolver;
  /** Shared with the fallback, so that nothing is asked twice in one look-up. */
  readonly addresses: AddressLookup;
  /** `--srv-name`. */
  readonly srvName: string;
  /** `--srv-target`: only records with this target count; undefined: all. */
  readonly srvTarget?: string | undefined;
  /** `--family`. */
  readonly family: Family | "any";
  /** In [0, 1). */
  readonly random: () => number;
  /** Addresses of this machine, loopbacks included. */
  readonly localAddresses: () => readonly string[];
  /** A fallback is on: A and AAAA of owner and host are asked for together with SRV. */
  readonly addressesToo: boolean;
  /** Milliseconds on the clock of the look-ups' deadlines; default performance.now. */
  readonly now?: () => number;
}

/** Entries of `withoutAddresses`. */
const MAX_REMEMBERED = 10_000;

/** SRV's share of the time of a look-up when a fallback follows: some servers drop only the questions for SRV. */
const SRV_SHARE = 0.5;

/** Asks DNS for the SRV records of a node and for the addresses of their targets. */
export function createSrvSource(options: SrvSourceOptions): Source {
  const { resolver, addresses, srvName, srvTarget, random, localAddresses, addressesToo } = options;
  const { now = () => performance.now() } = options;
  /** Targets of the last answer that came without addresses, by owner: next time they are asked for together with SRV. */
  const withoutAddresses = new Map<string, readonly string[]>();

  function remember(owner: string, targets: readonly string[]): void {
    if (targets.length === 0) withoutAddresses.delete(owner);
    else if (withoutAddresses.has(owner) || withoutAddresses.size < MAX_REMEMBERED)
      withoutAddresses.set(owner, targets);
  }

  /**
   * Addresses of the targets: from the additional section, else from A and AAAA, all asked for at once. A target whose
   * answer is late is left out; the answer goes into the cache.
   * @param wanted the only address that the client can dial
   */
  async function addressesOf(
    owner: string,
    targets: readonly string[],
    answer: Records,
    families: readonly Family[],
    wanted: string | undefined,
    context: LookupContext,
  ): Promise<Map<string, Addresses>> {
    const needed = neededFamilies(families, wanted);
    const isUsable = (address: string) =>
      !isLinkLocal(address) && (wanted ?? canonicalIp(address)) === canonicalIp(address);
    const found = new Map<string, Addresses>();
    const unusable = new Map<string, Addresses>();
    for (const target of targets) {
      if (addresses.isInHostsFile(target, needed, context)) continue;
      const glue = glueOf(target, answer);
      const isOf = (wished: readonly Family[]) => (address: string) =>
        wished.some((family) => family === familyOf(address));
      const known = { ...glue, addresses: glue.addresses.filter(isOf(families)) };
      if (known.addresses.filter(isOf(needed)).some((address) => !isLinkLocal(address))) found.set(target, known);
      else if (known.addresses.length > 0) unusable.set(target, known);
    }
    const missing = targets.filter((target) => !found.has(target));
    remember(owner, missing);
    const lookUps = missing.map(async (target) => {
      const answered = await addresses.lookUp(target, needed, context);
      const isNone = answered.addresses.length === 0 && answered.unavailable === undefined;
      // For the reason: the client cannot dial them.
      found.set(target, isNone ? (unusable.get(target) ?? answered) : answered);
      return answered.addresses.some(isUsable);
    });
    const known = Array.from(found.values()).flatMap((addresses) => addresses.addresses);
    await enough(lookUps, known.some(isUsable));
    const notAwaited = missing.filter((target) => !found.has(target));
    if (notAwaited.length > 0) context.trace?.({ step: "not-awaited", targets: notAwaited });
    // A copy: late answers must not change it.
    return new Map(found);
  }

  async function lookUp(question: NodeQuestion, context: LookupContext): Promise<Resolution> {
    const owner = srvOwner(srvName, question.node);
    const problem = nameProblem(owner);
    if (problem !== undefined) return notFound("NAME_NOT_DNS", `${owner} cannot be asked for in DNS: ${problem}`);
    const { search, shortHost, onlyAddress } = question;
    const wanted = dialledAddress(question, context);
    const families = wantedFamilies(question.family, options.family);
    const needed = neededFamilies(families, wanted);
    const fallbackFollows = addressesToo && !context.forStranger;
    if (fallbackFollows) {
      addresses.askAhead([owner, question.node.host], needed, context, search);
      if (shortHost !== undefined) addresses.askAhead([shortHost], needed, context, true);
    }
    // RFC 2782: a target is a domain name, not a name that a user wrote, so the search list is not for it.
    addresses.askAhead(withoutAddresses.get(owner) ?? [], needed, context);

    const deadline = fallbackFollows ? now() + (context.deadline - now()) * SRV_SHARE : context.deadline;
    const answer = await resolver.query(owner, "SRV", { search, ...context, deadline });
    if (answer.kind === "unavailable") return unavailable(answer.code, answer.cause);
    if (answer.kind !== "records") {
      const code = answer.kind === "nxdomain" ? "SRV_NXDOMAIN" : "SRV_NODATA";
      const said = `${answer.kind.toUpperCase()} from ${answer.server ?? "nobody"}`;
      return notFound(code, `${owner} has no SRV record (${said})`);
    }
    const records = answer.records.filter((record) => record.type === "SRV");
    const offered = records.filter(isOffered);
    if (offered.length === 0) return whyNotOffered(owner, records);
    const meant = offered.filter(({ target }) => isMeant(target, question));
    if (meant.length === 0) {
      const reason = `none of the SRV records of ${owner} has the target ${wantedTarget(question)} (--srv-target)`;
      return notFound("SRV_OTHER_TARGET", reason);
    }
    const bounds = new Bounds(context.trace);
    const isDialled = ({ target }: SrvRecord) =>
      wanted !== undefined && glueOf(target, answer).addresses.map(canonicalIp).includes(wanted);
    const ordered = firstOffers("SRV records", orderSrv(meant, random), isDialled, bounds);
    const targets = Array.from(new Set(ordered.map((record) => record.target)));
    const known = await addressesOf(owner, targets, answer, families, wanted, context);
    const offers = ordered.map((record) => ({ addresses: known.get(record.target)?.addresses ?? [], ...record }));
    const { all, usable } = endpointsOf(offers, { families, onlyAddress, sources: localAddresses() });
    if (usable.length === 0) return withoutEndpoint(owner, targets, needed, known, all, onlyAddress);
    const chosen = bounds.take("endpoints", usable, MAX_ENDPOINTS);
    const used = chosen.flatMap(({ target }) => known.get(target) ?? []);
    return {
      outcome: "found",
      source: "srv",
      endpoints: chosen,
      ttl: Math.min(answer.ttl, ...used.map(({ ttl }) => ttl)),
      stale: answer.stale || used.some(({ stale }) => stale),
      ...bounds.told,
    };
  }

  /** An address as host part chooses the host by itself; only a template with the node's name must fit then. */
  function wantedTarget({ node, onlyAddress }: NodeQuestion): string | undefined {
    if (srvTarget === undefined || (onlyAddress !== undefined && !srvTarget.includes("{name}"))) return undefined;
    return srvOwner(srvTarget, node);
  }

  function isMeant(target: string, question: NodeQuestion): boolean {
    const wanted = wantedTarget(question);
    return wanted === undefined || target === wanted;
  }

  /** Drops the cached record of an endpoint that refused a connection. */
  function onRefused(question: NodeQuestion, { address, port }: Pick<Endpoint, "address" | "port">): void {
    const owner = srvOwner(srvName, question.node);
    const isWrong = (record: ResourceRecord, answer: Records) => {
      if (record.type !== "SRV" || record.port !== port || !isMeant(record.target, question)) return false;
      const glue = glueOf(record.target, answer).addresses.map(canonicalIp);
      // A record without addresses may be another instance's: all records with this port are dropped.
      return glue.length === 0 || glue.every((known) => known === address);
    };
    resolver.dropRecords(owner, "SRV", isWrong, question);
  }

  return {
    name: "srv",
    ...TRAITS.srv,
    onRefused,
    lookUp,
  };
}

function isOffered({ target, port }: SrvRecord): boolean {
  // RFC 2782: target "." means not offered. Consul gives port 0 to a service registered without a port.
  return target !== "" && port !== 0;
}

function whyNotOffered(owner: string, records: readonly SrvRecord[]): Resolution {
  return records.every(({ target }) => target === "")
    ? notFound("SRV_NOT_OFFERED", `${owner} is not offered: its SRV record has the target "."`)
    : notFound("SRV_NO_PORT", `the SRV record of ${owner} has port 0: it was registered without a port`);
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
  if (silent?.unavailable !== undefined) return silent.unavailable;
  if (onlyAddress !== undefined && endpoints.length > 0) {
    const others = endpoints.map(({ address }) => address).join(", ");
    return notFound("SRV_OTHER_ADDRESS", `the SRV records of ${owner} lead to ${others}, not to ${onlyAddress}`);
  }
  const linkLocal = Array.from(addresses.values()).flatMap((found) => found.addresses.filter(isLinkLocal));
  if (linkLocal.length > 0) {
    return notFound(
      "SRV_LINK_LOCAL",
      `${owner} leads to the link-local address ${linkLocal[0]} alone, which cannot be dialled without a zone`,
    );
  }
  const kind = families.length === 1 ? `IPv${families[0]} address` : "address";
  return notFound("SRV_NO_ADDRESS", `${owner} has no ${kind}: its SRV target ${targets.join(", ")} has none`);
}
