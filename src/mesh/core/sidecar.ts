import type { Config } from "../../config/config.js";
import { fillTemplate } from "../../config/values.js";
import { nodeDomain, servedDomains } from "../../names/domains.js";
import { parseServiceDomain, partsOf } from "../../names/service-domain.js";
import type { Upstream } from "./upstream.js";

/** A Connect proxy as the agent holds its registration. */
export interface Sidecar {
  readonly id: string;
  /** Name of the service that it stands before. */
  readonly service: string;
  /** Id of that service's instance; empty when the registration does not say. */
  readonly serviceId: string;
  /** Those of the instance, unless its registration says otherwise. */
  readonly tags: readonly string[];
  readonly upstreams: readonly Upstream[];
}

/** Upstreams are used and a missing one ends a look-up: --mesh, or what implies it. */
export function isMeshed({ mesh, given }: Config): boolean {
  return given.has("mesh") ? mesh : given.has("upstreamService");
}

/** Whether the agent is asked for upstreams: Nomad's variables say all that there is to say of their allocation. */
export function asksAgent(config: Config): boolean {
  return (isMeshed(config) || config.given.has("upstreamService")) && config.nomad.upstreams.length === 0;
}

/** Name of the service or prepared query behind which a node is. */
export function destinationOf({ upstreamService }: Config, node: { aliveName: string; host: string }): string {
  return fillTemplate(upstreamService, partsOf(node));
}

/** What an alive name can be in a name of Consul's. */
const ALIVE_NAME = "[0-9A-Za-z_-]+";

/**
 * Which proxies of the agent stand before nodes of this place: those of our allocation; else those of --service, by name
 * or id; else those whose service is that of a domain here, or what --upstream-service makes of it and any alive name;
 * else, when nothing says which, all.
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
 * Of several proxies those that stand before nodes alive here, if there are any: one agent may serve several network
 * namespaces, and a listener of another one is not here; and the others speak in another service's name.
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
