import { readFileSync } from "node:fs";
import { readFile, readlink } from "node:fs/promises";
import { hostname, networkInterfaces } from "node:os";
import { canonicalIp } from "../net/ip.js";

/** The names and addresses of this machine. */
export interface Machine {
  /** As `hostname` prints it. */
  readonly hostName: string;
  /** Lower case: the host name, its first label, and `localhost`. They are no services. */
  readonly names: ReadonlySet<string>;
  /** Addresses of all interfaces, canonical; at most a second old. */
  readonly addresses: () => readonly string[];
}

/** Milliseconds; asking the system would be the slowest step of a look-up. */
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

/** Another with each boot; undefined elsewhere than on Linux. */
export async function bootId(): Promise<string | undefined> {
  const id = await readFile("/proc/sys/kernel/random/boot_id", "utf8").catch(() => "");
  return id.trim() || undefined;
}

/** Number of this process's network namespace, as in `net:[4026531840]`; undefined elsewhere than on Linux. */
export async function networkNamespace(pid: number | "self" = "self"): Promise<string | undefined> {
  const link = await readlink(`/proc/${pid}/ns/net`).catch(() => "");
  return /[0-9]+/.exec(link)?.[0];
}

/** The soft limit of open files, which Node raises to the hard one at its start; undefined: none, or not Linux. */
export function openFileLimit(): number | undefined {
  try {
    const limit = /^Max open files +([0-9]+)/m.exec(readFileSync("/proc/self/limits", "utf8"))?.[1];
    return limit === undefined ? undefined : Number(limit);
  } catch {
    return undefined;
  }
}
