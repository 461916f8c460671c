import type { Family } from "../endpoint.js";
import { canonicalIp, formatIp, isLoopback, isWildcard } from "../ip.js";

/** A socket that listens. */
export interface Listening {
  /** Canonical; a wildcard takes every address of its family, `::` mostly IPv4 too. */
  readonly address: string;
  readonly port: number;
}

/** Sockets in state LISTEN (0A) of /proc/net/tcp or tcp6; columns as in proc(5). */
export function parseListeners(table: string): Listening[] {
  return table.split("\n").flatMap((line) => {
    const [, local = "", , state] = line.trim().split(/\s+/);
    const [, hex = "", port = ""] = /^((?:[0-9A-F]{8}){1,4}):([0-9A-F]{4})$/.exec(local) ?? [];
    if (state !== "0A" || hex === "") return [];
    // Words as they are in memory: on a little-endian machine 0100007F is 127.0.0.1.
    const words = Uint32Array.from(hex.match(/.{8}/g) ?? [], (word) => Number.parseInt(word, 16));
    const address = formatIp(new Uint8Array(words.buffer));
    return [{ address: canonicalIp(address) ?? address, port: Number.parseInt(port, 16) }];
  });
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
