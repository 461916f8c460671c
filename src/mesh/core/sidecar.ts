import type { Config } from "../../config/config.js";
import { fillTemplate } from "../../config/values.js";
import { nodeDomain, servedDomains } from "../../names/domains.js";
import { parseServiceDomain, partsOf } from "../../names/service-domain.js";
import type { Upstream } from "./upstream.js";

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

/** With --mesh, or an option that implies it: nodes are reached through upstreams, and a look-up ends at a missing one. */
export function isMeshed({ mesh, given }: Config): boolean {
  return given.has("mesh") ? mesh : given.has("upstreamService");
}

/** Whether the agent is asked for upstreams. Not when Nomad's variables have them: these are complete for the allocation. */
export function asksAgent(config: Config): boolean {
  return (isMeshed(config) || config.given.has("upstreamService")) && config.nomad.upstreams.length === 0;
}

/** The service or prepared query that is the upstream of a node. */
export function destinationOf({ upstreamService }: Config, node: { aliveName: string; host: string }): string {
  return fillTemplate(upstreamService, partsOf(node));
}

/** The alive names that can be part of a name in Consul; a regular expression. */
const ALIVE_NAME = "[0-9A-Za-z_-]+";

/**
 * Which proxies of the agent belong to nodes here: those of our allocation; else those of --service, by name or id; else
 * those whose service is the service of a domain here, or the name that --upstream-service makes of that domain and any
 * alive name; else all.
 */
export function ownSidecars(config: Config): (sidecar: Sidecar) => boolean {
  const { service, nomad } = config;
  const { allocId } = nomad;
  if (allocId !== undefined) return ({ id, serviceId }) => id.includes(allocId) || serviceId.includes(allocId);
  if (service !== undefined) return (sidecar) => sidecar.service === service || sidecar.serviceId === service;
  const hosts = [
    ...servedDomains(config),
    ...config.publishNode.flatMap(({ aliveName }) => nodeDomain(aliveName, config) ?? []),
  ];
  if (hosts.length === 0) return () => true;
  const names = new RegExp(`^(${hosts.flatMap((host) => namesAt(host, config)).join("|")})$`, "i");
  return (sidecar) => names.test(sidecar.service);
}

function namesAt(host: string, config: Config): string[] {
  const service = parseServiceDomain(host, config.consulDomain)?.service;
  const wildcard = "\0";
  const perNode = quoted(destinationOf(config, { aliveName: wildcard, host })).replaceAll(wildcard, ALIVE_NAME);
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
  config: Config,
): readonly Sidecar[] {
  if (sidecars.length < 2) return sidecars;
  const services = new Set(aliveNames.map((aliveName) => serviceOfNode(aliveName, config)?.toLowerCase()));
  const isOfNode = ({ service, tags }: Sidecar) =>
    services.has(service.toLowerCase()) || tags.some((tag) => aliveNames.includes(tag));
  const chosen = sidecars.filter(isOfNode);
  return chosen.length > 0 ? chosen : sidecars;
}

function serviceOfNode(aliveName: string, config: Config): string | undefined {
  const host = nodeDomain(aliveName, config);
  return host === undefined ? undefined : destinationOf(config, { aliveName, host });
}
