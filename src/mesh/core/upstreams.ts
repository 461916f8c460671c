import type { IpPort } from "../../config/network-values.js";
import { type DomainSettings, nodeDomain, parseServiceDomain, partsOf, servedDomains } from "../../names/domains.js";
import type { Endpoint, Family } from "../../net/endpoint.js";
import { familyOf, formatIp, hostPort, isLoopback, parseIp } from "../../net/ip.js";
import { ID_PREFIX } from "../../publish/core/service-entry.js";
import { type NodeQuestion, notFound, type Resolution } from "../../resolve/core/resolution.js";
import { fillTemplate, listed } from "../../text.js";

/** A listener of a Connect proxy here, through which a destination is reached. */
export interface Upstream extends IpPort {
  /** A service or a prepared query, as the registration writes it. */
  readonly destination: string;
}

/** The most destinations in a reason: enough to find a misspelt one. */
const MOST_LISTED = 12;

/** The upstreams of a destination. Case is ignored, as in Consul. */
export function upstreamsTo(destination: string, upstreams: readonly Upstream[]): Upstream[] {
  const wanted = destination.toLowerCase();
  return upstreams.filter((one) => one.destination.toLowerCase() === wanted);
}

/** @param sameHost the client is on this machine and can reach loopback addresses */
export function resolveUpstream(
  { family, onlyAddress }: Pick<NodeQuestion, "family" | "onlyAddress">,
  sameHost: boolean,
  found: readonly Upstream[],
): Resolution {
  const places = found.map(({ address, port }) => hostPort(address, port)).join(", ");
  const reachable = found.filter(({ address }) => sameHost || !isLoopback(address));
  const asked = reachable.filter(({ address }) => onlyAddress === undefined || address === onlyAddress);
  const endpoints = asked.flatMap((upstream) => endpointOf(upstream, family) ?? []);
  if (endpoints.length > 0) return { outcome: "found", source: "upstream", endpoints, ttl: 0, stale: false };
  const why =
    reachable.length === 0
      ? "out of reach for a client on another machine"
      : asked.length === 0
        ? `not at ${onlyAddress}`
        : `not an IPv${family} address`;
  return notFound("UPSTREAM_NO_ADDRESS", `the upstream ${found[0]?.destination} listens at ${places}, ${why}`);
}

function endpointOf({ destination, address, port }: Upstream, asked: Family | "any"): Endpoint | undefined {
  const family = familyOf(address) ?? 4;
  const endpoint = { port, priority: 0, weight: 0, target: destination };
  if (asked === "any" || asked === family) return { ...endpoint, address, family };
  if (asked === 4) return undefined;
  // RFC 4291 section 2.5.5.2: an inet6_tcp VM reaches the listener at the IPv4-mapped address.
  return {
    ...endpoint,
    address: formatIp([...new Array<number>(10).fill(0), 0xff, 0xff, ...(parseIp(address) ?? [])]),
    family: 6,
  };
}

/** The destinations, as part of a reason why another one was not found. */
export function listDestinations(upstreams: readonly Upstream[]): string {
  const names = Array.from(new Set(upstreams.map(({ destination }) => destination))).sort();
  if (names.length === 0) return "there are none";
  return `there are ${listed(names, MOST_LISTED)}`;
}

/** The registration of a Connect proxy with the agent. */
export interface Sidecar {
  readonly id: string;
  /** Name of the service that the proxy belongs to. */
  readonly service: string;
  /** Id of that service's instance; empty when the registration has none. */
  readonly serviceId: string;
  /** Tags of the instance, unless the registration has its own. */
  readonly tags: readonly string[];
  readonly upstreams: readonly Upstream[];
}

/** The settings that decide whether nodes are reached through upstreams, and what the upstream of a node is called. */
export interface MeshSettings {
  readonly mesh: boolean;
  readonly upstreamService: string;
  /** Options that were set. */
  readonly given: { has(option: "mesh" | "upstreamService"): boolean };
  readonly nomad: { readonly upstreams: readonly Upstream[] };
}

/** The settings that decide which service in the mesh a node here has. */
interface ServiceSettings
  extends Pick<MeshSettings, "upstreamService">,
    Pick<DomainSettings, "domain" | "consulDomain" | "publishNode"> {}

/** The settings that decide which proxies belong to nodes here. */
export interface SidecarSettings extends ServiceSettings, Pick<DomainSettings, "service"> {
  readonly nomad: { readonly allocId: string | undefined };
}

/** With --mesh, or an option that implies it: nodes are reached through upstreams, and a look-up ends at a missing one. */
export function isMeshed({ mesh, given }: Pick<MeshSettings, "mesh" | "given">): boolean {
  return given.has("mesh") ? mesh : given.has("upstreamService");
}

