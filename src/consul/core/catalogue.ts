import type { Config } from "../../config/config.js";
import { isAliveName } from "../../config/network-values.js";
import type { RegisteredNode } from "../../epmd/core/registry.js";
import type { NamedPort } from "../../epmd/wire/messages.js";
import type { Glob } from "../../names/glob.js";
import { formatNodeName, parseNodeName } from "../../names/node-name.js";
import { parseServiceDomain, qualifiedDomain, type ServiceDomain } from "../../names/service-domain.js";
import { ID_PREFIX, META_NODE, META_SINCE } from "../../publish/core/service-entry.js";

/** An instance of a service as Consul's health API has it. */
export interface ServiceInstance {
  readonly serviceId: string;
  readonly tags: readonly string[];
  /** 0: none. */
  readonly port: number;
  readonly meta: Readonly<Record<string, string>>;
  /** Its own, else its machine's; what Consul's DNS gives. */
  readonly address: string;
  /** One of its checks, or of its machine's, is critical: Consul's DNS leaves it out. */
  readonly critical: boolean;
}

/** The same with all that people want to know. */
export interface ServiceMember extends ServiceInstance {
  readonly health: "passing" | "warning" | "critical";
  /** Name of the Consul node that it is registered at. */
  readonly machine: string;
}

/** A node of a service as `names --cluster` lists it; there may be several of one name. */
export interface ClusterNode {
  readonly node: string;
  readonly health: ServiceMember["health"];
  readonly address: string;
  readonly port: number;
  /** Seconds since it was published; undefined for an entry that is not a srv-epmd's. */
  readonly age: number | undefined;
  /** Of the srv-epmd that published it, else the id of the service. */
  readonly instance: string;
  readonly machine: string;
}

/** A node that a pattern may match. */
export interface ListedNode {
  readonly aliveName: string;
  /** Host part of its full name. */
  readonly host: string;
  readonly port: number;
}

/** What Consul's DNS finds as a label of a name. */
const TAG_NAME = /^[0-9A-Za-z_-]{1,63}$/;

/** An instance has one VM. With more tags that could be its name than these, they are something else, or a flood. */
const MOST_NAMES = 4;

/**
 * The nodes of a service for VMs that connect to all of them. As Consul's DNS has them: without critical instances, and
 * without those that have no port.
 */
export function nodesOfService(
  instances: readonly ServiceInstance[],
  asked: { readonly host: string; readonly domain: ServiceDomain },
  config: Pick<Config, "consulDomain" | "nodeHost">,
): ListedNode[] {
  return [...instances]
    .sort((a, b) => compare(a.serviceId, b.serviceId))
    .filter(({ critical, port }) => !critical && port > 0 && port <= 65535)
    .flatMap((instance) =>
      nodesOfInstance(instance, asked.host, asked.domain).filter((node) =>
        mayHaveHost(node.host.toLowerCase(), instance, asked, config),
      ),
    );
}

/**
 * Whoever may write an instance of the service writes its meta: by that alone no VM is led to another domain. A host is
 * good that is the asked one or lies below it, in whatever spelling; that this daemon's own nodes have; or that is where
 * the instance is anyway.
 */
function mayHaveHost(
  host: string,
  { address }: ServiceInstance,
  asked: { readonly host: string; readonly domain: ServiceDomain },
  { consulDomain, nodeHost: own }: Pick<Config, "consulDomain" | "nodeHost">,
): boolean {
  const { service, datacenter } = asked.domain;
  const theirs = parseServiceDomain(qualifiedDomain(host, consulDomain), consulDomain);
  const isSameService =
    theirs?.service === service &&
    (theirs.datacenter === undefined || datacenter === undefined || theirs.datacenter === datacenter);
  const isBelow = host === asked.host || host.endsWith(`.${asked.host}`);
  const isOwn = own !== undefined && qualifiedDomain(own, consulDomain) === qualifiedDomain(host, consulDomain);
  return isBelow || isSameService || isOwn || host === address.toLowerCase();
}

function nodesOfInstance(
  instance: ServiceInstance,
  host: string,
  { tagSuffix }: Pick<ServiceDomain, "tagSuffix">,
): ListedNode[] {
  const tagged = aliveNamesOfTags(instance.tags, tagSuffix);
  const named = nameInMeta(instance);
  if (!named) {
    const names = tagged.length > MOST_NAMES ? [] : tagged;
    return names.map((aliveName) => ({ aliveName, host, port: instance.port }));
  }
  // Below a service (`x.svc.service.consul`) are those whose tag says so: `node_a.x`.
  const isAsked = tagSuffix === undefined || named.host.toLowerCase() === host || tagged.includes(named.aliveName);
  return isAsked ? [{ ...named, port: instance.port }] : [];
}

