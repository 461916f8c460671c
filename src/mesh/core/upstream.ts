import type { IpPort } from "../../config/network-values.js";
import type { Endpoint, Family } from "../../net/endpoint.js";
import { familyOf, formatIp, hostPort, isLoopback, parseIp } from "../../net/ip.js";
import { notFound, type Question, type Resolution } from "../../resolve/core/resolution.js";

/** A listener of a Connect proxy here, through which one destination is reached. */
export interface Upstream extends IpPort {
  /** A service or a prepared query, as it is written. */
  readonly destination: string;
}

/** Destinations in a reason: enough to see a misspelt one. */
const MOST_LISTED = 12;

/** @param spellings of the destination; the first that an upstream has counts. Consul takes no notice of case, nor do we */
export function upstreamsTo(spellings: readonly string[], upstreams: readonly Upstream[]): Upstream[] {
  for (const spelling of spellings) {
    const wanted = spelling.toLowerCase();
    const found = upstreams.filter(({ destination }) => destination.toLowerCase() === wanted);
    if (found.length > 0) return found;
  }
  return [];
}

/** @param sameHost the client is on this machine, so that loopback addresses are good for it */
export function resolveUpstream(
  { family, onlyAddress }: Pick<Question, "family" | "onlyAddress">,
  sameHost: boolean,
  found: readonly Upstream[],
): Resolution {
  const places = found.map(({ address, port }) => hostPort(address, port)).join(", ");
  const reachable = found.filter(({ address }) => sameHost || !isLoopback(address));
  const asked = reachable.filter(({ address }) => onlyAddress === undefined || address === onlyAddress);
  const endpoints = asked.flatMap((upstream) => endpointOf(upstream, family) ?? []);
  if (endpoints.length > 0) return { outcome: "found", source: "upstream", endpoints, ttl: 0, stale: false };
  const why =
    reachable.length === 0
      ? "which is out of reach for a client elsewhere"
      : asked.length === 0
        ? `not at ${onlyAddress}`
        : `which is no IPv${family} address`;
  return notFound("UPSTREAM_NO_ADDRESS", `the upstream ${found[0]?.destination} listens at ${places}, ${why}`);
}

function endpointOf({ destination, address, port }: Upstream, asked: Family | "any"): Endpoint | undefined {
  const family = familyOf(address) ?? 4;
  const endpoint = { port, priority: 0, weight: 0, target: destination };
  if (asked === "any" || asked === family) return { ...endpoint, address, family };
  if (asked === 4) return undefined;
  // RFC 4291 section 2.5.5.2: to an inet6_tcp VM the listener is at the IPv4-mapped address.
  return {
    ...endpoint,
    address: formatIp([...new Array<number>(10).fill(0), 0xff, 0xff, ...(parseIp(address) ?? [])]),
    family: 6,
  };
}

/** What there is, for the reason why something is not. */
export function listDestinations(upstreams: readonly Upstream[]): string {
  const names = Array.from(new Set(upstreams.map(({ destination }) => destination))).sort();
  if (names.length === 0) return "there are none";
  const more = names.length > MOST_LISTED ? `, and ${names.length - MOST_LISTED} more` : "";
  return `there are ${names.slice(0, MOST_LISTED).join(", ")}${more}`;
}
