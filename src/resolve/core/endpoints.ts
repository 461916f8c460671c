import { preferAddresses } from "../../dns/core/order.js";
import type { Endpoint, Family } from "../../net/endpoint.js";
import { familyOf, isLinkLocal } from "../../net/ip.js";
import type { Bounds, LeftOut } from "./resolution.js";

/** Where a node is offered: an SRV record with the addresses of its target, or an instance in a catalogue. */
export interface Offer {
  readonly port: number;
  readonly priority: number;
  readonly weight: number;
  readonly target: string;
  /** IP literals. */
  readonly addresses: readonly string[];
}

/** Of every instance in a catalogue, as in the SRV records of Consul's DNS. */
export const CATALOGUE_PRIORITY = 1;

/** Offers that are used. 64 KiB of records (RFC 1035 section 4.2.2) would make thousands of queries and connections. */
export const MAX_OFFERS = 32;
/** Of both families for each offer. */
export const MAX_ENDPOINTS = 2 * MAX_OFFERS;

/**
 * The first ones, at most MAX_OFFERS, in their order.
 * @param isDialled whether it has the only address that the client can dial: such are kept before others
 */
export function firstOffers<T>(
  what: LeftOut["what"],
  ordered: readonly T[],
  isDialled: (offer: T) => boolean,
  bounds: Bounds,
): readonly T[] {
  if (ordered.length <= MAX_OFFERS) return ordered;
  const leads = new Set(ordered.filter(isDialled));
  const chosen = new Set(bounds.take(what, Array.from(new Set([...leads, ...ordered])), MAX_OFFERS));
  return ordered.filter((offer) => chosen.has(offer));
}

interface Wanted {
  readonly families: readonly Family[];
  /** Only endpoints with this address count. */
  readonly onlyAddress: string | undefined;
  /** Addresses of this machine, loopbacks included. */
  readonly sources: readonly string[];
}

/** The endpoints of offers in their order, the addresses of each in the order of RFC 6724. */
export function endpointsOf(
  offers: readonly Offer[],
  { families, onlyAddress, sources }: Wanted,
): { readonly all: readonly Endpoint[]; readonly usable: readonly Endpoint[] } {
  const all = offers.flatMap(({ addresses, port, priority, weight, target }) =>
    preferAddresses(addresses, { family: "any", sources })
      .map((address): Endpoint => ({ address, port, family: familyOf(address) ?? 4, priority, weight, target }))
      .filter(({ family }) => families.includes(family)),
  );
  const usable = distinct(all).filter(
    ({ address }) => !isLinkLocal(address) && (onlyAddress === undefined || address === onlyAddress),
  );
  return { all, usable };
}

function distinct(endpoints: readonly Endpoint[]): Endpoint[] {
  const seen = new Map<string, Endpoint>();
  for (const endpoint of endpoints) {
    const key = `${endpoint.address} ${endpoint.port}`;
    if (!seen.has(key)) seen.set(key, endpoint);
  }
  return Array.from(seen.values());
}
