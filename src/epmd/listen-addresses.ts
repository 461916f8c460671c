import { lookup } from "node:dns/promises";
import { canonicalIp, familyOf, isWildcard } from "../core/ip.js";
import type { ListenAddress } from "./listener.js";

/** A resolver that does not answer must not keep nodes from registering on the loopbacks. */
const HOST_NAME_LOOKUP_LIMIT = 1000;

/**
 * 127.0.0.1, ::1, the addresses of the machine's own host name (a stock VM with a short name asks there), and
 * `--listen`. An IPv4 wildcard covers all IPv4 addresses, an IPv6 one both families.
 */
export async function listenAddresses(listen: readonly string[], hostName: string): Promise<ListenAddress[]> {
  const named = listen.includes("::") ? [] : await addressesOfHostName(hostName);
  const wildcard = { 4: listen.some(isWildcard), 6: listen.includes("::") };
  const wanted: ListenAddress[] = [
    ...["127.0.0.1", "::1", ...named].map((address) => ({
      address,
      strangers: listen.includes(address),
      implied: true,
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

async function addressesOfHostName(hostName: string): Promise<string[]> {
  let timer: NodeJS.Timeout | undefined;
  const limit = new Promise<never[]>((resolve) => {
    timer = setTimeout(resolve, HOST_NAME_LOOKUP_LIMIT, []);
  });
  const found = lookup(hostName, { all: true }).then(
    (entries) => entries.map(({ address }) => canonicalIp(address)).filter((address) => address !== undefined),
    () => [],
  );
  return Promise.race([found, limit]).finally(() => clearTimeout(timer));
}
