import { hostname, networkInterfaces } from "node:os";
import { canonicalIp } from "./core/ip.js";

/** What this machine is called and which addresses it has. */
export interface Machine {
  /** As the operating system has it. */
  readonly hostName: string;
  /** Lower case: the host name, its first label, and `localhost`. They are no services. */
  readonly names: ReadonlySet<string>;
  /** Addresses of all interfaces now, canonical. */
  readonly addresses: () => readonly string[];
}

export function thisMachine(): Machine {
  const hostName = hostname();
  const lower = hostName.toLowerCase();
  return {
    hostName,
    names: new Set(["localhost", lower, lower.replace(/\..*$/s, "")]),
    addresses: () =>
      Object.values(networkInterfaces())
        .flatMap((entries) => entries ?? [])
        .map(({ address }) => canonicalIp(address))
        .filter((address) => address !== undefined),
  };
}
