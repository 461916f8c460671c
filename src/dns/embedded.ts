import type { IpPort } from "../config/network-values.js";
import type { Logger } from "../daemon/logger.js";
import type { RegisteredNode, Registry } from "../epmd/core/registry.js";
import { type DomainSettings, isLeftOut, nodeDomain, servedDomains } from "../names/domains.js";
import { familyOf, hostPort, isLoopback, isWildcard } from "../net/ip.js";
import { type AdvertiseSettings, advertised } from "../publish/core/advertised.js";
import { answerFromZone, type Zone, type ZoneNode } from "./core/zone.js";
import { type Responder, startResponder } from "./responder.js";

interface EmbeddedDnsSettings extends AdvertiseSettings, DomainSettings {
  /** Of the SRV records. */
  readonly weight: number;
}

/** `--dns-listen`: an authoritative server for the nodes alive here. @throws ListenError */
export function startEmbeddedDns(
  at: IpPort,
  registry: Registry,
  settings: EmbeddedDnsSettings,
  log: Logger,
): Promise<Responder> {
  const domains = servedDomains(settings);
  const zone = (): Zone => ({
    domains,
    nodes: registry.nodes().flatMap((node) => zoneNode(node, at.address, settings)),
  });
  if (isWildcard(at.address) && settings.advertiseAddress.length === 0) {
    log.warn(
      { address: hostPort(at.address, at.port) },
      "--dns-listen on every address, and no --advertise-address: the answers have loopback addresses, which other machines cannot use",
    );
  }
  return startResponder({ ...at, answer: (query) => answerFromZone(query, zone()), log });
}

/** @param asked the address at which the zone is served */
function zoneNode(node: RegisteredNode, asked: string, settings: EmbeddedDnsSettings): ZoneNode[] {
  const domain = nodeDomain(node.aliveName, settings);
  const reached = advertised(node, settings);
  if (domain === undefined || !reached || isLeftOut(node.aliveName, settings)) return [];
  const literals = reached.addresses.filter((address) => familyOf(address) !== undefined);
  const addresses = literals.length > 0 ? literals : ownAddresses(node, asked);
  if (addresses.length === 0) return [];
  return [{ owner: `${node.aliveName}.${domain}`, port: reached.port, weight: settings.weight, addresses }];
}

/** No option has an address for other machines: they reach this machine at the address at which they ask. */
function ownAddresses({ family }: RegisteredNode, asked: string): string[] {
  if (!isLoopback(asked) && !isWildcard(asked)) return family === 4 && familyOf(asked) === 6 ? [] : [asked];
  return family === 6 ? ["::1", "127.0.0.1"] : ["127.0.0.1"];
}
