import { type ConfiguredNodes, startConfiguredNodes } from "./consul/configured-nodes.js";
import type { Registrar } from "./consul/registrar.js";
import { advertised, nodeDomain } from "./core/advertised.js";
import type { Config } from "./core/config.js";
import { isLoopback } from "./core/ip.js";
import { publishesToConsul } from "./core/publication.js";
import { Registry } from "./core/registry.js";
import { expandHost } from "./core/service-domain.js";
import type { Responder } from "./dns/responder.js";
import { listenAddresses } from "./epmd/listen-addresses.js";
import type { Listener } from "./epmd/listener.js";
import { formatPeer } from "./epmd/peer.js";
import { startEpmdServer } from "./epmd/server.js";
import type { Logger } from "./logger.js";
import { type Machine, thisMachine } from "./machine.js";
import { composeResolution, type Resolving } from "./resolution/compose.js";
import { registrySource } from "./resolution/registry-source.js";

/**
 * How long a stopping daemon waits for VMs that are stopping too: Nomad and systemd end both at once. With the second
 * that the registrar may need behind it, a stop is over within 4 s: Nomad kills after 5.
 */
const STOP_GRACE = 2800;
const STOP_POLL = 20;

export interface DaemonOptions {
  readonly log: Logger;
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
  readonly registry: Registry;
  /** Reads the nodes file again. */
  readonly reload: () => void;
  /** Gives VMs that are stopping too up to 3 s, leaves Consul as it should be, and ends. Never throws. */
  readonly close: () => Promise<void>;
}

/** The daemon: everything that `serve` runs, put together. @throws ListenError, ConfigError */
export async function start(config: Config, { log, onKill = () => {} }: DaemonOptions): Promise<Daemon> {
  const machine = thisMachine();
  const registry = new Registry();
  let listener: Listener | undefined;
  let dns: Responder | undefined;
  let resolving: Resolving | undefined;
  try {
    dns = await startZone(config, registry, log);
    const running = composeResolution({
      config,
      machine,
      registry: registrySource({
        registry,
        isOurs: hostTest(config, machine),
        advertised: (node) => advertised(node, config),
      }),
      servers: dns ? await zoneServers(config, dns) : [],
      ownPort: () => listener?.port ?? config.port,
      log,
    });
    resolving = running;
    listener = await startEpmdServer({
      ...config,
      addresses: await listenAddresses(config.listen, machine.hostName),
      registry,
      resolve: (name, options) => running.nodes.resolve(name, options),
      advertisedPort: (node) => advertised(node, config)?.port,
      onKill,
      now: Date.now,
      log,
    });
  } catch (error) {
    await Promise.all([dns?.close(), resolving?.close()]);
    throw error;
  }
  const bound = listener;
  // Not waited for: nodes can register while the Consul side is being loaded.
  const registrar = publishesToConsul(config) ? publish(config, registry, machine, bound.port, log) : undefined;
  const configured = watchConfiguredNodes(config, registry, log);
  return {
    port: bound.port,
    addresses: bound.addresses,
    dnsAddress: dns && formatPeer(dns),
    registry,
    reload: () => resolving?.staticNodes.reload(),
    close: async () => {
      configured?.hasten();
      if (registrar) await nodesGone(registry);
      // Before the sockets: their end must not look like the end of the nodes.
      await (await registrar)?.stop();
      await Promise.all([configured?.close(), bound.close(), dns?.close(), resolving?.close()]);
    },
  };
}

async function startZone(config: Config, registry: Registry, log: Logger): Promise<Responder | undefined> {
  if (!config.dnsListen) return undefined;
  const { startEmbeddedDns } = await import("./dns/embedded.js");
  return startEmbeddedDns(config.dnsListen, registry, config, log);
}

/** Names under our own domains are asked of our own zone: it knows at once that there is no such node. */
async function zoneServers(config: Config, { address, port }: Responder) {
  const { embeddedDomains } = await import("./dns/embedded.js");
  return embeddedDomains(config).map((domain) => ({ domain, address, port }));
}

/** Hosts for which the nodes alive here are the answer. */
function hostTest(config: Config, machine: Machine): (aliveName: string, host: string) => boolean {
  return (aliveName, host) =>
    machine.names.has(host) ||
    isLoopback(host) ||
    host === nodeDomain(aliveName, config) ||
    (config.nodeHost !== undefined && host === expandHost(config.nodeHost, config.consulDomain, machine.names)) ||
    machine.addresses().includes(host);
}

/** The Consul side is loaded only where it is used. Never rejects. */
async function publish(
  config: Config,
  registry: Registry,
  { hostName }: Machine,
  port: number,
  log: Logger,
): Promise<Pick<Registrar, "stop"> | undefined> {
  try {
    const [{ createConsulClient }, { startRegistrar }, { readOwner }] = await Promise.all([
      import("./consul/client.js"),
      import("./consul/registrar.js"),
      import("./consul/owner.js"),
    ]);
    const client = createConsulClient({
      url: config.consul,
      token: config.consulToken,
      tokenFile: config.consulTokenFile,
      ca: config.consulCa,
      cert: config.consulCert,
      key: config.consulKey,
      sslVerify: config.consulSslVerify,
      tlsServerName: config.consulTlsServerName,
      log,
    });
    const owner = await readOwner(port);
    const registrar = startRegistrar({ registry, config, client, machine: { hostName, port, owner }, log });
    return { stop: () => registrar.stop().finally(() => client.close()) };
  } catch (error) {
    log.error({ err: error }, "nothing is published: the Consul side cannot be started");
    return undefined;
  }
}

function watchConfiguredNodes(config: Config, registry: Registry, log: Logger): ConfiguredNodes | undefined {
  const port = config.nomad.erlDistPort;
  const names = config.publishNode.map(({ aliveName }) => aliveName);
  if (names.length === 0 || port === undefined) return undefined;
  return startConfiguredNodes({ names, port, registry, log, now: Date.now });
}

/** Until no VM is registered any more, or the grace is over. */
async function nodesGone(registry: Registry): Promise<void> {
  const end = performance.now() + STOP_GRACE;
  while (registry.size > 0 && performance.now() < end) {
    await new Promise((resolve) => setTimeout(resolve, STOP_POLL));
  }
}
