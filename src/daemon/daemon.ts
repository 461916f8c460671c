import { type Admin, startAdmin } from "../admin/admin.js";
import type { Config } from "../config/config.js";
import { ConsulSide } from "../consul/side.js";
import type { Responder } from "../dns/responder.js";
import { type RegisteredNode, Registry } from "../epmd/core/registry.js";
import { followOwnAddresses, listenAddresses } from "../epmd/listen-addresses.js";
import type { Listener } from "../epmd/listener.js";
import { formatPeer } from "../epmd/peer.js";
import { startEpmdServer } from "../epmd/server.js";
import type { Gateway } from "../gateway/gateway.js";
import { thisMachine } from "../os/machine.js";
import { uidsOf } from "../os/users.js";
import { type ConfiguredNodes, startConfiguredNodes } from "../publish/configured-nodes.js";
import { advertised, servedDomains } from "../publish/core/advertised.js";
import { publishesToConsul } from "../publish/core/publication.js";
import type { RelayStart } from "../relay/autostart.js";
import { composeResolution, type Resolving } from "../resolve/compose.js";
import { ownHosts, registrySource } from "../resolve/registry-source.js";
import { loadAhead } from "./load-ahead.js";
import type { Logger } from "./logger.js";
import { createMatching } from "./matching.js";
import { observeDaemon } from "./observed.js";

/**
 * How long a stopping daemon waits for VMs that are stopping too: Nomad and systemd end both at once. With the second
 * that the registrar may need behind it, a stop is over within 4 s: Nomad kills after 5.
 */
const STOP_GRACE = 2800;
const STOP_POLL = 20;

export interface DaemonOptions {
  readonly log: Logger;
  /** How this program is started, for the gateway's relay process; without it one must be there already. */
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
  readonly registry: Registry;
  /** Reads the nodes file and Consul's token file again, and for the gateway /etc/hosts. */
  readonly reload: () => void;
  /** Gives VMs that are stopping too up to 3 s, leaves Consul as it should be, and ends. Never throws. */
  readonly close: () => Promise<void>;
}

/** The daemon: everything that `serve` runs, put together. @throws ListenError, ConfigError */
export async function start(config: Config, { log, relay, onKill = () => {} }: DaemonOptions): Promise<Daemon> {
  const machine = thisMachine();
  const registry = new Registry();
  const observed = observeDaemon(registry);
  const observe = observed.observations.emit;
  const consul = new ConsulSide(config, log, { observe });
  const publishes = publishesToConsul(config);
  const advertisedPort = (node: RegisteredNode) => advertised(node, config)?.port;
  let listener: Listener | undefined;
  let dns: Responder | undefined;
  let resolving: Resolving | undefined;
  let gateway: Gateway | undefined;
  let admin: Admin | undefined;
  let stopping = false;
  const isOurs = ownHosts(config, machine);
  let open: () => void = () => {};
  const opened = new Promise<void>((resolve) => {
    open = resolve;
  });
  try {
    dns = await startZone(config, registry, log);
    const zone = dns ? zoneServers(config, dns) : [];
    const running = composeResolution({
      config,
      machine,
      registry: registrySource({
        registry,
        isOurs,
        advertised: (node) => advertised(node, config),
      }),
      servers: zone,
      upstreams: {
        connect: () => consul.connect(),
        aliveNames: () => registry.nodes().map(({ aliveName }) => aliveName),
        follow: true,
      },
      isOwnServer: (server) => gateway?.isOwnServer(server) ?? false,
      watchNodesFile: true,
      ownPort: () => listener?.port ?? config.port,
      observe,
      log,
    });
    resolving = running;
    listener = await startEpmdServer({
      ...config,
      addresses: await listenAddresses(config.listen, machine.hostName, machine.addresses()),
      uids: await uidsOf(config.registerUid),
      registry,
      nodes: running.nodes,
      advertisedPort,
      opened: config.gateway ? opened : undefined,
      gatewayWay: () => gateway,
      match: createMatching({
        config,
        machine,
        registry,
        zoneDomains: zone.map(({ domain }) => domain),
        instances: (query, limit) => consul.instances(query, limit),
        advertisedPort,
      }),
      observe,
      onKill,
      now: Date.now,
      log,
    });
    if (config.gateway) {
      const { startGateway } = await import("../gateway/gateway.js");
      const { nodes } = running;
      gateway = await startGateway({ config, machine, registry, nodes, isOurs, listener, zones: zone, relay, log });
      open();
    }
    admin = await startAdmin({
      ...{ config, machine, registry, consul, publishes, gateway, observed, listener, log },
      nodes: running.nodes,
      dns: { embedded: dns && formatPeer(dns), gateway: gateway?.dnsAddress },
      isStopping: () => stopping,
      now: Date.now,
    });
  } catch (error) {
    await Promise.all([listener?.close(), gateway?.close(), dns?.close(), resolving?.close(), consul.close()]);
    throw error;
  }
  const bound = listener;
  if (publishes) consul.publish(registry, { hostName: machine.hostName, port: bound.port });
  const configured = watchConfiguredNodes(config, registry, log);
  const { addresses } = machine;
  void loadAhead(config, log);
  const stopFollowing = config.listen.length > 0 ? undefined : followOwnAddresses({ listener: bound, addresses, log });
  return {
    port: bound.port,
    addresses: bound.addresses,
    dnsAddress: dns && formatPeer(dns),
    gatewayDnsAddress: gateway?.dnsAddress,
    adminAddress: admin?.address,
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
      // Before the sockets: their end must not look like the end of the nodes.
      await consul.stopPublishing();
      await Promise.all([
        ...[consul.close(), configured?.close(), bound.close(), admin?.close()],
        ...[gateway?.close(), dns?.close(), resolving?.close()],
      ]);
    },
  };
}

async function startZone(config: Config, registry: Registry, log: Logger): Promise<Responder | undefined> {
  if (!config.dnsListen) return undefined;
  const { startEmbeddedDns } = await import("../dns/embedded.js");
  return startEmbeddedDns(config.dnsListen, registry, config, log);
}

/** Names under our own domains are asked of our own zone: it knows at once that there is no such node. */
function zoneServers(config: Config, { address, port }: Responder) {
  return servedDomains(config).map((domain) => ({ domain, address, port }));
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
