import { consulQuestion, usesConsulCatalogue } from "../catalogue/core/question.js";
import type { DnsServer, IpPort } from "../config/network-values.js";
import type { Settings } from "../config/options.js";
import { ConnectWays } from "../connect/credentials.js";
import { type AgentSettings, ConsulSide } from "../consul/side.js";
import type { Observe } from "../daemon/core/observations.js";
import type { Logger } from "../daemon/logger.js";
import { exchangeLimit, type NameServer } from "../dns/exchange.js";
import { createResolver, type Resolver } from "../dns/resolver.js";
import { nameProblem } from "../dns/wire/record.js";
import { names, portPlease } from "../epmd/client.js";
import { asksAgent, isMeshed } from "../mesh/core/upstreams.js";
import { createUpstreamSource, type UpstreamSettings, type UpstreamSourceDeps } from "../mesh/upstream-source.js";
import { type DomainSettings, Domains, isUnder } from "../names/domains.js";
import { isHelperName } from "../names/node-name.js";
import { isNomadHost } from "../names/nomad-domain.js";
import { isLoopback } from "../net/ip.js";
import { type NomadApiSettings, NomadSide, namespaceOf } from "../nomad/side.js";
import { HostsFile } from "../os/hosts-file.js";
import { type Machine, openFileLimit, thisMachine } from "../os/machine.js";
import type { AdvertiseSettings } from "../publish/core/advertised.js";
import { AddressLookup } from "./addresses.js";
import { type GatewayDns, isGatewayItself, zoneOf } from "./beside-daemon.js";
import { type CatalogueAccess, createCatalogueSource } from "./catalogue-source.js";
import { type NodeQuestion, srvOwner } from "./core/resolution.js";
import { createFallbackSource, type FallbackOptions } from "./fallback-source.js";
import { epmdSource, type StaticSource, staticSource } from "./local-sources.js";
import { NodeResolver } from "./node-resolver.js";
import { createNomadSource, type NomadCatalogue } from "./nomad-source.js";
import type { Source } from "./source.js";
import { createSrvSource } from "./srv-source.js";
import { type AskPlace, type FoundNode, type NamedVm, vmsNamed } from "./twins.js";

export type ResolutionSettings = UpstreamSettings &
  Pick<Settings, "node" | "nodesFile" | "srvName" | "srvTarget" | "family" | "preferReachable" | "timeout"> &
  Pick<Settings, "catalogue" | "connectNative" | "consulDomain" | "nomadNamespace"> &
  Pick<Settings, "dns" | "gatewayForward" | "gatewayRange" | "maxTtl" | "staleTtl" | "fallback" | "helpers" | "port">;

export interface ResolutionDeps {
  readonly settings: ResolutionSettings;
  readonly machine: Machine;
  readonly domains: Domains;
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
  /** Consul's catalogue of services; undefined: look-ups do not use it. */
  readonly consul?: CatalogueAccess;
  /** Nomad's; undefined: its hosts are not looked up. */
  readonly nomad?: NomadCatalogue;
  /** Called for DNS queries. */
  readonly observe?: Observe;
  readonly log: Logger;
}

/** Look-ups of a command. */
export interface LookUps extends Resolving {
  /** The way inside the mutual TLS of Consul Connect; undefined where nodes are dialled themselves. */
  readonly connect: ConnectWays | undefined;
  /** The VMs that have the name of a node which was found. Never rejects. */
  readonly vmsNamed: (node: FoundNode, ask: AskPlace) => Promise<NamedVm[]>;
}

export interface Resolving {
  readonly nodes: NodeResolver;
  readonly dns: Resolver;
  readonly staticNodes: StaticSource;
  readonly close: () => Promise<void>;
}

