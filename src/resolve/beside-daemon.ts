import type { DnsServer, IpPort } from "../config/network-values.js";
import type { NameServer } from "../dns/exchange.js";
import { type DomainSettings, servedDomains } from "../names/domains.js";
import { isOwnServer } from "../net/ip.js";
import type { Machine } from "../os/machine.js";

/** What look-ups of a command have to know of a daemon with these settings that runs beside it. */

/** Names under the domains of --dns-listen are asked of the daemon's own zone. */
export function zoneOf({
  dnsListen,
  ...domains
}: Pick<DomainSettings, "domain" | "consulDomain"> & { readonly dnsListen: IpPort | undefined }): DnsServer[] {
  if (!dnsListen || dnsListen.port === 0) return [];
  return servedDomains(domains).map((domain) => ({ ...dnsListen, domain }));
}

export interface GatewayDns {
  readonly gateway: boolean;
  readonly gatewayListen: IpPort | undefined;
}

/** The gateway's DNS may be in resolv.conf. It forwards what it does not know, so it is not asked. */
export function isGatewayItself({ gateway, gatewayListen }: GatewayDns, machine: Machine, server: NameServer): boolean {
  if (!gateway || !gatewayListen) return false;
  return isOwnServer(gatewayListen, server, (address) => machine.addresses().includes(address));
}