/** All nodes of a service that match, critical ones too, sorted by name. @param now milliseconds since the epoch */
export function clusterNodes(
  members: readonly ServiceMember[],
  { host, domain, glob }: { readonly host: string; readonly domain: ServiceDomain; readonly glob: Glob },
  now: number,
): ClusterNode[] {
  const listed = members.flatMap((member) =>
    nodesOfInstance(member, host, domain)
      .filter(({ aliveName }) => glob.matches(aliveName))
      .map((node): ClusterNode => {
        const { health, address, machine, port, meta } = member;
        const since = /^[0-9]{1,11}$/.test(meta[META_SINCE] ?? "") ? Number(meta[META_SINCE]) : undefined;
        const age = since === undefined ? undefined : Math.max(0, Math.round(now / 1000 - since));
        return {
          node: formatNodeName(node),
          health,
          address,
          port,
          age,
          instance: instanceName(member, node),
          machine,
        };
      }),
  );
  return listed.sort((a, b) => compare(a.node, b.node) || compare(a.instance, b.instance));
}

/** `box1` of `srv-epmd:box1:node_a`, where a family may stand behind the name. */
function instanceName({ serviceId }: ServiceInstance, { aliveName }: ListedNode): string {
  const at = serviceId.startsWith(ID_PREFIX) ? serviceId.lastIndexOf(`:${aliveName}`) : -1;
  return at > ID_PREFIX.length ? serviceId.slice(ID_PREFIX.length, at) : serviceId;
}

/** The full name in an instance's meta; anybody can write meta, so what is no node name is passed over. */
function nameInMeta({ meta }: ServiceInstance): Pick<ListedNode, "aliveName" | "host"> | undefined {
  const text = meta[META_NODE] ?? "";
  try {
    const { aliveName, form, family } = parseNodeName(text);
    if (form !== "full" || family !== undefined) return undefined;
    // As written: to a VM the case of a host part matters.
    return { aliveName, host: text.slice(aliveName.length + 1) };
  } catch {
    return undefined;
  }
}

/** Tags that make a name under the asked domain: `node_a`, or `node_a.x` under `x.svc.service.consul`. */
function aliveNamesOfTags(tags: readonly string[], suffix: string | undefined): string[] {
  const ending = suffix === undefined ? "" : `.${suffix}`;
  return tags
    .filter((tag) => tag.toLowerCase().endsWith(ending))
    .map((tag) => tag.slice(0, tag.length - ending.length))
    .filter((name) => TAG_NAME.test(name));
}

/**
 * The nodes alive here that are listed for a host.
 * @param hostOf the host part of the full name of a node; undefined: it is not one of the host's
 * @param portOf what the one who asks would dial; undefined: it cannot reach the node
 */
export function nodesAlive(
  nodes: readonly RegisteredNode[],
  hostOf: (aliveName: string) => string | undefined,
  portOf: (node: RegisteredNode) => number | undefined,
): ListedNode[] {
  return nodes.flatMap((node) => {
    const { aliveName } = node;
    // A line has one name in it, and a name one `@`.
    const host = isAliveName(aliveName) ? hostOf(aliveName) : undefined;
    const port = host === undefined ? undefined : portOf(node);
    return host === undefined || port === undefined ? [] : [{ aliveName, host, port }];
  });
}

/** Lines for the nodes that match, sorted: one for each full name, of the first list that has it. */
export function matchNodes(glob: Glob, ...lists: readonly (readonly ListedNode[])[]): NamedPort[] {
  const found = new Map<string, number>();
  for (const node of lists.flat()) {
    const name = formatNodeName(node);
    if (!found.has(name) && glob.matches(node.aliveName)) found.set(name, node.port);
  }
  return Array.from(found, ([name, port]) => ({ name, port })).sort((a, b) => compare(a.name, b.name));
}

/** By code unit: the same order on every machine, whatever its language. */
function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

/**
 * The index for the next blocking query. One that goes backwards tells of servers that lost their state, and 0 or none
 * is no index: then the next query must not wait.
 */
export function nextIndex(before: number, answered: number): number {
  return answered > 0 && answered >= before ? answered : 0;
}
