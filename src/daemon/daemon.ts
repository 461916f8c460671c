import { type Admin, loadAdmin, startAdmin } from "../admin/admin.js";
import { createMatching } from "../catalogue/core/matching.js";
import type { Config } from "../config/config.js";
import { portOfLabel } from "../config/nomad.js";
import type { NativeSide } from "../connect/native.js";
import { ConsulSide, loadConsulSide } from "../consul/side.js";
import type { Resolver } from "../dns/resolver.js";
import type { Responder } from "../dns/responder.js";
import { type RegisteredNode, Registry } from "../epmd/core/registry.js";
import { followOwnAddresses, listenAddresses } from "../epmd/listen-addresses.js";
import type { Listener } from "../epmd/listener.js";
import { startEpmdServer } from "../epmd/server.js";
import type { Gateway } from "../gateway/gateway.js";
import { isMeshed } from "../mesh/core/upstreams.js";
import { Domains, qualifiedDomain, servedDomains } from "../names/domains.js";
import { isNomadHost } from "../names/nomad-domain.js";
import { hostPort } from "../net/ip.js";
import { NomadEntries } from "../nomad/entries.js";
import { loadNomadSide, NomadSide, nomadUrl } from "../nomad/side.js";
import { thisMachine, uidsOf } from "../os/machine.js";
import { type ConfiguredNodes, startConfiguredNodes } from "../publish/configured-nodes.js";
import { advertised } from "../publish/core/advertised.js";
import { publishesToConsul } from "../publish/core/publication.js";
import type { RelayStart } from "../relay/autostart.js";
import type { RelayClient } from "../relay/client.js";
import { composeResolution, type Resolving } from "../resolve/compose.js";
import type { KnownDomains } from "../resolve/known-domains.js";
import { registrySource } from "../resolve/local-sources.js";
import type { NodeResolver } from "../resolve/node-resolver.js";
import type { LookUp } from "./core/observations.js";
import type { Logger } from "./logger.js";
import { observeDaemon } from "./metrics.js";
import { watchNameServers } from "./name-servers.js";

/**
 * Milliseconds for which a stopping daemon waits for VMs that are stopping too: Nomad and systemd end both at the same
 * time. The registrar may need another second, and Nomad kills after 5 s.
 */
const STOP_GRACE = 2800;
const STOP_POLL = 20;

export interface DaemonOptions {
  readonly log: Logger;
  /** How to start the gateway's relay process; without it the relay process must be running already. */
  readonly relay?: RelayStart;
  /** A KILL request was obeyed: time to close. */
  readonly onKill?: () => void;
}

export interface Daemon {
  /** Bound EPMD port. */
  readonly port: number;
  /** Bound EPMD addresses, `ip:port`. */
  readonly addresses: readonly string[];
  /** Where the embedded DNS answers, `ip:port`. */
  readonly dnsAddress: string | undefined;
  /** Where the gateway's DNS answers, `ip:port`. */
  readonly gatewayDnsAddress: string | undefined;
  /** Where HTTP is served, `ip:port`. */
  readonly adminAddress: string | undefined;
  /** What else the log line `ready` says. */
  readonly settings: DaemonSettings;
  readonly registry: Registry;
  /** Reads the nodes file, Consul's token file and, for the gateway, /etc/hosts again. */
  readonly reload: () => void;
  /** Waits up to 3 s for VMs that are stopping too, deregisters what has ended, and closes everything. Never throws. */
  readonly close: () => Promise<void>;
}

interface DaemonSettings {
  /** As --domain has them, fully qualified: `[glob=]domain`. */
  readonly domain: readonly string[];
  /** As --dns has them: `[domain=]ip:port`; undefined in a mesh, where none is asked. */
  readonly nameServers: readonly string[] | undefined;
  /** Where the nodes that register here are published: Consul's DNS, our own zone, by Nomad itself in its catalogue, or nowhere. */
  readonly publish: "consul" | "zone" | "nomad" | "none";
  /** URL of the agent that they are published to. */
  readonly consul: string | undefined;
  /** URL of Nomad's API, where a --domain is in its catalogue. */
  readonly nomad: string | undefined;
  readonly ways: readonly LookUp["way"][];
  /** Nodes that do not live here are reached through Connect upstreams alone. */
  readonly mesh: boolean;
  /** Nodes on other machines are reached by mutual TLS of Connect alone. */
  readonly connectNative: boolean;
}

