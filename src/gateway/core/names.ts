import type { Config } from "../../config/config.js";
import { qualifiedDomain } from "../../names/service-domain.js";
import { servedDomains } from "../../publish/core/advertised.js";

/** Which hosts resolve to loopback addresses. All names are lower case, without trailing dot. */
interface GatewayNames {
  /** These names and all names under them. */
  readonly domains: readonly string[];
  /** These names only. */
  readonly hosts: readonly string[];
}

/** From --gateway-domain (else --domain) and --gateway-host; a word without a dot is a service, as in --domain. */
export function gatewayNames(config: Config): GatewayNames {
  const { consulDomain, gatewayDomain, gatewayHost } = config;
  const qualified = (names: readonly string[]) => names.map((name) => qualifiedDomain(name, consulDomain));
  const domains = gatewayDomain.length > 0 ? qualified(gatewayDomain) : servedDomains(config);
  return { domains: distinct(domains), hosts: distinct(qualified(gatewayHost)) };
}

/** Without `localhost`, which keeps its own address. */
function distinct(names: readonly string[]): string[] {
  return Array.from(new Set(names)).filter((name) => name !== "localhost");
}

/** Hosts that get an address at the start. */
export function gatewayHosts(config: Config): string[] {
  const { domains, hosts } = gatewayNames(config);
  return Array.from(new Set([...domains, ...hosts]));
}

/** @param host a valid host name in lower case */
export function isGatewayHost({ domains, hosts }: GatewayNames, host: string): boolean {
  return hosts.includes(host) || domains.some((domain) => host === domain || isHostUnder(host, domain));
}

function isHostUnder(host: string, domain: string): boolean {
  if (!host.endsWith(`.${domain}`)) return false;
  const labels = host.slice(0, -domain.length - 1).split(".");
  // RFC 8552: names with labels such as _tcp have records about a host (SRV, TXT); they are not hosts.
  return labels.every((label) => !label.startsWith("_"));
}
