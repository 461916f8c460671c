import {
  type DomainSettings,
  isUnder,
  parseServiceDomain,
  qualifiedDomain,
  type ServiceDomain,
} from "../../names/domains.js";
import { formatNodeName, parseNodeName } from "../../names/node-name.js";
import {
  HIDDEN,
  ID_PREFIX,
  META_NODE,
  META_NODE_TYPE,
  META_SINCE,
  type Obstacle,
} from "../../publish/core/service-entry.js";
import type { Glob } from "../../text.js";

/** An instance of a service as a catalogue has it. */
export interface ServiceInstance {
  readonly serviceId: string;
  readonly tags: readonly string[];
  /** 0: none. */
  readonly port: number;
  readonly meta: Readonly<Record<string, string>>;
  /** That of the instance, else of its machine: the one that Consul's DNS gives. It may be a host name. */
  readonly address: string;
  /** A check of the instance or of its machine is critical: Consul's DNS leaves it out. False where a catalogue has no health. */
  readonly critical: boolean;
  /** The weight of its SRV record, which in Consul depends on its health; 1 where a catalogue has none. */
  readonly weight: number;
  /** A native end of Consul Connect: its port speaks mutual TLS. Absent: it does not. */
  readonly isNative?: boolean;
  /** Another one after each change of the entry or of the status of a check (ModifyIndex); 0: not known. */
  readonly version: number;
}

/** The same with its health and its machine, for people. */
export interface ServiceMember extends ServiceInstance {
  /** `unknown` where a catalogue has none. */
  readonly health: "passing" | "warning" | "critical" | "unknown";
  /** The critical check because of which Consul's DNS leaves it out, when that is not the TTL check of srv-epmd. */
  readonly obstacle?: Obstacle | undefined;
  /** Its VM has left its srv-epmd, which removes the entry some seconds later. */
  readonly withdrawn?: true;
  /** Name of the Consul node at which it is registered, or id of the Nomad client. */
  readonly machine: string;
  /** That of the Consul node; absent in Nomad. */
  readonly machineAddress?: string;
}

/** A node of a service as `names --cluster` lists it; there may be several of one name. */
export interface ClusterNode {
  readonly node: string;
  readonly health: ServiceMember["health"];
  readonly address: string;
  readonly port: number;
  /** Seconds since it was published; undefined for an entry that no srv-epmd made. */
  readonly age: number | undefined;
  /** The instance of the srv-epmd that published it, else the service id; in Nomad the allocation. */
  readonly instance: string;
  readonly machine: string;
  /** It registered as a hidden node. */
  readonly hidden?: true;
  /** As of the instance. */
  readonly obstacle?: Obstacle;
  readonly withdrawn?: true;
}

/** Why a node is critical, for a table: `serfHealth`; undefined: its srv-epmd does not refresh it, or it is not critical. */
export function criticalBecause({ obstacle, withdrawn }: ClusterNode): string | undefined {
  switch (obstacle?.kind) {
    case undefined:
      return withdrawn && "its VM has left";
    case "maintenance":
      return "maintenance";
    case "tcp":
      return "TCP check";
    default:
      return obstacle?.check;
  }
}

/** A node that is compared with a pattern. */
export interface ListedNode {
  readonly aliveName: string;
  /** Host part of its full name. */
  readonly host: string;
  readonly port: number;
}

/** A tag that Consul's DNS finds as a label. */
const TAG_NAME = /^[0-9A-Za-z_-]{1,63}$/;

/** Most tags of an instance that may be alive names. It has one VM: more of them are other tags, or an attack. */
const MOST_NAMES = 4;

/**
 * The nodes of a service, for VMs that connect to all of them. As in Consul's DNS, instances that are critical or have no
 * port are left out.
 */
export function nodesOfService(
  instances: readonly ServiceInstance[],
  asked: ServedBy,
  settings: Pick<DomainSettings, "consulDomain" | "nodeHost">,
): ListedNode[] {
  return [...instances]
    .sort((a, b) => compare(a.serviceId, b.serviceId))
    .filter(({ critical, port }) => !critical && port > 0 && port <= 65535)
    .flatMap((instance) =>
      nodesOfInstance(instance, asked.host, asked.domain).filter((node) =>
        mayHaveHost(node.host.toLowerCase(), instance, asked, settings),
      ),
    );
}

/**
 * Whether an instance may name a host. Anybody with the right to write the service writes the meta of its instances, and
 * must not lead VMs to another domain. Allowed are the asked host and hosts below it, in any spelling, the host of this
 * daemon's own nodes, and the address of the instance.
 */