/** The daemon: everything that `serve` runs, put together. @throws ListenError, ConfigError */
export async function start(config: Config, { log, relay, onKill = () => {} }: DaemonOptions): Promise<Daemon> {
  const machine = thisMachine();
  const registry = new Registry();
  const observed = observeDaemon(registry);
  const observe = observed.observations.emit;
  const consul = new ConsulSide(config, log, { observe });
  const nomad = new NomadSide(config, log);
  const publishes = publishesToConsul(config);
  const advertisedPort = (node: RegisteredNode) => advertised(node, config)?.port;
  let listener: Listener | undefined;
  let dns: Responder | undefined;
  let resolving: Resolving | undefined;
  let gateway: Gateway | undefined;
  let admin: Admin | undefined;
  let entries: NomadEntries | undefined;
  let resolver: KnownDomains | undefined;
  let native: NativeSide | undefined;
  let relays: RelayClient | undefined;
  let stopping = false;
  const domains = new Domains(config, machine);
  let open: () => void = () => {};
  const opened = new Promise<void>((resolve) => {
    open = resolve;
  });
  try {
    dns = await startZone(config, registry, log);
    const zone = dns ? zoneServers(config, dns) : [];
    const running = composeResolution({
      settings: config,
      machine,
      domains,
      registry: registrySource({
        registry,
        domains,
        // A native end is reached by its catalogue entry alone: nobody else is told where a VM listens.
        advertised: (node) => (config.connectNative ? undefined : advertised(node, config)),
      }),
      servers: zone,
      upstreams: {
        connect: () => consul.connect(),
        aliveNames: () => registry.nodes().map(({ aliveName }) => aliveName),
        follow: true,
      },
      consul,
      nomad,
      isOwnServer: (server) => gateway?.isOwnServer(server) ?? false,
      watchNodesFile: true,
      ownPort: () => listener?.port ?? config.port,
      observe,
      log,
    });
    resolving = running;
    const { observations } = observed;
    resolver = watchNameServers(config, { machine, domains, consul, dns: running.dns, observations, log });
    if (config.connectNative) {
      const { NativeSide } = await import("../connect/native.js");
      const { nodes } = running;
      const defaultPort = portOfLabel(config.nomad.ports, config.portLabel ?? "")?.taskPort;
      native = new NativeSide({ settings: config, defaultPort, registry, nodes, consul, log });
    }
    const epmd = await startEpmdServer({
      ...config,
      addresses: await listenAddresses(config.listen, machine.hostName, machine.addresses()),
      uids: await uidsOf(config.registerUid),
      registry,
      nodes: native?.nodes ?? running.nodes,
      // The VMs here listen for this machine alone, and the relay process speaks TLS.
      advertisedPort: native ? () => undefined : advertisedPort,
      opened: config.gateway ? opened : undefined,
      gatewayWay: () => gateway,
      match: createMatching({
        ...config,
        domains,
        registry,
        zoneDomains: zone.map(({ domain }) => domain),
        instances: {
          consul: (query, limit) => consul.instances(query, limit),
          nomad: (query, limit) => nomad.instances(query, limit),
        },
        advertisedPort,
      }),
      observe,
      onKill,
      now: Date.now,
      log,
    });
    listener = epmd.listener;
    if (config.gateway) {
      const { startGateway } = await import("../gateway/gateway.js");
      const { nodes } = running;
      const shared = { settings: config, machine, registry, nodes, domains, listener, native, relay, log };
      gateway = await startGateway({ ...shared, zones: zone });
      open();
    }
    if (native && !gateway) {
      const { nodes } = running;
      relays = await startNativeRelays(native, config, { nodes, port: listener.port, relay, log });
    }
    if (usesNomad(config)) entries = new NomadEntries({ registry, settings: config, nomad, log });
    admin = await startAdmin({
      ...{ config, machine, registry, consul, nomad, entries, publishes, gateway, native, observed, listener, log },
      nodes: running.nodes,
      domains,
      links: epmd.links,
      dns: { embedded: dns && hostPort(dns), gateway: gateway?.dnsAddress },
      resolver,
      isStopping: () => stopping,
      now: Date.now,
    });
  } catch (error) {
    entries?.close();
    native?.close();
    await Promise.all([listener?.close(), gateway?.close(), dns?.close(), resolver?.close(), resolving?.close()]);
    await relays?.close();
    await Promise.all([consul.close(), nomad.close()]);
    throw error;
  }
  const bound = listener;
  // What follows loads further parts of the program. To parse them takes time, so that comes after the line "ready".
  const settings = await describeSettings(config, publishes, resolving.dns);
  const place = { hostName: machine.hostName, port: bound.port };
  if (publishes && native) {
    native.onPort((connectPort, former) => {
      if (former === undefined) consul.publish(registry, { ...config, connectPort }, place);
      else consul.use({ ...config, connectPort });
    });
  } else if (publishes) consul.publish(registry, config, place);
  const configured = watchConfiguredNodes(config, registry, log);
  const { addresses } = machine;
  const stopFollowing = config.listen.length > 0 ? undefined : followOwnAddresses({ listener: bound, addresses, log });
  setImmediate(() => void loadAhead(config, log));
  return {
    port: bound.port,
    addresses: bound.addresses,
    dnsAddress: dns && hostPort(dns),
    gatewayDnsAddress: gateway?.dnsAddress,
    adminAddress: admin?.address,
    settings,
    registry,
    reload: () => {
      void resolving?.staticNodes.reload();
      void gateway?.reload();
      void consul.reload();
    },
    close: async () => {
      stopping = true;
      stopFollowing?.();
      configured?.hasten();
      await Promise.all([publishes && nodesGone(registry), admin?.lameDuck()]);
      // Before the sockets are closed: that ends the registrations, and the nodes stay published for a successor.
      await consul.stopPublishing();
      entries?.close();
      await Promise.all([
        ...[consul.close(), nomad.close(), configured?.close(), bound.close(), admin?.close()],
        ...[gateway?.close(), relays?.close(), dns?.close(), resolver?.close(), resolving?.close()],
      ]);
      native?.close();
    },
  };
}

