import type { Config } from "../config/config.js";
import type { DnsServer } from "../config/network-values.js";
import type { Logger } from "../daemon/logger.js";
import type { NameServer } from "../dns/exchange.js";
import type { Registry } from "../epmd/core/registry.js";
import type { Listener } from "../epmd/listener.js";
import type { GatewayWay } from "../epmd/look-up.js";
import { formatPeer } from "../epmd/peer.js";
import { parseNodeName } from "../names/node-name.js";
import { isLoopback } from "../net/ip.js";
import { hostsEntriesIn } from "../os/core/hosts-file.js";
import { readHostsFile } from "../os/hosts-file.js";
import { type Machine, openFileLimit } from "../os/machine.js";
import type { RelayStart } from "../relay/autostart.js";
import { startRelayClient } from "../relay/client.js";
import { relaySocketPath } from "../relay/socket-path.js";
import type { RelayStatus } from "../relay/wire/protocol.js";
import type { NodeResolver } from "../resolve/node-resolver.js";
import type { OwnHostTest } from "../resolve/registry-source.js";
import { GatewayAddresses, hostLimit } from "./core/addresses.js";
import { gatewayHosts, gatewayNames, isGatewayHost } from "./core/names.js";
import { type GatewayDns, startGatewayDns } from "./dns.js";
import { GatewayHosts } from "./hosts.js";
import { createAcceptTest, type GatewayLookUpDeps, lookUpAtGateway } from "./way.js";

export interface GatewayDeps {
  readonly config: Config;
  readonly machine: Machine;
  readonly registry: Registry;
  readonly nodes: NodeResolver;
  readonly isOurs: OwnHostTest;
  /** The EPMD's. */
  readonly listener: Listener;
  /** Name servers of zones that we serve ourselves. */
  readonly zones: readonly DnsServer[];
  /** Undefined: somebody else starts the relay process. */
  readonly relay: RelayStart | undefined;
  readonly log: Logger;
}

export interface Gateway extends GatewayWay {
  /** Where its DNS answers, `ip:port`. */
  readonly dnsAddress: string | undefined;
  /** Whether a name server is the gateway's own. */
  readonly isOwnServer: (server: NameServer) => boolean;
  /** Reads /etc/hosts again. */
  readonly reload: () => Promise<void>;
  /** Of the relay process; undefined: there is none. */
  readonly relayStatus: () => Promise<RelayStatus | undefined>;
  /** Why there is no relay process, as far as is known. */
  readonly relayTrouble: () => string | undefined;
  readonly close: () => Promise<void>;
}

/**
 * Unmodified VMs: peer host names resolve to loopback addresses, the EPMD listens there, and relays lead on.
 * @throws ListenError, ConfigError
 */
export async function startGateway(deps: GatewayDeps): Promise<Gateway> {
  const { config, registry, nodes, listener, log } = deps;
  const addresses = new GatewayAddresses(config.gatewayRange, hostLimit(openFileLimit()));
  const accepts = createAcceptTest(() => addresses.anyAddress(Math.random()));
  const relays = startRelayClient({
    socket: await relaySocketPath(config, listener.port, log),
    ports: config.relayPorts,
    start: deps.relay,
    onPairs: (pairs) => hosts.know(pairs, "the relay process"),
    ownPairs: () => hosts.pairs,
    onDialFailed: (node, endpoint, reason) => {
      log.info({ node, endpoint: formatPeer(endpoint), reason }, "relay cannot reach the node");
      nodes.refused(parseNodeName(node), endpoint);
    },
    log,
  });
  const { add: listen, remove: stopListening } = listener;
  const belongsToHost = (aliveName: string, host: string) => deps.isOurs(aliveName, host);
  const hosts = new GatewayHosts({
    addresses,
    listen,
    stopListening,
    onPair: relays.keep,
    hasNodes: ({ host }) => registry.nodes().some(({ aliveName }) => belongsToHost(aliveName, host)),
    linked: async () => {
      const status = await relays.status();
      return status && new Set(status.relays.flatMap(({ address, openLinks }) => (openLinks > 0 ? [address] : [])));
    },
    now: () => performance.now(),
    log,
  });
  const knowHostsFile = async () => {
    const text = await readHostsFile();
    await hosts.know(hostsEntriesIn(text, config.gatewayRange), "/etc/hosts", true);
  };
  let dns: GatewayDns | undefined;
  try {
    // Pairs of the daemon before us first: its VMs know them.
    await relays.ready;
    await knowHostsFile();
    await hosts.preload(gatewayHosts(config));
    dns = await startDns(deps, hosts, addresses);
  } catch (error) {
    await relays.close();
    throw error;
  }
  const lookUpDeps: GatewayLookUpDeps = {
    registry,
    nodes,
    hostOf: (address) => addresses.hostOf(address),
    relay: relays.ensure,
    accepts,
  };
  return {
    dnsAddress: dns && formatPeer(dns),
    isOwnServer: (server) => dns?.isOwnServer(server) ?? false,
    contains: (address) => addresses.contains(address),
    markUsed: (address) => hosts.markUsed(address),
    lookUp: (request, peer) => lookUpAtGateway(request, peer, lookUpDeps),
    belongsToHost: (node, address) => {
      const host = addresses.hostOf(address);
      return host !== undefined && belongsToHost(node.aliveName, host);
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
  { config, machine, zones, log }: GatewayDeps,
  hosts: GatewayHosts,
  addresses: GatewayAddresses,
): Promise<GatewayDns> | undefined {
  const names = gatewayNames(config);
  if (config.gatewayListen === undefined) return undefined;
  return startGatewayDns({
    at: config.gatewayListen,
    isGatewayHost: (host) => isGatewayHost(names, host),
    addressFor: (host) => hosts.addressFor(host),
    addresses,
    forward: { servers: config.gatewayForward, dns: [...config.dns, ...zones], domains: names.domains },
    isLocal: (address) => isLoopback(address) || machine.addresses().includes(address),
    log,
  });
}
