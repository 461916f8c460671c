import type { IpPort } from "../../config/network-values.js";
import type { Endpoint, Family } from "../../net/endpoint.js";
import { familyOf, formatIp, hostPort, isLoopback, parseIp } from "../../net/ip.js";
import { type NodeQuestion, notFound, type Resolution } from "../../resolve/core/resolution.js";

/** A listener of a Connect proxy here, through which a destination is reached. */
export interface Upstream extends IpPort {
  /** A service or a prepared query, as the registration writes it. */
  readonly destination: string;
}

/** The most destinations in a reason: enough to find a misspelt one. */
const MOST_LISTED = 12;

/** @param spellings of the destination, in order: the first that an upstream has is used. Case is ignored, as in Consul */
export function upstreamsTo(spellings: readonly string[], upstreams: readonly Upstream[]): Upstream[] {
  for (const spelling of spellings) {
    const wanted = spelling.toLowerCase();
    const found = upstreams.filter(({ destination }) => destination.toLowerCase() === wanted);
    if (found.length > 0) return found;
  }
  return [];
}

/** @param sameHost the client is on this machine and can reach loopback addresses */
export function resolveUpstream(
  { family, onlyAddress }: Pick<NodeQuestion, "family" | "onlyAddress">,
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
      ? "out of reach for a client on another machine"
      : asked.length === 0
        ? `not at ${onlyAddress}`
        : `not an IPv${family} address`;
  return notFound("UPSTREAM_NO_ADDRESS", `the upstream ${found[0]?.destination} listens at ${places}, ${why}`);
}

function endpointOf({ destination, address, port }: Upstream, asked: Family | "any"): Endpoint | undefined {
  const family = familyOf(address) ?? 4;
  const endpoint = { port, priority: 0, weight: 0, target: destination };
  if (asked === "any" || asked === family) return { ...endpoint, address, family };
  if (asked === 4) return undefined;
  // RFC 4291 section 2.5.5.2: an inet6_tcp VM reaches the listener at the IPv4-mapped address.
  return {
    ...endpoint,
    address: formatIp([...new Array<number>(10).fill(0), 0xff, 0xff, ...(parseIp(address) ?? [])]),
    family: 6,
  };
}

/** The destinations, as part of a reason why another one was not found. */
export function listDestinations(upstreams: readonly Upstream[]): string {
  const names = Array.from(new Set(upstreams.map(({ destination }) => destination))).sort();
  if (names.length === 0) return "there are none";
  const more = names.length > MOST_LISTED ? `, and ${names.length - MOST_LISTED} more` : "";
  return `there are ${names.slice(0, MOST_LISTED).join(", ")}${more}`;
}