function mayHaveHost(
  host: string,
  { address }: ServiceInstance,
  asked: ServedBy,
  { consulDomain, nodeHost: own }: Pick<DomainSettings, "consulDomain" | "nodeHost">,
): boolean {
  const { service, datacenter } = asked.domain;
  const theirs = parseServiceDomain(qualifiedDomain(host, consulDomain), consulDomain);
  const isSameService =
    theirs?.service === service &&
    (theirs.datacenter === undefined || datacenter === undefined || theirs.datacenter === datacenter);
  const isBelow = isUnder(host, asked.host);
  const isOwn = own !== undefined && qualifiedDomain(own, consulDomain) === qualifiedDomain(host, consulDomain);
  return isBelow || isSameService || isOwn || host === address.toLowerCase();
}

function nodesOfInstance(
  instance: ServiceInstance,
  host: string,
  { tagSuffix }: Partial<Pick<ServiceDomain, "tagSuffix">>,
): ListedNode[] {
  const tagged = aliveNamesOfTags(instance.tags, tagSuffix);
  const named = nameInMeta(instance);
  if (!named) {
    const names = tagged.length > MOST_NAMES ? [] : tagged;
    return names.map((aliveName) => ({ aliveName, host, port: instance.port }));
  }
  // Nodes below a service (`x.svc.service.consul`) have a tag for it: `node_a.x`.
  const isAsked = tagSuffix === undefined || named.host.toLowerCase() === host || tagged.includes(named.aliveName);
  return isAsked ? [{ ...named, port: instance.port }] : [];
}

/** A host that stands for a service. */
interface ServedBy {
  readonly host: string;
  readonly domain: Partial<ServiceDomain> & Pick<ServiceDomain, "service">;
}

/** All nodes of a service that match, critical ones too, sorted by name. @param now milliseconds since the epoch */
export function clusterNodes(
  members: readonly ServiceMember[],
  { host, domain, glob }: ServedBy & { readonly glob: Glob },
  now: number,
): ClusterNode[] {
  const listed = members.flatMap((member) =>
    nodesOfInstance(member, host, domain)
      .filter(({ aliveName }) => glob.matches(aliveName))
      .map((node): ClusterNode => {
        const { health, address, machine, port, meta, obstacle, withdrawn } = member;
        return {
          node: formatNodeName(node),
          health,
          address,
          port,
          age: ageOf(meta, now),
          instance: instanceName(member, node),
          machine,
          ...(meta[META_NODE_TYPE] === HIDDEN && { hidden: true }),
          ...(obstacle && { obstacle }),
          ...(withdrawn && { withdrawn }),
        };
      }),
  );
  return listed.sort((a, b) => compare(a.node, b.node) || compare(a.instance, b.instance));
}

/** Seconds since a node was published; undefined for an entry that no srv-epmd made. @param now milliseconds since the epoch */
export function ageOf(meta: ServiceInstance["meta"], now: number): number | undefined {
  const since = meta[META_SINCE] ?? "";
  return /^[0-9]{1,11}$/.test(since) ? Math.max(0, Math.round(now / 1000 - Number(since))) : undefined;
}

/** `box1` of `srv-epmd:box1:node_a`. The name may be followed by a family. */
function instanceName({ serviceId }: ServiceInstance, { aliveName }: ListedNode): string {
  const at = serviceId.startsWith(ID_PREFIX) ? serviceId.lastIndexOf(`:${aliveName}`) : -1;
  return at > ID_PREFIX.length ? serviceId.slice(ID_PREFIX.length, at) : serviceId;
}

/** The full name in an instance's meta; undefined when it is no node name, for anybody can write meta. */
function nameInMeta({ meta }: ServiceInstance): Pick<ListedNode, "aliveName" | "host"> | undefined {
  const text = meta[META_NODE] ?? "";
  try {
    const { aliveName, form, family } = parseNodeName(text);
    if (form !== "full" || family !== undefined) return undefined;
    // As written: VMs compare host parts with case.
    return { aliveName, host: text.slice(aliveName.length + 1) };
  } catch {
    return undefined;
  }
}

/** Alive names of the tags under the asked domain: `node_a`, or `node_a.x` under `x.svc.service.consul`. */
function aliveNamesOfTags(tags: readonly string[], suffix: string | undefined): string[] {
  const ending = suffix === undefined ? "" : `.${suffix}`;
  return tags
    .filter((tag) => tag.toLowerCase().endsWith(ending))
    .map((tag) => tag.slice(0, tag.length - ending.length))
    .filter((name) => TAG_NAME.test(name));
}

/** By code unit, which is the same order in all locales. */
export function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

/**
 * The index for the next blocking query; 0: it must not wait. An index that goes backwards is that of servers that have
 * lost their state.
 */
export function nextIndex(before: number, answered: number): number {
  return answered > 0 && answered >= before ? answered : 0;
}
