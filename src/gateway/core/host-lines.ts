import { domainName } from "../../config/network-values.js";
import { ValueError } from "../../config/values.js";
import { ConfigError } from "../../errors.js";
import { qualifiedDomain } from "../../names/domains.js";
import { parseIp } from "../../net/ip.js";
import type { GatewayAddresses, HostAddress } from "./addresses.js";

/**
 * The hosts of a command line with their addresses, each host once, in the order of the command line. A word without a
 * dot is a service.
 * @param addresses the pairs that are known; new ones are added
 * @throws ConfigError that names the operand which is not a host
 */
export function pairsFor(
  operands: readonly string[],
  consulDomain: string,
  addresses: GatewayAddresses,
): readonly HostAddress[] {
  const hosts = new Set(operands.map((operand) => hostOperand(operand, consulDomain)));
  return Array.from(hosts, (host) => {
    const address = addresses.assign(host);
    if (address === undefined) throw new ConfigError("CONFIG_VALUE", `there is no room in --gateway-range for ${host}`);
    return { host, address };
  });
}

function hostOperand(operand: string, consulDomain: string): string {
  const complain = (what: string) => new ConfigError("CONFIG_VALUE", `host ${JSON.stringify(operand)} ${what}`);
  if (operand.includes("@")) throw complain("is a node: give its host, the part behind the @");
  if (operand.toLowerCase() === "localhost") throw complain("is this machine, and stays 127.0.0.1");
  try {
    return domainName(qualifiedDomain(domainName(operand), consulDomain));
  } catch (error) {
    if (!(error instanceof ValueError)) throw error;
    throw complain(error.message);
  }
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