/** With --mesh, or beside upstreams of Nomad, which --mesh may leave unused. */
export function isInMesh(settings: Pick<MeshSettings, "mesh" | "given" | "nomad">): boolean {
  return isMeshed(settings) || settings.nomad.upstreams.length > 0;
}

/** Whether the agent is asked for upstreams. Not when Nomad's variables have them: these are complete for the allocation. */
export function asksAgent(settings: MeshSettings): boolean {
  return (isMeshed(settings) || settings.given.has("upstreamService")) && settings.nomad.upstreams.length === 0;
}

/** The service or prepared query that is the upstream of a node. */
export function destinationOf(
  { upstreamService }: Pick<MeshSettings, "upstreamService">,
  node: { readonly aliveName: string; readonly host: string },
): string {
  return fillTemplate(upstreamService, partsOf(node));
}

/** The alive names that can be part of a name in Consul; a regular expression. */
const ALIVE_NAME = "[0-9A-Za-z_-]+";

/**
 * Which proxies of the agent belong to nodes here: those of our allocation; else those of --service, by name or id; else
 * those whose service is the service of a domain here, or the name that --upstream-service makes of that domain and any
 * alive name; else all.
 */
export function ownSidecars(settings: SidecarSettings): (sidecar: Sidecar) => boolean {
  const { service, nomad } = settings;
  const { allocId } = nomad;
  if (allocId !== undefined) return ({ id, serviceId }) => id.includes(allocId) || serviceId.includes(allocId);
  if (service !== undefined) return (sidecar) => sidecar.service === service || sidecar.serviceId === service;
  const hosts = [
    ...servedDomains(settings),
    ...settings.publishNode.flatMap(({ aliveName }) => nodeDomain(aliveName, settings) ?? []),
  ];
  if (hosts.length === 0) return () => true;
  const names = new RegExp(`^(${hosts.flatMap((host) => namesAt(host, settings)).join("|")})$`, "i");
  return (sidecar) => names.test(sidecar.service);
}

function namesAt(host: string, settings: Pick<ServiceSettings, "upstreamService" | "consulDomain">): string[] {
  const service = parseServiceDomain(host, settings.consulDomain)?.service;
  const wildcard = "\0";
  const perNode = quoted(destinationOf(settings, { aliveName: wildcard, host })).replaceAll(wildcard, ALIVE_NAME);
  return service === undefined ? [perNode] : [quoted(service), perNode];
}

function quoted(text: string): string {
  return text.replaceAll(/[\\^$.*+?()[\]{}|-]/g, "\\$&");
}

/**
 * The proxies of nodes that are alive here; all proxies when none of them is. An agent may serve several network namespaces,
 * and listeners in another namespace are out of reach; and another service's proxy makes connections in the name of that
 * service.
 */
export function sidecarsOfNodes(
  sidecars: readonly Sidecar[],
  aliveNames: readonly string[],
  settings: ServiceSettings,
): readonly Sidecar[] {
  if (sidecars.length < 2) return sidecars;
  const services = new Set(aliveNames.map((aliveName) => serviceOfNode(aliveName, settings)?.toLowerCase()));
  const isOfNode = ({ service, tags }: Sidecar) =>
    services.has(service.toLowerCase()) || tags.some((tag) => aliveNames.includes(tag));
  const chosen = sidecars.filter(isOfNode);
  return chosen.length > 0 ? chosen : sidecars;
}

function serviceOfNode(aliveName: string, settings: ServiceSettings): string | undefined {
  const host = nodeDomain(aliveName, settings);
  return host === undefined ? undefined : destinationOf(settings, { aliveName, host });
}

/** A service of the agent, registered by us or by another program. */
export interface LocalService {
  readonly id: string;
  readonly service: string;
  /** Of a Connect proxy: the id of its service instance. */
  readonly proxyOf: string | undefined;
  /** Connect-native: it needs no proxy. */
  readonly native: boolean;
}

/**
 * Ids of the instances that another program has registered for the nodes that we publish: those of services with these
 * names that have a sidecar proxy, or that Nomad registered for our allocation.
 */
export function heldByOthers(
  services: readonly LocalService[],
  names: readonly string[],
  allocId: string | undefined,
): string[] {
  const wanted = new Set(names.map((name) => name.toLowerCase()));
  const proxied = new Set(services.map(({ proxyOf }) => proxyOf));
  return services
    .filter(
      ({ id, service, proxyOf }) =>
        !id.startsWith(ID_PREFIX) && proxyOf === undefined && wanted.has(service.toLowerCase()),
    )
    .filter(({ id, native }) => native || proxied.has(id) || (allocId !== undefined && id.includes(allocId)))
    .map(({ id }) => id);
}
