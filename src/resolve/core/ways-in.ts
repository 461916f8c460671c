import {
  GatewayAddresses,
  type GatewayNameSettings,
  gatewayDomains,
  type HostAddress,
  isGatewayHost,
} from "../../gateway/core/addresses.js";
import { grouped } from "../../grouped.js";
import type { Endpoint, Family } from "../../net/endpoint.js";
import { type Cidr, cidrContains, familyOf, hostPort, isLoopback } from "../../net/ip.js";

/** What a VM on this machine dials in one way in; `reason`: why there is nothing to dial. */
export interface Way {
  readonly way: "module" | "host" | "gateway";
  /** What the VM's -proto_dist asks for. */
  readonly family?: Family;
  /** Where it asks the EPMD, `ip:port`. */
  readonly asks?: string;
  /** `ip:port`; with the gateway only the address, until its EPMD, which chooses the port, has been asked. */
  readonly dials?: string;
  /** A relay here is dialled in its place, which goes there by mutual TLS of Consul Connect. */
  readonly byConnect?: true;
  readonly reason?: string;
}

export interface WaysInput {
  readonly settings: GatewayNameSettings & {
    /** Port of the EPMD. */
    readonly port: number;
    readonly gatewayRange: Cidr;
    readonly connectNative: boolean;
  };
  /** Expanded. */
  readonly host: string;
  /** The endpoints of the node, in their order. */
  readonly endpoints: readonly Endpoint[];
  /** The node lives here: it is reached at every address of this machine. */
  readonly isLocal: boolean;
  /** Addresses of this machine. */
  readonly ownAddresses: readonly string[];
  /** Addresses that this machine's own resolver gives a VM for the host. */
  readonly hostAddresses: readonly string[];
  /** Pairs of /etc/hosts inside the gateway's range. */
  readonly hostsEntries: readonly HostAddress[];
}

/** What a VM on this machine would dial in each way in. */
export function waysIn(input: WaysInput): Way[] {
  return [...([4, 6] as const).map((family) => moduleWay(family, input)), ...hostWays(input), gatewayWay(input)];
}

function moduleWay(family: Family, { settings, endpoints, isLocal }: WaysInput): Way {
  const [first] = endpoints;
  // The relay is on both loopbacks, and reaches either family.
  if (settings.connectNative && !isLocal && first) {
    return { way: "module", family, dials: hostPort(first.address, first.port), byConnect: true };
  }
  const endpoint = endpoints.find((one) => one.family === family);
  if (endpoint) return { way: "module", family, dials: hostPort(endpoint.address, endpoint.port) };
  return { way: "module", family, reason: endpoints.length > 0 ? `no IPv${family} endpoint` : "not found" };
}

function hostWays(input: WaysInput): Way[] {
  const { host, hostAddresses } = input;
  if (hostAddresses.length === 0) {
    return [{ way: "host", reason: `this machine's resolver has no address for ${host}` }];
  }
  return ([4, 6] as const).flatMap((family) => {
    const addresses = hostAddresses.filter((address) => familyOf(address) === family);
    return addresses.length > 0 ? [hostWay(family, addresses, input)] : [];
  });
}

/** The VM takes the first address, asks the EPMD there, and dials that very address. */
function hostWay(family: Family, addresses: readonly string[], input: WaysInput): Way {
  const { settings, host, endpoints, isLocal, ownAddresses } = input;
  const [address = ""] = addresses;
  const asks = hostPort(address, settings.port);
  if (settings.connectNative && !isLocal) {
    const [first] = endpoints;
    // The srv-epmd here answers at its loopback address with the port of a relay.
    if (first && isLoopback(address) && !cidrContains(settings.gatewayRange, address)) {
      return { way: "host", family, asks, dials: hostPort(first.address, first.port), byConnect: true };
    }
    const reason = "with --connect-native nodes are reached by relays here, and it would dial another machine";
    if (first && !isLoopback(address)) return { way: "host", family, asks, reason };
  }
  if (cidrContains(settings.gatewayRange, address)) {
    return { way: "host", family, asks, reason: `${host} resolves to a gateway address here` };
  }
  const livesThere = isLocal && (isLoopback(address) || ownAddresses.includes(address));
  const endpoint = livesThere ? endpoints[0] : endpoints.find((one) => one.address === address);
  if (endpoint) return { way: "host", family, asks, dials: hostPort(address, endpoint.port) };
  const elsewhere = endpoints.map((one) => hostPort(one.address, one.port)).join(", ");
  const reason = endpoints.length > 0 ? `the node is at ${elsewhere}, and it would dial ${address}` : "not found";
  return { way: "host", family, asks, reason };
}

function gatewayWay({ settings, host, hostsEntries, hostAddresses }: WaysInput): Way {
  const none = (reason: string): Way => ({ way: "gateway", reason });
  if (host === "localhost" || familyOf(host) !== undefined) return none(`no loopback address stands for ${host}`);
  const addresses = new GatewayAddresses(settings.gatewayRange);
  for (const pair of hostsEntries) addresses.add(pair);
  const inUse = hostAddresses.find((address) => addresses.contains(address));
  const domains = gatewayDomains(settings);
  const known = inUse ?? addresses.addressOf(host);
  if (known === undefined && !isGatewayHost(domains, host)) {
    const why =
      domains.length === 0
        ? "where the daemon is a gateway, give its --domain or --gateway-domain"
        : `it has those of ${domains.join(", ")}`;
    return none(`no loopback address is known for ${host}: ${why}`);
  }
  const address = known ?? addresses.assign(host);
  if (address === undefined) return none("--gateway-range has no room");
  const asks = hostPort(address, settings.port);
  if (inUse !== undefined) return { way: "gateway", asks, dials: address };
  return { way: "gateway", asks, reason: `${host} does not resolve to ${address} here: no gateway is in use` };
}

const VM: Record<Way["way"], string> = {
  module: "a VM with -epmd_module srv_epmd",
  host: "a stock VM",
  gateway: "a stock VM behind the gateway",
};

/** A text for each way; those that have one reason for leading nowhere share it. */
export function waysWords(ways: readonly Way[]): string[] {
  const alike = grouped(ways, ({ way, family, asks, dials, reason }) =>
    JSON.stringify(dials === undefined ? [way, asks, reason] : [way, asks, dials, family]),
  );
  return Array.from(alike.values(), ([first, ...others]) => {
    const families = [first, ...others].flatMap(({ family }) => (family === undefined ? [] : [`IPv${family}`]));
    return describeWay(first, families);
  });
}

/** `module, IPv4: a VM with -epmd_module srv_epmd dials 10.1.2.4:20002` */
export const wayWords = (way: Way): string => describeWay(way, way.family === undefined ? [] : [`IPv${way.family}`]);

function describeWay({ way, asks, dials, byConnect, reason }: Way, families: readonly string[]): string {
  const head = families.length === 0 ? way : `${way}, ${families.join(" and ")}`;
  const asking = asks === undefined ? "" : `asks the EPMD at ${asks} and `;
  if (dials !== undefined && byConnect) {
    return `${head}: ${VM[way]} ${asking}dials a relay here, which makes mutual TLS of Consul Connect with ${dials}`;
  }
  if (dials !== undefined) {
    const relay = way === "gateway" ? ", where a relay leads to the node" : "";
    return `${head}: ${VM[way]} ${asking}dials ${dials}${relay}`;
  }
  if (way === "gateway") return `${head}: ${reason}`;
  return `${head}: ${VM[way]} ${asking}reaches nothing: ${reason}`;
}
