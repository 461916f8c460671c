import type { Config } from "../config/config.js";
import type { IpPort } from "../config/network-values.js";
import type { Logger } from "../daemon/logger.js";
import type { RegisteredNode, Registry } from "../epmd/core/registry.js";
import { isLeftOut, nodeDomain, servedDomains } from "../names/domains.js";
import { familyOf, isLoopback, isWildcard } from "../net/ip.js";
import { advertised } from "../publish/core/advertised.js";
import type { Zone, ZoneNode } from "./core/zone.js";
import { type Responder, startResponder } from "./responder.js";
import { answerFromZone } from "./wire/reply.js";

/** `--dns-listen`: DNS for the nodes alive here, with no other server. @throws ListenError */
export function startEmbeddedDns(at: IpPort, registry: Registry, config: Config, log: Logger): Promise<Responder> {
  const domains = servedDomains(config);
  const zone = (): Zone => ({ domains, nodes: registry.nodes().flatMap((node) => zoneNode(node, at.address, config)) });
  if (isWildcard(at.address) && config.advertiseAddress.length === 0) {
    log.warn(
      { dns: at.address },
      "--dns-listen on every address, and no --advertise-address: the nodes here are answered with loopback addresses, which are of no use to other machines",
    );
  }
  return startResponder({ ...at, answer: (query) => answerFromZone(query, zone()), log });
}

/** @param asked where the zone is served: others reach this machine there */
function zoneNode(node: RegisteredNode, asked: string, config: Config): ZoneNode[] {
  const domain = nodeDomain(node.aliveName, config);
  const reached = advertised(node, config);
  if (domain === undefined || !reached || isLeftOut(node.aliveName, config)) return [];
  const literals = reached.addresses.filter((address) => familyOf(address) !== undefined);
  const addresses = literals.length > 0 ? literals : ownAddresses(node, asked);
  if (addresses.length === 0) return [];
  return [{ owner: `${node.aliveName}.${domain}`, port: reached.port, weight: config.weight, addresses }];
}

/** Where nothing says how others reach this machine: at the address at which they ask. */
function ownAddresses({ family }: RegisteredNode, asked: string): string[] {
  if (!isLoopback(asked) && !isWildcard(asked)) return family === 4 && familyOf(asked) === 6 ? [] : [asked];
  return family === 6 ? ["::1", "127.0.0.1"] : ["127.0.0.1"];
}
