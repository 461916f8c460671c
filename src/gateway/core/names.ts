import { type DomainSettings, qualifiedDomain, servedDomains } from "../../names/domains.js";

/** The settings that decide which hosts resolve to loopback addresses. */
export interface GatewayNameSettings extends Pick<DomainSettings, "domain" | "consulDomain"> {
  readonly gatewayDomain: readonly string[];
}

/**
 * Domains whose hosts resolve to loopback addresses, they themselves included: --gateway-domain, else --domain. A word
 * without a dot is a service, as in --domain. Lower case, without trailing dot.
 */
export function gatewayDomains(settings: GatewayNameSettings): string[] {
  const { consulDomain, gatewayDomain } = settings;
  const domains =
    gatewayDomain.length > 0
      ? gatewayDomain.map((name) => qualifiedDomain(name, consulDomain))
      : servedDomains(settings);
  // `localhost` keeps its own address.
  return Array.from(new Set(domains)).filter((name) => name !== "localhost");
}

/** @param host a valid host name in lower case */
export function isGatewayHost(domains: readonly string[], host: string): boolean {
  return domains.some((domain) => host === domain || isHostUnder(host, domain));
}

function isHostUnder(host: string, domain: string): boolean {
  if (!host.endsWith(`.${domain}`)) return false;
  const labels = host.slice(0, -domain.length - 1).split(".");
  // RFC 8552: names with labels such as _tcp have records about a host (SRV, TXT); they are not hosts.
  return labels.every((label) => !label.startsWith("_"));
}
