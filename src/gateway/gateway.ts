import type { DnsServer } from "../config/network-values.js";
import type { Settings } from "../config/options.js";
import type { NativeSide } from "../connect/native.js";
import type { Logger } from "../daemon/logger.js";
import type { NameServer } from "../dns/exchange.js";
import type { Registry } from "../epmd/core/registry.js";
import type { Listener } from "../epmd/listener.js";
import type { GatewayWay } from "../epmd/look-up.js";
import type { Domains } from "../names/domains.js";
import { hostPort, isLoopback } from "../net/ip.js";
import { hostsEntriesIn } from "../os/core/hosts-file.js";
import { readHostsFile } from "../os/hosts-file.js";
import { type Machine, openFileLimit } from "../os/machine.js";
import type { RelayStart } from "../relay/autostart.js";
import { startRelayClient } from "../relay/client.js";
import { relaySocketPath } from "../relay/control-socket.js";
import type { RelayTrouble } from "../relay/core/trouble.js";
import { onDialFailed } from "../relay/dial-failed.js";
import type { RelayStatus } from "../relay/wire/status.js";
import type { NodeResolver } from "../resolve/node-resolver.js";
import {
  GatewayAddresses,
  type GatewayNameSettings,
  gatewayDomains,
  hostLimit,
  isGatewayHost,
} from "./core/addresses.js";
import { type GatewayDns, startGatewayDns } from "./dns.js";
import { GatewayHosts } from "./hosts.js";
import { createAcceptTest, type GatewayLookUpDeps, lookUpAtGateway } from "./way.js";

type GatewaySettings = GatewayNameSettings &
  Pick<
    Settings,
    "dns" | "gatewayForward" | "gatewayListen" | "gatewayRange" | "relayPorts" | "relaySocket" | "runtimeDir"
  >;

interface GatewayDeps {
  readonly settings: GatewaySettings;
  readonly machine: Machine;
  readonly registry: Registry;
  readonly nodes: NodeResolver;
  readonly domains: Pick<Domains, "isOurs">;
  /** The EPMD's. */
  readonly listener: Listener;
  /** Name servers of the zones that we serve. */
  readonly zones: readonly DnsServer[];
  /** Nodes elsewhere are reached by mutual TLS. */
  readonly native?: NativeSide | undefined;
  /** How to start a relay process; undefined: it is started elsewhere. */
  readonly relay: RelayStart | undefined;
  readonly log: Logger;
}

export interface Gateway extends GatewayWay {
  /** Address of its DNS, `host:port`; undefined: it has none. */
  readonly dnsAddress: string | undefined;
  /** Whether a name server is the gateway's own. */
  readonly isOwnServer: (server: NameServer) => boolean;
  /** Reads /etc/hosts again. */
  readonly reload: () => Promise<void>;
  /** Undefined: no relay process is connected. */
  readonly relayStatus: () => Promise<RelayStatus | undefined>;
  /** Why no relay process is connected, when that is known. */
  readonly relayTrouble: () => RelayTrouble | undefined;
  readonly close: () => Promise<void>;
}

/**
 * The way in for unmodified VMs: host names of peers resolve to loopback addresses, where the EPMD listens; relays there
 * connect to the nodes.
 * @throws ListenError, ConfigError
 */
export async function startGateway(deps: GatewayDeps): Promise<Gateway> {
  const { settings, registry, nodes, listener, log } = deps;
  const addresses = new GatewayAddresses(settings.gatewayRange, hostLimit(openFileLimit()));
  const accepts = createAcceptTest(() => addresses.anyAddress(Math.random()));
  const relays = startRelayClient({
    socket: await relaySocketPath(settings, listener.port, log),
    ports: settings.relayPorts,
    start: deps.relay,
    onPairs: (pairs) => hosts.know(pairs, "relay"),
    ownPairs: () => hosts.pairs,
    onDialFailed: onDialFailed(log, nodes),
    ...(deps.native && { onConnected: deps.native.greet, onCallerRefused: deps.native.refused }),
    log,
  });
  deps.native?.use(relays);
  const hosts = new GatewayHosts({
    addresses,
    listen: (address) => listener.add(address),
    stopListening: (address) => listener.remove(address),
    onPair: relays.keep,
    hasNodes: ({ host }) => registry.nodes().some(({ aliveName }) => deps.domains.isOurs(aliveName, host)),
    linked: async () => {
      const status = await relays.status();
      return status && new Set(status.relays.flatMap(({ address, openLinks }) => (openLinks > 0 ? [address] : [])));
    },
    now: () => performance.now(),
    log,
  });
  const knowHostsFile = async () => {
    const text = await readHostsFile();
    await hosts.know(hostsEntriesIn(text, settings.gatewayRange), "/etc/hosts");
  };
  const names = gatewayDomains(settings);
  let dns: GatewayDns | undefined;
  try {
    // First the pairs of our predecessor: VMs use these addresses already.
    await relays.ready;
    await knowHostsFile();
    await hosts.preload(names);
    dns = await startDns(deps, names, hosts, addresses);
  } catch (error) {
    await relays.close();
    throw error;
  }
  const lookUpDeps: GatewayLookUpDeps = {
    registry,
    nodes,
    hostOf: (address) => addresses.hostOf(address),
    relay: relays.ensure,
    peerOf: deps.native && ((host) => deps.native?.peerOf(host)),
    accepts,
  };
  return {
    dnsAddress: dns && hostPort(dns),
    isOwnServer: (server) => dns?.isOwnServer(server) ?? false,
    contains: (address) => addresses.contains(address),
    markUsed: (address) => hosts.markUsed(address),
    lookUp: (request, peer) => lookUpAtGateway(request, peer, lookUpDeps),
    belongsToHost: (node, address) => {
      const host = addresses.hostOf(address);
      return host !== undefined && deps.domains.isOurs(node.aliveName, host);
    },
    reload: knowHostsFile,
    relayStatus: relays.status,
    relayTrouble: relays.trouble,
    close: async () => {
      await Promise.all([dns?.close(), relays.close()]);
    },
  };
}

function startDns(
  { settings, machine, zones, log }: GatewayDeps,
  domains: readonly string[],
  hosts: GatewayHosts,
  addresses: GatewayAddresses,
): Promise<GatewayDns> | undefined {
  if (settings.gatewayListen === undefined) return undefined;
  return startGatewayDns({
    at: settings.gatewayListen,
    isGatewayHost: (host) => isGatewayHost(domains, host),
    addressFor: (host) => hosts.addressFor(host),
    addresses,
    forward: { servers: settings.gatewayForward, dns: [...settings.dns, ...zones], domains },
    isLocal: (address) => isLoopback(address) || machine.addresses().includes(address),
    log,
  });
}
