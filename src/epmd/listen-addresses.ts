import { readFile } from "node:fs/promises";
import { addressesInHosts } from "../core/hosts-file.js";
import { canonicalIp, familyOf, isWildcard } from "../core/ip.js";
import type { ListenAddress } from "./listener.js";
import { listenableOwn } from "./own-addresses.js";

/** A resolver that does not answer must not keep nodes from registering on the loopbacks. */
const HOST_NAME_LOOKUP_LIMIT = 1000;

/**
 * 127.0.0.1, ::1, the addresses of the machine's own host name (a stock VM with a short name asks there), and
 * `--listen`. Without that (and ERL_EPMD_ADDRESS) the machine's own addresses too, as stock epmd: a VM here asks there
 * for nodes that are named after one. An IPv4 wildcard covers all IPv4 addresses, an IPv6 one both families.
 * @param own addresses of this machine
 */
export async function listenAddresses(
  listen: readonly string[],
  hostName: string,
  own: readonly string[],
): Promise<ListenAddress[]> {
  const named = listen.includes("::") ? [] : await addressesOfHostName(hostName);
  const wildcard = { 4: listen.some(isWildcard), 6: listen.includes("::") };
  const wanted: ListenAddress[] = [
    ...["127.0.0.1", "::1", ...named].map((address) => ({
      address,
      strangers: listen.includes(address),
      implied: true,
    })),
    ...(listen.length > 0 ? [] : listenableOwn(own)).map((address) => ({
      address,
      strangers: false,
      implied: true,
      shared: true,
    })),
    ...(wildcard[6] && !listen.includes("0.0.0.0") ? ["0.0.0.0", ...listen] : listen).map((address) => ({
      address,
      strangers: true,
      implied: false,
    })),
  ];
  const distinct = new Map<string, ListenAddress>();
  for (const entry of wanted) {
    const covered = wildcard[familyOf(entry.address) ?? 4] && !isWildcard(entry.address);
    if (!covered && !distinct.has(entry.address)) distinct.set(entry.address, entry);
  }
  return Array.from(distinct.values());
}

/** As the system's resolver has them: nearly everywhere /etc/hosts comes first. Within a second; never rejects. */
export async function addressesOfHostName(hostName: string): Promise<string[]> {
  const inHosts = addressesInHosts(await readFile("/etc/hosts", "utf8").catch(() => ""), hostName);
  return inHosts.length > 0 ? inHosts : askSystem(hostName);
}

/**
 * In a process of its own, which can be ended: getaddrinfo cannot, and while name servers are silent it would keep this
 * process from ending too. Without getent (it comes with the C library on Linux) the loopbacks have to do.
 */
async function askSystem(hostName: string): Promise<string[]> {
  const { execFile } = await import("node:child_process");
  const limit = { timeout: HOST_NAME_LOOKUP_LIMIT, killSignal: "SIGKILL" } as const;
  return new Promise((resolve) => {
    execFile("getent", ["ahosts", hostName], limit, (_error, stdout) => {
      const addresses = stdout.split("\n").map((line) => canonicalIp(line.replace(/\s.*$/s, "")));
      resolve(addresses.filter((address) => address !== undefined));
    });
  });
}
