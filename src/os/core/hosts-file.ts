import { isDomainName } from "../../config/network-values.js";
import type { HostAddress } from "../../gateway/core/addresses.js";
import { type Cidr, canonicalIp, cidrContains, parseIp } from "../../net/ip.js";

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

/** A line of a hosts(5) file that has a name, counted from 1, with its address, canonical. */
export interface HostsLine {
  readonly line: number;
  readonly address: string;
}

export function linesInHosts(text: string, name: string): HostsLine[] {
  const wanted = name.toLowerCase();
  return text.split("\n").flatMap((written, index) => {
    const line = written.toLowerCase().includes(wanted) ? lineOf(written) : undefined;
    return line?.names.includes(wanted) ? [{ line: index + 1, address: line.address }] : [];
  });
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

/**
 * hosts(5): one line for VMs that ask for IPv4, and one for VMs with `-proto_dist inet6_tcp`, which do not read the first.
 * glibc reads the second line for IPv4 too, musl does not.
 */
export function hostsText(pairs: readonly HostAddress[]): string {
  return pairs.map(({ host, address }) => `${address} ${host}\n::ffff:${address} ${host}\n`).join("");
}

/** A complete inetrc (ERTS User's Guide, "Inet Configuration"): the VM looks in its hosts first, then asks the system's resolver. */
export function inetrcText(pairs: readonly HostAddress[]): string {
  const hosts = pairs.flatMap(({ host, address }) =>
    [octets(address), mapped(address)].map((tuple) => `{host, {${tuple.join(",")}}, ["${host}"]}.\n`),
  );
  const flags = pairs.map(({ host }) => `--gateway-domain ${host}`).join(" ");
  return [
    "% for a VM started with ERL_INETRC=<this file>\n",
    "% the VM does not ask the daemon for these names; start it with: srv-epmd serve --gateway --gateway-listen none\n",
    `%   ${flags}\n`,
    ...hosts,
    "{lookup, [file, native]}.\n",
  ].join("");
}

function octets(address: string): number[] {
  return parseIp(address) ?? [];
}

/** The eight groups of the IPv4-mapped form. */
function mapped(address: string): number[] {
  const [a = 0, b = 0, c = 0, d = 0] = octets(address);
  return [0, 0, 0, 0, 0, 0xffff, (a << 8) | b, (c << 8) | d];
}