/** Makes the sources, in the order in which they are asked. @throws ConfigError for a nodes file that cannot be used */
export function composeResolution(deps: ResolutionDeps): Resolving {
  const { settings, machine, domains, registry, servers, ownPort, log } = deps;
  const { family } = settings;
  // A change of the system's clock must not move deadlines and TTLs.
  const now = () => performance.now();
  const staticNodes = staticSource(
    {
      nodes: settings.node,
      nodesFile: settings.nodesFile,
      ownNames: machine.names,
      domains,
      log,
    },
    deps.watchNodesFile,
  );
  const dns = createResolver({
    dns: [...settings.dns, ...servers],
    isOwnServer: deps.isOwnServer,
    otherServers: settings.gatewayForward,
    maxTtl: settings.maxTtl,
    staleTtl: settings.staleTtl,
    maxExchanges: exchangeLimit(openFileLimit()),
    now,
    observe: deps.observe,
    log,
  });
  const addresses = new AddressLookup(dns, new HostsFile({ gatewayRange: settings.gatewayRange, now, log }), now);
  const hasFallback = settings.fallback.length > 0;
  const srv = createSrvSource({
    resolver: dns,
    addresses,
    srvName: settings.srvName,
    srvTarget: settings.srvTarget,
    family,
    random: Math.random,
    localAddresses: machine.addresses,
    addressesToo: hasFallback,
    now,
  });
  const catalogue = consulCatalogue(deps, now);
  const askEpmd = async (address: string, aliveName: string, deadline: number) => {
    const port = ownPort() ?? settings.port;
    const answer = await portPlease({ address, port }, aliveName, { timeout: deadline - now(), forwarded: true });
    return answer && { port: answer.port, description: answer };
  };
  const fallbackTo = (how: Pick<FallbackOptions, "port" | "epmd">) =>
    createFallbackSource({
      ...how,
      addresses,
      srvName: settings.srvName,
      family,
      localAddresses: machine.addresses,
      isOwn: (address) => ownPort() !== undefined && (isLoopback(address) || machine.addresses().includes(address)),
      now,
    });
  // Helpers are not published: the EPMD at one of the service's instances knows them.
  const helpers: Source = { ...fallbackTo({ epmd: askEpmd }), serves: ({ node }) => isHelper(node.aliveName) };
  const fallback = fallbackTo({
    port: settings.fallback.find((how) => how !== "epmd"),
    epmd: settings.fallback.includes("epmd") ? askEpmd : undefined,
  });
  const hasUpstreams = asksAgent(settings) || settings.nomad.upstreams.length > 0;
  const upstream = hasUpstreams ? createUpstreamSource({ ...deps.upstreams, settings, log }) : undefined;
  // In a mesh a node without an upstream is not found: another source would lead around the mesh.
  const others = [
    ...(catalogue ? [catalogue] : []),
    srv,
    ...(settings.helpers === "ask" ? [helpers] : []),
    ...(hasFallback ? [fallback] : []),
  ];
  // Nomad's catalogue is the whole truth for its hosts.
  const isNomads = ({ node }: NodeQuestion) => isNomadHost(node.host, settings.consulDomain);
  const unmeshed = [
    ...nomadCatalogue(deps, addresses, now),
    ...others.map((source) => {
      return { ...source, serves: (asked: NodeQuestion) => !isNomads(asked) && (source.serves?.(asked) ?? true) };
    }),
  ];
  const nativeEnds = [registry, ...(catalogue ? [catalogue] : [])];
  const all = [registry, staticNodes, ...(upstream ? [upstream] : []), ...(isMeshed(settings) ? [] : unmeshed)];
  const nodes = new NodeResolver({
    // Every other source leads to places that do not speak mutual TLS, or does not say whether they do.
    sources: settings.connectNative ? nativeEnds : all,
    domains,
    family,
    preferReachable: settings.preferReachable,
    timeout: settings.timeout,
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

const isHelper = (aliveName: string) => isHelperName(aliveName);

/** Undefined where look-ups do not use it. */
function consulCatalogue(
  { settings, machine, servers, consul }: ResolutionDeps,
  now: () => number,
): Source | undefined {
  const { srvName, consulDomain, family, staleTtl } = settings;
  if (!consul || !usesConsulCatalogue(settings)) return undefined;
  const isInZone = (host: string) => servers.some(({ domain }) => domain !== undefined && isUnder(host, domain));
  const { addresses: localAddresses } = machine;
  return createCatalogueSource({
    title: "Consul",
    access: consul,
    read: (node) => {
      const owner = srvOwner(srvName, node);
      return isInZone(node.host) || nameProblem(owner) !== undefined ? undefined : consulQuestion(owner, consulDomain);
    },
    // Helpers are not published: the relay process of one of the service's machines knows them.
    ...(settings.connectNative && {
      onlyNative: true,
      ...(settings.helpers === "ask" && { mayBeAnywhere: isHelper }),
    }),
    ...{ family, staleTtl, random: Math.random, localAddresses, now },
  });
}

function nomadCatalogue(
  { settings, machine, nomad }: ResolutionDeps,
  addresses: AddressLookup,
  now: () => number,
): Source[] {
  if (!nomad) return [];
  const { consulDomain, family, staleTtl } = settings;
  const namespace = namespaceOf({ namespace: undefined }, settings);
  const { addresses: localAddresses } = machine;
  const options = { nomad, consulDomain, namespace, addresses, family, staleTtl, localAddresses };
  return [createNomadSource({ ...options, random: Math.random, now })];
}

interface LookUpSettings
  extends ResolutionSettings,
    AgentSettings,
    AdvertiseSettings,
    NomadApiSettings,
    DomainSettings,
    GatewayDns {
  readonly nomad: ResolutionSettings["nomad"] & AdvertiseSettings["nomad"] & NomadApiSettings["nomad"];
  /** Where the zone of the daemon beside it answers. */
  readonly dnsListen: IpPort | undefined;
  /** Follow the nodes file. */
  readonly watch: boolean;
}

interface LookUpOptions {
  /** Look-ups go on: services in the catalogue are followed, not asked for once. Default `--watch`. */
  readonly follow?: boolean;
}

/** An EPMD on this machine answers at once. Milliseconds. */
const NAMES_TIMEOUT = 500;

/**
 * Look-ups as the daemon would make them; the nodes alive here are those that the EPMD of this machine has.
 * @throws ConfigError
 */
export function composeForLookUps(settings: LookUpSettings, log: Logger, { follow }: LookUpOptions = {}): LookUps {
  const machine = thisMachine();
  const domains = new Domains(settings, machine);
  const consul = new ConsulSide(settings, log, { follow: follow ?? settings.watch });
  const nomad = new NomadSide(settings, log, { follow: follow ?? settings.watch });
  const resolving = composeResolution({
    settings,
    machine,
    domains,
    registry: epmdSource(settings.port, domains),
    servers: zoneOf(settings),
    isOwnServer: (server) => isGatewayItself(settings, machine, server),
    upstreams: { connect: () => consul.connect(), aliveNames: () => aliveNames(settings.port), follow: false },
    consul,
    nomad,
    watchNodesFile: settings.watch,
    ownPort: () => undefined,
    log,
  });
  const close = async () => {
    await resolving.close();
    await Promise.all([consul.close(), nomad.close()]);
  };
  const connect = settings.connectNative ? new ConnectWays(settings, consul) : undefined;
  const { nodes } = resolving;
  const published = { nodes, settings, ownAddresses: machine.addresses, agent: consul.connect };
  return { ...resolving, connect, vmsNamed: (node, ask) => vmsNamed(node, ask, published), close };
}

/** Of the nodes that the EPMD of this machine has; none when it does not answer. */
async function aliveNames(port: number): Promise<string[]> {
  const answer = await names({ address: "127.0.0.1", port }, { timeout: NAMES_TIMEOUT }).catch(() => undefined);
  return answer?.names.map(({ name }) => name) ?? [];
}
