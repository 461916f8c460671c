import { list, record, text } from "../../api/core/json.js";
import type { IpPort } from "../../config/network-values.js";
import { canonicalIp, familyOf, isLoopback, isWildcard } from "../../net/ip.js";

/** What an agent says of its own DNS. */
export interface ToldDns {
  /** Where it listens over UDP, as the agent has it: a wildcard, or a loopback address of the agent's machine, among them. Empty: nowhere. */
  readonly listens: readonly IpPort[];
  /** The domains that it answers for: `domain` and `alt_domain` of its configuration. */
  readonly domains: readonly string[];
}

/** Where the agent's DNS listens unless its configuration says otherwise (`ports.dns`). */
export const CONSUL_DNS_PORT = 8600;

/** GET /v1/agent/self (agent/config/runtime.go, in DebugConfig); undefined: it does not say. */
export function parseAgentDns(body: unknown): ToldDns | undefined {
  const config = record(record(body)?.DebugConfig);
  // null: ports.dns is -1.
  if (!config || !(Array.isArray(config.DNSAddrs) || config.DNSAddrs === null)) return undefined;
  const listens = list(config.DNSAddrs).flatMap((place) => {
    const [, bracketed, plain, port] = /^udp:\/\/(?:\[([^\]]*)\]|([^:]*)):([0-9]{1,5})$/.exec(text(place)) ?? [];
    const address = canonicalIp(bracketed ?? plain ?? "");
    return address === undefined ? [] : [{ address, port: Number(port) }];
  });
  const domains = [config.DNSDomain, config.DNSAltDomain].map((name) => text(name).toLowerCase().replace(/\.$/, ""));
  return { listens, domains: domains.filter((name) => name !== "") };
}

/** Host name or IP literal in the agent's URL; empty for a Unix socket. */
export function agentHost(consul: string): string {
  return consul.startsWith("http") ? new URL(consul).hostname.replaceAll(/[[\]]/g, "") : "";
}

/**
 * Where the agent's DNS is reached from here. Its wildcard is the address at which it is asked over HTTP, and its loopback
 * is ours only where it runs on this machine.
 * @param consul the URL of the agent
 * @param isOwn whether an address is one of this machine's
 */
export function reachedAt(
  { listens }: Pick<ToldDns, "listens">,
  consul: string,
  isOwn: (address: string) => boolean,
): IpPort[] {
  const host = agentHost(consul);
  const literal = host === "" || host === "localhost" ? "127.0.0.1" : canonicalIp(host);
  const isHere = literal !== undefined && (isLoopback(literal) || isOwn(literal));
  const places = listens.flatMap(({ address, port }): IpPort[] => {
    if (!isWildcard(address)) return isLoopback(address) && !isHere ? [] : [{ address, port }];
    if (literal === undefined) return [];
    // 0.0.0.0 does not accept IPv6.
    const reached = address === "0.0.0.0" && familyOf(literal) === 6 ? (isHere ? "127.0.0.1" : undefined) : literal;
    return reached === undefined ? [] : [{ address: reached, port }];
  });
  return places.filter((one, index) => index === places.findIndex((other) => isSame(one, other)));
}

function isSame(one: IpPort, other: IpPort): boolean {
  return one.address === other.address && one.port === other.port;
}
