import type { Config } from "../../config/config.js";
import { nodesOfService, type ServiceMember } from "../../consul/core/catalogue.js";
import { nodeDomain } from "../../names/domains.js";
import { formatNodeName } from "../../names/node-name.js";
import { parseServiceDomain } from "../../names/service-domain.js";
import { hostPort } from "../../net/ip.js";
import { META_NODE, META_OWNER, type ServiceEntry } from "./service-entry.js";

/** Another place at which Consul has a node of the same full name, so that look-ups give either. */
export interface Namesake {
  /** `10.0.0.9:20002 on box2`: the Consul node that it is registered at. */
  readonly place: string;
  readonly serviceId: string;
}

/** Passing instances by the full names of their nodes, without case: DNS takes no notice of it, and neither does Consul. */
export type MembersByName = ReadonlyMap<string, readonly ServiceMember[]>;

/** Where a published node is looked up. */
export function hostOfEntry({ aliveName, service }: ServiceEntry, config: Config): string {
  return nodeDomain(aliveName, config) ?? `${service}.service.${config.consulDomain}`;
}

/** @param members all instances of a service @param host under which its nodes are looked up */
export function membersByName(
  members: readonly ServiceMember[],
  host: string,
  config: Pick<Config, "consulDomain" | "nodeHost">,
): MembersByName {
  const elsewhere = { service: "", tagSuffix: undefined, datacenter: undefined };
  const domain = parseServiceDomain(host, config.consulDomain) ?? elsewhere;
  const found = new Map<string, ServiceMember[]>();
  for (const member of members) {
    for (const node of nodesOfService([member], { host, domain }, config)) {
      const name = formatNodeName(node).toLowerCase();
      const same = found.get(name);
      if (same) same.push(member);
      else found.set(name, [member]);
    }
  }
  return found;
}

/**
 * What others have published under the name of a node here. One that is at the very place of ours is the same node,
 * published twice: by Nomad's service block, say.
 * @param entry one of those that are published of the node
 * @param owner meta of the entries of this daemon
 * @returns undefined as long as Consul does not list ours
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