/** The relay process of a native end without a gateway. */
async function startNativeRelays(
  native: NativeSide,
  config: Config,
  {
    nodes,
    port,
    relay,
    log,
  }: {
    readonly nodes: NodeResolver;
    readonly port: number;
    readonly relay: RelayStart | undefined;
    readonly log: Logger;
  },
): Promise<RelayClient> {
  const [{ startRelayClient }, { onDialFailed }, { relaySocketPath }] = await Promise.all([
    import("../relay/client.js"),
    import("../relay/dial-failed.js"),
    import("../relay/control-socket.js"),
  ]);
  const relays = startRelayClient({
    socket: await relaySocketPath(config, port, log),
    ports: config.relayPorts,
    start: relay,
    onPairs: () => {},
    ownPairs: () => [],
    onConnected: native.greet,
    onCallerRefused: native.refused,
    onDialFailed: onDialFailed(log, nodes),
    log,
  });
  native.use(relays);
  return relays;
}

async function describeSettings(config: Config, publishes: boolean, dns: Resolver): Promise<DaemonSettings> {
  const mesh = isMeshed(config);
  return {
    domain: config.domain.map(({ glob, domain }) => {
      const qualified = qualifiedDomain(domain, config.consulDomain);
      return glob.pattern === "*" ? qualified : `${glob.pattern}=${qualified}`;
    }),
    nameServers: mesh ? undefined : await dns.nameServers(),
    publish: publishes ? "consul" : config.dnsListen ? "zone" : usesNomad(config) ? "nomad" : "none",
    consul: publishes ? config.consul : undefined,
    nomad: usesNomad(config) ? nomadUrl(config) : undefined,
    ways: config.gateway ? ["module", "host", "gateway"] : ["module", "host"],
    mesh,
    connectNative: config.connectNative,
  };
}

/** Whether nodes here are found in Nomad's catalogue. In a mesh they are found by upstreams. */
function usesNomad(config: Config): boolean {
  return !isMeshed(config) && config.domain.some((rule) => isNomadHost(rule.domain, config.consulDomain));
}

async function startZone(config: Config, registry: Registry, log: Logger): Promise<Responder | undefined> {
  if (!config.dnsListen) return undefined;
  const { startEmbeddedDns } = await import("../dns/embedded.js");
  return startEmbeddedDns(config.dnsListen, registry, config, log);
}

/** Names under our own domains are asked of our own zone, which knows at once when there is no such node. */
function zoneServers(config: Pick<Config, "domain" | "consulDomain">, { address, port }: Responder) {
  return servedDomains(config).map((domain) => ({ domain, address, port }));
}

function watchConfiguredNodes(
  config: Pick<Config, "nomad" | "publishNode">,
  registry: Registry,
  log: Logger,
): ConfiguredNodes | undefined {
  const port = config.nomad.erlDistPort;
  const names = config.publishNode.map(({ aliveName }) => aliveName);
  if (names.length === 0 || port === undefined) return undefined;
  return startConfiguredNodes({ names, port, registry, log, now: Date.now });
}

/** Resolves when no VM is registered any more, at the latest after STOP_GRACE. */
async function nodesGone(registry: Registry): Promise<void> {
  const end = performance.now() + STOP_GRACE;
  while (registry.size > 0 && performance.now() < end) {
    await new Promise((resolve) => setTimeout(resolve, STOP_POLL));
  }
}

/**
 * Loads the parts that are imported when they are first used. At that time they may be impossible to load: an upgrade in
 * place has removed the files, or there are no file descriptors, and Node does not try a failed import again. Each part
 * is imported by the module that uses it, because Node looks for the file again for every importing module.
 * Never rejects.
 */
async function loadAhead({ admin }: Pick<Config, "admin">, log: Logger): Promise<void> {
  try {
    await Promise.all([loadConsulSide(), loadNomadSide(), admin && loadAdmin()]);
    log.debug("all parts of the program are loaded");
  } catch (error) {
    log.error({ err: error }, "a part of the program cannot be loaded, and is missing until the next start");
  }
}
