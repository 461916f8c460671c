import { isDomainName } from "../../config/network-values.js";
import type { HostAddress } from "../../gateway/core/addresses.js";
import { type Cidr, canonicalIp, cidrContains } from "../../net/ip.js";

/**
 * Addresses of a name in the text of a hosts(5) file, canonical, in its order; names are compared without case. Only lines
 * that contain the name are parsed, because block lists have about 100,000 lines.
 */
export function addressesInHosts(text: string, name: string): string[] {
  const lines = text.toLowerCase();
  const wanted = name.toLowerCase();
  const found = new Set<string>();
  if (wanted === "") return [];
  for (let at = lines.indexOf(wanted); at >= 0; ) {
    const end = lines.indexOf("\n", at);
    const line = lineOf(lines.slice(lines.lastIndexOf("\n", at) + 1, end < 0 ? undefined : end));
    if (line?.names.includes(wanted)) found.add(line.address);
    at = end < 0 ? end : lines.indexOf(wanted, end);
  }
  return Array.from(found);
}

/**
 * The hosts of a hosts(5) file whose address is in a range, IPv4-mapped forms included, each pair once, in its order.
 * Words that are no host name are skipped.
 */
export function hostsEntriesIn(text: string, range: Cidr): HostAddress[] {
  const pairs = text
    .split("\n")
    .flatMap((line) => lineOf(line) ?? [])
    .filter(({ address }) => cidrContains(range, address))
    .flatMap(({ address, names }) => names.map((name) => ({ host: name.replace(/\.$/, ""), address })))
    .filter(({ host }) => isDomainName(host));
  return Array.from(new Map(pairs.map((pair) => [`${pair.address} ${pair.host}`, pair])).values());
}

/** hosts(5): an address and its names, separated by blanks; `#` begins a comment. */
function lineOf(line: string): { address: string; names: string[] } | undefined {
  const [literal = "", ...names] = line.replace(/#.*$/, "").trim().toLowerCase().split(/\s+/);
  const address = canonicalIp(literal);
  return address === undefined ? undefined : { address, names };
}
