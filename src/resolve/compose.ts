import type { Config } from "../config/config.js";
import type { DnsServer } from "../config/network-values.js";
import type { Observe } from "../daemon/core/observations.js";
import type { Logger } from "../daemon/logger.js";
import type { NameServer } from "../dns/exchange.js";
import { exchangeLimit } from "../dns/exchange-slots.js";
import { createResolver, type Resolver } from "../dns/resolver.js";
import { portPlease } from "../epmd/client.js";
import { asksAgent, isMeshed } from "../mesh/core/sidecar.js";
import { createUpstreamSource, type UpstreamSourceDeps } from "../mesh/upstream-source.js";
import { isHelperName } from "../names/helper-names.js";
import { expandHost } from "../names/service-domain.js";
import { isLoopback } from "../net/ip.js";
import { HostsFile } from "../os/hosts-file.js";
import { type Machine, openFileLimit } from "../os/machine.js";
import { nodeDomain } from "../publish/core/advertised.js";
import { AddressLookup } from "./addresses.js";
import { createFallbackSource, type FallbackOptions } from "./fallback-source.js";
import { NodeResolver } from "./node-resolver.js";
import type { Source } from "./source.js";
import { createSrvSource } from "./srv-source.js";
import { type StaticSource, staticSource } from "./static-source.js";

export interface ResolutionDeps {
  readonly config: Config;
  readonly machine: Machine;
  /** The nodes alive here. */
  readonly registry: Source;
  /** Name servers beside those of `--dns`: the zone that the daemon itself serves. */
  readonly servers: readonly DnsServer[];
  /** Servers of resolv.conf that are not asked: the gateway's own DNS. */
  readonly isOwnServer?: (server: NameServer) => boolean;
  /** Read the nodes file again when it changes. */
  readonly watchNodesFile: boolean;
  /** The port of our own EPMD, which a fallback does not ask. Undefined for commands other than the daemon. */
  readonly ownPort: () => number | undefined;
  /** For the Connect upstreams of the Consul agent. */
  readonly upstreams: Pick<UpstreamSourceDeps, "connect" | "aliveNames" | "follow">;
  /** Called for DNS queries. */
  readonly observe?: Observe;
  readonly log: Logger;
}

export interface Resolving {
  readonly nodes: NodeResolver;
  readonly dns: Resolver;
  readonly staticNodes: StaticSource;
  readonly close: () => Promise<void>;
}

/** Makes the sources, in the order in which they are asked. @throws ConfigError for a nodes file that cannot be used */
export function composeResolution(deps: ResolutionDeps): Resolving {
  const { config, machine, registry, servers, ownPort, log } = deps;
  const { family } = config;
  // A change of the system's clock must not move deadlines and TTLs.
  const now = () => performance.now();
  const domainOf = (aliveName: string) => nodeDomain(aliveName, config);
  const staticNodes = staticSource(
    {
      nodes: config.node,
      nodesFile: config.nodesFile,
      ownNames: machine.names,
      expand: (host) => expandHost(host, config.consulDomain, machine.names),
      domainOf,
      log,
    },
    deps.watchNodesFile,
  );
  const dns = createResolver({
    dns: [...config.dns, ...servers],
    isOwnServer: deps.isOwnServer,
    otherServers: config.gatewayForward,
    maxTtl: config.maxTtl,
    negativeTtl: config.negativeTtl,
    staleTtl: config.staleTtl,
    maxExchanges: exchangeLimit(openFileLimit()),
    now,
    observe: deps.observe,
    log,
  });
  const addresses = new AddressLookup(dns, new HostsFile({ gatewayRange: config.gatewayRange, now, log }), now);
  const hasFallback = config.fallbackPort !== undefined || config.fallbackEpmd;
  const srv = createSrvSource({
    resolver: dns,
    addresses,
    srvName: config.srvName,
    srvTarget: config.srvTarget,
    family,
    random: Math.random,
    localAddresses: machine.addresses,
    addressesToo: hasFallback,
    now,
  });
  const askEpmd = async (address: string, aliveName: string, deadline: number) => {
    const port = ownPort() ?? config.port;
    const answer = await portPlease({ address, port }, aliveName, { timeout: deadline - now(), forwarded: true });
    return answer && { port: answer.port, description: answer };
  };
  const fallbackTo = (how: Pick<FallbackOptions, "port" | "epmd">) =>
    createFallbackSource({
      ...how,
      addresses,
      srvName: config.srvName,
      family,
      localAddresses: machine.addresses,
      isOwn: (address) => ownPort() !== undefined && (isLoopback(address) || machine.addresses().includes(address)),
      now,
    });
  // Helpers are not published: the EPMD at one of the service's instances knows them.
  const helpers: Source = { ...fallbackTo({ epmd: askEpmd }), serves: (aliveName) => isHelperName(aliveName) };
  const fallback = fallbackTo({ port: config.fallbackPort, epmd: config.fallbackEpmd ? askEpmd : undefined });
  const hasUpstreams = asksAgent(config) || config.nomad.upstreams.length > 0;
  const upstream = hasUpstreams ? createUpstreamSource({ ...deps.upstreams, config, log }) : undefined;
  // In a mesh a node without an upstream is not found: another source would lead around the mesh.
  const unmeshed = [srv, ...(config.helpers === "ask" ? [helpers] : []), ...(hasFallback ? [fallback] : [])];
  const nodes = new NodeResolver({
    sources: [registry, staticNodes, ...(upstream ? [upstream] : []), ...(isMeshed(config) ? [] : unmeshed)],
    domainOf,
    consulDomain: config.consulDomain,
    ownNames: machine.names,
    family,
    probeEndpoints: config.probeEndpoints,
    timeout: config.timeout,
    now,
  });
  return {
    nodes,
    dns,
    staticNodes,
    close: async () => {
      staticNodes.close();
      await Promise.all([upstream?.close(), dns.close()]);
    },
  };
}
