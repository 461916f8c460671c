import { nodesOfService, type ServiceMember } from "../../consul/core/catalogue.js";
import { type DomainSettings, nodeDomain, parseServiceDomain } from "../../names/domains.js";
import { formatNodeName } from "../../names/node-name.js";
import { hostPort } from "../../net/ip.js";
import { META_NODE, META_OWNER, type ServiceEntry } from "./service-entry.js";

/** Another place at which Consul has a node of the same full name. A look-up gives either. */
export interface Namesake {
  /** `10.0.0.9:20002 on box2`, with the Consul node at which it is registered. */
  readonly place: string;
  readonly serviceId: string;
}

/** Passing instances by the full names of their nodes, in lower case: DNS and Consul compare names without case. */
export type MembersByName = ReadonlyMap<string, readonly ServiceMember[]>;

/** The domain under which a published node is looked up. */
export function hostOfEntry(
  { aliveName, service }: ServiceEntry,
  settings: Pick<DomainSettings, "domain" | "consulDomain" | "publishNode">,
): string {
  return nodeDomain(aliveName, settings) ?? `${service}.service.${settings.consulDomain}`;
}

/** @param members all instances of a service @param host under which its nodes are looked up */
export function membersByName(
  members: readonly ServiceMember[],
  host: string,
  settings: Pick<DomainSettings, "consulDomain" | "nodeHost">,
): MembersByName {
  const elsewhere = { service: "", tagSuffix: undefined, datacenter: undefined };
  const domain = parseServiceDomain(host, settings.consulDomain) ?? elsewhere;
  const found = new Map<string, ServiceMember[]>();
  for (const member of members) {
    for (const node of nodesOfService([member], { host, domain }, settings)) {
      const name = formatNodeName(node).toLowerCase();
      const same = found.get(name);
      if (same) same.push(member);
      else found.set(name, [member]);
    }
  }
  return found;
}

/**
 * Other publications of the name of a node here. An instance at the address and port of ours is the same node, published
 * twice: by Nomad's service block, for example.
 * @param entry one of the node's entries
 * @param owner META_OWNER of this daemon's entries
 * @returns undefined while Consul does not list our entry
 */
export function namesakes(entry: ServiceEntry, members: MembersByName, owner: string): Namesake[] | undefined {
  const named = members.get((entry.meta[META_NODE] ?? "").toLowerCase()) ?? [];
  const own = new Set(named.filter(isOwn).map(placeOf));
  if (own.size === 0) return undefined;
  return named
    .filter((member) => !isOwn(member) && !own.has(placeOf(member)))
    .map((member) => ({ place: `${placeOf(member)} on ${member.machine}`, serviceId: member.serviceId }));

  function isOwn({ meta }: ServiceMember): boolean {
    return meta[META_OWNER] === owner;
  }
}

function placeOf({ address, port }: ServiceMember): string {
  return hostPort(address, port);
}
