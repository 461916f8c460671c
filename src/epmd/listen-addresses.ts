import type { Logger } from "../daemon/logger.js";
import { describeError } from "../errors.js";
import { LOOPBACKS } from "../net/endpoint.js";
import { canonicalIp, familyOf, hostPort, isLinkLocal, isLoopback, isWildcard } from "../net/ip.js";
import { addressesInHosts } from "../os/core/hosts-file.js";
import { readHostsFile } from "../os/hosts-file.js";
import { getent } from "../os/machine.js";
import type { ListenAddress, Listener } from "./listener.js";

/** Milliseconds: a resolver that does not answer must not keep nodes from registering on the loopback addresses. */
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
    ...[...LOOPBACKS, ...named].map((address) => ({
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

/** From /etc/hosts, else from the system's resolver within a second. Never rejects. */
export async function addressesOfHostName(hostName: string): Promise<string[]> {
  const inHosts = addressesInHosts(await readHostsFile(), hostName);
  if (inHosts.length > 0) return inHosts;
  const lines = (await getent("ahosts", hostName, HOST_NAME_LOOKUP_LIMIT)).split("\n");
  return lines.flatMap((line) => canonicalIp(line.replace(/\s.*$/s, "")) ?? []);
}

/** A machine may have many addresses (virtual services of a load balancer), and each takes a socket. */
const MOST_ADDRESSES = 64;
/** Milliseconds between two checks: the machine may get an address after our start, for example by DHCP. */
const LOOK = 2_000;

/** Those of the machine's addresses at which a VM here may ask for a node that is named after one. */
export function listenableOwn(addresses: readonly string[]): string[] {
  // Link-local addresses need a zone, and no node is named after one.
  const usable = addresses.filter((address) => !isLoopback(address) && !isLinkLocal(address));
  return Array.from(new Set(usable)).slice(0, MOST_ADDRESSES);
}

export interface OwnAddressesDeps {
  readonly listener: Pick<Listener, "add" | "remove" | "addresses" | "port">;
  /** The present addresses of all interfaces. */
  readonly addresses: () => readonly string[];
  readonly log: Logger;
  /** Milliseconds; for tests. */
  readonly look?: number;
}

/** Starts and stops listening, for local peers, as the machine gets and loses addresses. @returns ends that */
export function followOwnAddresses({ listener, addresses, log, look = LOOK }: OwnAddressesDeps): () => void {
  const at = (address: string) => hostPort({ address, port: listener.port });
  const isBound = (address: string) => listener.addresses.includes(at(address));
  // The listener has started with these addresses, and has logged which it could not bind.
  const own = listenableOwn(addresses());
  let followed = new Set(own.filter(isBound));
  const failed = new Set(own.filter((address) => !isBound(address)));
  const add = async (address: string) => {
    try {
      await listener.add(address);
      if (failed.delete(address))
        log.info({ address: at(address) }, "listening on an address that was not free before");
    } catch (error) {
      followed.delete(address);
      if (failed.has(address)) return;
      failed.add(address);
      const { code: reason } = error as { code?: string };
      const fields = { address: at(address), reason, error: describeError(error) };
      log.warn(fields, "cannot listen on this address: VMs here cannot find nodes whose host part is this address");
    }
  };
  const timer = setInterval(() => {
    const now = new Set(listenableOwn(addresses()));
    const before = followed;
    for (const address of before) if (!now.has(address)) void listener.remove(address);
    for (const address of failed) if (!now.has(address)) failed.delete(address);
    followed = now;
    for (const address of now) if (!before.has(address)) void add(address);
  }, look);
  return () => clearInterval(timer);
}
