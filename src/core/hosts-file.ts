import type { HostAddress } from "./gateway/addresses.js";
import { type Cidr, canonicalIp, cidrContains } from "./ip.js";
import { isDomainName } from "./network-values.js";

/** Addresses of a name in the text of a hosts(5) file, canonical, in its order; names know no case. */
export function addressesInHosts(text: string, name: string): string[] {
  const wanted = name.toLowerCase();
  const found = linesOf(text)
    .filter(({ names }) => names.includes(wanted))
    .map(({ address }) => address);
  return Array.from(new Set(found));
}

/** The same for every name, lower case. */
export function addressesByName(text: string): Map<string, string[]> {
  const found = new Map<string, string[]>();
  for (const { address, names } of linesOf(text)) {
    for (const name of names) {
      const known = found.get(name);
      if (!known) found.set(name, [address]);
      else if (!known.includes(address)) known.push(address);
    }
  }
  return found;
}

/**
 * The hosts of a hosts(5) file whose address lies in a range, IPv4-mapped forms included, each pair once, in its order.
 * What is no host name is passed over.
 */
export function hostsEntriesIn(text: string, range: Cidr): HostAddress[] {
  const pairs = linesOf(text)
    .filter(({ address }) => cidrContains(range, address))
    .flatMap(({ address, names }) => names.map((name) => ({ host: name.replace(/\.$/, ""), address })))
    .filter(({ host }) => isDomainName(host));
  return Array.from(new Map(pairs.map((pair) => [`${pair.address} ${pair.host}`, pair])).values());
}

/** hosts(5): an address and its names, separated by blanks; `#` begins a comment. */
function linesOf(text: string): { address: string; names: string[] }[] {
  return text.split("\n").flatMap((line) => {
    const [literal = "", ...names] = line.replace(/#.*$/, "").trim().toLowerCase().split(/\s+/);
    const address = canonicalIp(literal);
    return address === undefined ? [] : [{ address, names }];
  });
}
