import type { Config } from "../../config/config.js";
import { servedDomains } from "../../names/domains.js";
import { qualifiedDomain } from "../../names/service-domain.js";

/**
 * Domains whose hosts resolve to loopback addresses, they themselves included: --gateway-domain, else --domain. A word
 * without a dot is a service, as in --domain. Lower case, without trailing dot.
 */
export function gatewayDomains(config: Config): string[] {
  const { consulDomain, gatewayDomain } = config;
  const domains =
    gatewayDomain.length > 0 ? gatewayDomain.map((name) => qualifiedDomain(name, consulDomain)) : servedDomains(config);
  // `localhost` stays 127.0.0.1 for every program.
  return Array.from(new Set(domains)).filter((name) => name !== "localhost");
}

/** @param host lower case, and such that it can be a host's name */
export function isGatewayHost(domains: readonly string[], host: string): boolean {
  return domains.some((domain) => host === domain || isHostUnder(host, domain));
}

function isHostUnder(host: string, domain: string): boolean {
  if (!host.endsWith(`.${domain}`)) return false;
  const labels = host.slice(0, -domain.length - 1).split(".");
  // RFC 8552: names with labels such as _tcp hold what is known about a host (SRV, TXT), and are no hosts.
  return labels.every((label) => !label.startsWith("_"));
}
