import type { Config } from "../../config/config.js";
import { servedDomains } from "../../names/domains.js";
import { qualifiedDomain } from "../../names/service-domain.js";

/** Which hosts resolve to loopback addresses. All names are lower case, without trailing dot. */
export interface GatewayNames {
  /** They and what lies under them. */
  readonly domains: readonly string[];
  /** They alone. */
  readonly hosts: readonly string[];
}

/** From --gateway-domain, else --domain, and --gateway-host; a word without a dot is a service, as in --domain. */
export function gatewayNames(config: Config): GatewayNames {
  const { consulDomain, gatewayDomain, gatewayHost } = config;
  const qualified = (names: readonly string[]) => names.map((name) => qualifiedDomain(name, consulDomain));
  const domains = gatewayDomain.length > 0 ? qualified(gatewayDomain) : servedDomains(config);
  return { domains: distinct(domains), hosts: distinct(qualified(gatewayHost)) };
}

/** `localhost` stays what it is for every program. */
function distinct(names: readonly string[]): string[] {
  return Array.from(new Set(names)).filter((name) => name !== "localhost");
}

/** Hosts that have an address from the start. */
export function gatewayHosts(config: Config): string[] {
  const { domains, hosts } = gatewayNames(config);
  return Array.from(new Set([...domains, ...hosts]));
}

/** @param host lower case, and such that it can be a host's name */
export function isGatewayHost({ domains, hosts }: GatewayNames, host: string): boolean {
  return hosts.includes(host) || domains.some((domain) => host === domain || isHostUnder(host, domain));
}

function isHostUnder(host: string, domain: string): boolean {
  if (!host.endsWith(`.${domain}`)) return false;
  const labels = host.slice(0, -domain.length - 1).split(".");
  // RFC 8552: names with labels such as _tcp hold what is known about a host (SRV, TXT), and are no hosts.
  return labels.every((label) => !label.startsWith("_"));
}
