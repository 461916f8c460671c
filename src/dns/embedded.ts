import { advertised, nodeDomain } from "../core/advertised.js";
import type { Config } from "../core/config.js";
import { answerFromZone } from "../core/dns/authority.js";
import type { Zone, ZoneNode } from "../core/dns/zone.js";
import { familyOf } from "../core/ip.js";
import type { RegisteredNode, Registry } from "../core/registry.js";
import { expandHost } from "../core/service-domain.js";
import type { IpPort } from "../core/values.js";
import type { Logger } from "../logger.js";
import { type Responder, startResponder } from "./responder.js";

/** Domains of `--domain`, fully qualified: what the embedded zone answers for. */
export function embeddedDomains(config: Config): string[] {
  const domains = config.domain.map(({ domain }) => expandHost(domain, config.consulDomain, new Set(["localhost"])));
  return Array.from(new Set(domains.filter((domain) => familyOf(domain) === undefined)));
}

/** `--dns-listen`: DNS for the nodes alive here, with no other server. @throws ListenError */
export function startEmbeddedDns(at: IpPort, registry: Registry, config: Config, log: Logger): Promise<Responder> {
  const domains = embeddedDomains(config);
  const zone = (): Zone => ({ domains, nodes: registry.nodes().flatMap((node) => zoneNode(node, config)) });
  return startResponder({ ...at, answer: (query) => answerFromZone(query, zone()), log });
}

function zoneNode(node: RegisteredNode, config: Config): ZoneNode[] {
  const domain = nodeDomain(node.aliveName, config);
  const reached = advertised(node, config);
  if (domain === undefined || !reached) return [];
  const literals = reached.addresses.filter((address) => familyOf(address) !== undefined);
  // Nothing said where others reach this machine: the zone is for this machine itself.
  const own = node.family === 6 ? ["::1", "127.0.0.1"] : ["127.0.0.1"];
  const addresses = literals.length > 0 ? literals : own;
  return [{ owner: `${node.aliveName}.${domain}`, port: reached.port, weight: config.weight, addresses }];
}
