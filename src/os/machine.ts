import { hostname, networkInterfaces } from "node:os";
import { canonicalIp } from "../net/ip.js";

/** What this machine is called and which addresses it has. */
export interface Machine {
  /** As the operating system has it. */
  readonly hostName: string;
  /** Lower case: the host name, its first label, and `localhost`. They are no services. */
  readonly names: ReadonlySet<string>;
  /** Addresses of all interfaces, canonical; at most a second old. */
  readonly addresses: () => readonly string[];
}

/** Milliseconds; asking the system takes longer than all else in a look-up. */
const ADDRESSES_LIFETIME = 1000;

export function thisMachine(): Machine {
  let known: readonly string[] = [];
  let knownUntil = Number.NEGATIVE_INFINITY;
  const hostName = hostname();
  const lower = hostName.toLowerCase();
  return {
    hostName,
    names: new Set(["localhost", lower, lower.replace(/\..*$/s, "")]),
    addresses: () => {
      if (performance.now() >= knownUntil) {
        known = interfaceAddresses();
        knownUntil = performance.now() + ADDRESSES_LIFETIME;
      }
      return known;
    },
  };
}

function interfaceAddresses(): string[] {
  return Object.values(networkInterfaces())
    .flatMap((entries) => entries ?? [])
    .map(({ address }) => canonicalIp(address))
    .filter((address) => address !== undefined);
}
