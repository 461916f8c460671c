import { nodesOfService, type ServiceMember } from "../../catalogue/core/instances.js";
import type { RegisteredNode } from "../../epmd/core/registry.js";
import { type DomainSettings, nodeDomain, parseServiceDomain } from "../../names/domains.js";
import { formatNodeName } from "../../names/node-name.js";
import { hostPort } from "../../net/ip.js";
import type { Publication } from "./publication.js";
import { nameKey } from "./reconcile.js";
import { META_NODE, META_OWNER, type ServiceEntry } from "./service-entry.js";

export interface Claim {
  readonly node: RegisteredNode;
  readonly publication: Publication;
}

/** A node that is published, or to be. */
export interface Holder {
  readonly node: RegisteredNode;
  readonly entries: readonly ServiceEntry[];
}

/** Nodes that are published at once. Each costs a call to the agent every few seconds, and any local user may register nodes. */
const MAX_PUBLISHED = 1024;

/**
 * Which of the nodes alive here holds a name in Consul. Ids that differ only in case overwrite each other in the
 * catalogue, and tags match in any case: of such nodes the oldest holds the name until it goes.
 */
export class Claims {
  /** By name without case, oldest first. */
  readonly #claims = new Map<string, Claim[]>();
  readonly #holders = new Map<string, Holder>();
  readonly #most: number;

  constructor(most = MAX_PUBLISHED) {
    this.#most = most;
  }

  holder(key: string): Holder | undefined {
    return this.#holders.get(key);
  }

  holders(): Holder[] {
    return Array.from(this.#holders.values());
  }

  all(): Claim[] {
    return Array.from(this.#claims.values()).flat();
  }

  /** @returns the holder, if the name had none before */
  add(claim: Claim): Holder | undefined {
    const key = nameKey(claim.node.aliveName);
    this.#claims.set(key, [...(this.#claims.get(key) ?? []), claim]);
    return this.#holders.has(key) ? undefined : this.#choose(key);
  }

  /** The node is published otherwise from now on. @returns its holder, with other entries; undefined: it does not hold its name */
  update(claim: Claim): Holder | undefined {
    const key = nameKey(claim.node.aliveName);
    const updated = (this.#claims.get(key) ?? []).map((other) => (other.node === claim.node ? claim : other));
    this.#claims.set(key, updated);
    if (this.#holders.get(key)?.node !== claim.node || claim.publication.outcome !== "publish") return undefined;
    const holder = { node: claim.node, entries: claim.publication.entries };
    this.#holders.set(key, holder);
    return holder;
  }

  /** @returns whether the node held its name; `holder` then gives its successor */
  remove(node: RegisteredNode): boolean {
    const key = nameKey(node.aliveName);
    const rest = (this.#claims.get(key) ?? []).filter((claim) => claim.node !== node);
    if (rest.length > 0) this.#claims.set(key, rest);
    else this.#claims.delete(key);
    if (this.#holders.get(key)?.node !== node) return false;
    this.#holders.delete(key);
    this.#choose(key);
    return true;
  }

  /** Gives a name to the oldest node that waits for room. @returns its holder; undefined: no room, or no such node */
  promote(): Holder | undefined {
    if (this.#holders.size >= this.#most) return undefined;
    for (const key of this.#claims.keys()) {
      const holder = this.#holders.has(key) ? undefined : this.#choose(key);
      if (holder) return holder;
    }
    return undefined;
  }

  /** Whether only the limit keeps a node from being published. */
  isBeyondLimit({ node, publication }: Claim): boolean {
    return publication.outcome === "publish" && !this.#holders.has(nameKey(node.aliveName));
  }

  /** Why a node is not published; undefined: it is, or will be. */
  reason({ node, publication }: Claim): string | undefined {
    if (publication.outcome !== "publish") return publication.reason;
    const holder = this.#holders.get(nameKey(node.aliveName))?.node;
    if (holder === node) return undefined;
    if (holder === undefined)
      return `${this.#most} nodes are published, which is the limit; it is published when one of them goes`;
    return `its name differs only in case from ${holder.aliveName}, and Consul cannot tell the two apart; it is published when that one goes`;
  }

  #choose(key: string): Holder | undefined {
    if (this.#holders.size >= this.#most) return undefined;
    for (const { node, publication } of this.#claims.get(key) ?? []) {
      if (publication.outcome !== "publish") continue;
      const holder = { node, entries: publication.entries };
      this.#holders.set(key, holder);
      return holder;
    }
    return undefined;
  }
}

/** Another place at which Consul has a node of the same full name. A look-up gives either. */
interface Namesake {
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
