import type { Logger } from "../daemon/logger.js";
import { describeError } from "../errors.js";
import { type Cidr, canonicalIp, cidrContains, familyOf, isLoopback, isWildcard, parseCidr } from "../net/ip.js";
import { addressesInHosts } from "../os/core/hosts-file.js";
import { readHostsFile } from "../os/hosts-file.js";
import type { ListenAddress, Listener } from "./listener.js";
import { formatPeer } from "./peer.js";

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
  const inHosts = addressesInHosts(await readHostsFile(), hostName);
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

/** They need a zone, and no node is named after one. */
const LINK_LOCAL_6 = parseCidr("fe80::/10") as Cidr;
/** A machine may have many (virtual services of a load balancer); each costs a socket. */
const MOST_ADDRESSES = 64;
/** Milliseconds between two looks: an address may come after this program, by DHCP for one. */
const LOOK = 2_000;

/** Those of the machine's addresses at which a VM here may ask for a node that is named after one. */
export function listenableOwn(addresses: readonly string[]): string[] {
  const usable = addresses.filter((address) => !isLoopback(address) && !cidrContains(LINK_LOCAL_6, address));
  return Array.from(new Set(usable)).slice(0, MOST_ADDRESSES);
}

export interface OwnAddressesDeps {
  readonly listener: Pick<Listener, "add" | "remove" | "addresses" | "port">;
  /** Of all interfaces, now. */
  readonly addresses: () => readonly string[];
  readonly log: Logger;
  /** Milliseconds; for tests. */
  readonly look?: number;
}

/** Listens where the machine gets an address, for local peers, and no more where it has lost one. @returns ends that */
export function followOwnAddresses({ listener, addresses, log, look = LOOK }: OwnAddressesDeps): () => void {
  const isBound = (address: string) => listener.addresses.includes(formatPeer({ address, port: listener.port }));
  // The listener has begun with these, and has said which it could not have.
  let followed = new Set(listenableOwn(addresses()).filter(isBound));
  const failed = new Set(listenableOwn(addresses()).filter((address) => !isBound(address)));
  const add = async (address: string) => {
    try {
      await listener.add(address);
      if (failed.delete(address)) log.info({ address }, "listening on an address of this machine after all");
    } catch (error) {
      followed.delete(address);
      if (failed.has(address)) return;
      failed.add(address);
      log.warn({ address, reason: describeError(error) }, "no VM here finds nodes that are named after this address");
    }
  };
  const timer = setInterval(() => {
    const now = new Set(listenableOwn(addresses()));
    const [before, after] = [followed, now];
    for (const address of before) if (!after.has(address)) void listener.remove(address);
    for (const address of failed) if (!after.has(address)) failed.delete(address);
    followed = now;
    for (const address of after) if (!before.has(address)) void add(address);
  }, look);
  return () => clearInterval(timer);
}
