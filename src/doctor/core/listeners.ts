import type { Family } from "../../net/endpoint.js";
import { isLoopback, isWildcard } from "../../net/ip.js";

/** A socket that listens. */
export interface Listening {
  /** Canonical; a wildcard takes every address of its family, `::` mostly IPv4 too. */
  readonly address: string;
  readonly port: number;
}

export interface Reachability {
  /** Addresses at which a port listens. */
  readonly addresses: readonly string[];
  /** Nobody on another machine gets there. */
  readonly loopbackOnly: boolean;
  /** By the addresses; `::` takes both. */
  readonly families: readonly Family[];
}

/** Who can reach a port. */
export function reachability(listeners: readonly Listening[], port: number): Reachability {
  const addresses = Array.from(new Set(listeners.filter((one) => one.port === port).map(({ address }) => address)));
  const has = (family: Family) =>
    addresses.some((address) => address === "::" || address.includes(":") === (family === 6));
  return {
    addresses,
    loopbackOnly: addresses.length > 0 && addresses.every((address) => isLoopback(address) && !isWildcard(address)),
    families: ([4, 6] as const).filter(has),
  };
}
