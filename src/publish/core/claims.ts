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

/** Who holds a name from now on, and with which entries. */
export interface Change {
  /** The name without case. */
  readonly key: string;
  /** Undefined: nobody. */
  readonly holder: Holder | undefined;
}

/** Nodes that are published at once. Each costs a call to the agent every few seconds, and any local user may register nodes. */
const MAX_PUBLISHED = 1024;

/**
 * Which of the nodes alive here holds a name in Consul. Ids that differ only in case overwrite each other in the
 * catalogue, and tags match in any case: of such nodes the oldest holds the name until it goes, or is not to be published
 * any more. The room of a name that nobody holds any more goes to the oldest node that waits for some.
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
    // Each registration asks for all: flat() takes ten times as long.
    const all: Claim[] = [];
    for (const claims of this.#claims.values()) all.push(...claims);
    return all;
  }

  add(claim: Claim): Change[] {
    const key = nameKey(claim.node.aliveName);
    this.#claims.set(key, [...(this.#claims.get(key) ?? []), claim]);
    return this.#take(key);
  }

  /** The node is published otherwise from now on, or not any more, or at last. */
  update(claim: Claim): Change[] {
    const { node, publication } = claim;
    const key = nameKey(node.aliveName);
    const claims = this.#claims.get(key) ?? [];
    this.#claims.set(
      key,
      claims.map((other) => (other.node === node ? claim : other)),
    );
    if (this.#holders.get(key)?.node !== node) return this.#take(key);
    if (publication.outcome !== "publish") return this.#passOn(key);
    const holder = { node, entries: publication.entries };
    this.#holders.set(key, holder);
    return [{ key, holder }];
  }

  remove(node: RegisteredNode): Change[] {
    const key = nameKey(node.aliveName);
    const rest = (this.#claims.get(key) ?? []).filter((claim) => claim.node !== node);
    if (rest.length > 0) this.#claims.set(key, rest);
    else this.#claims.delete(key);
    return this.#holders.get(key)?.node === node ? this.#passOn(key) : [];
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

  /** Gives a name that nobody holds to its oldest node that is to be published, if there is one and room for it. */
  #take(key: string): Change[] {
    if (this.#holders.has(key) || this.#holders.size >= this.#most) return [];
    for (const { node, publication } of this.#claims.get(key) ?? []) {
      if (publication.outcome !== "publish") continue;
      const holder = { node, entries: publication.entries };
      this.#holders.set(key, holder);
      return [{ key, holder }];
    }
    return [];
  }

  /** Takes a name from its holder. */
  #passOn(key: string): Change[] {
    this.#holders.delete(key);
    const taken = this.#take(key);
    if (taken.length > 0) return taken;
    return [{ key, holder: undefined }, ...this.#promote()];
  }

  /** Gives the room of one name to the oldest that waits for it. */
  #promote(): Change[] {
    for (const key of this.#claims.keys()) {
      const taken = this.#take(key);
      if (taken.length > 0) return taken;
    }
    return [];
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
