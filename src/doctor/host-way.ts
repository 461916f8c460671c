import type { Config } from "../config/config.js";
import { portPlease } from "../epmd/client.js";
import { describeError } from "../errors.js";
import { isMeshed } from "../mesh/core/upstreams.js";
import { parseServiceDomain } from "../names/domains.js";
import { isNomadHost } from "../names/nomad-domain.js";
import type { Endpoint } from "../net/endpoint.js";
import { cidrContains, familyOf, hostPort } from "../net/ip.js";
import { linesInHosts } from "../os/core/hosts-file.js";
import { readHostsFile } from "../os/hosts-file.js";
import { hostAddresses } from "../resolve/asked-ways.js";
import type { Resolution } from "../resolve/core/resolution.js";

/** Of a host, and of the EPMD of another machine. Milliseconds. */
const TIMEOUT = 2_000;

/** The node that is asked for. */
interface Wanted {
  readonly aliveName: string;
  readonly host: string;
}

/** An EPMD that a stock VM here asks for the node: at the address of its host. */
export interface AskedEpmd {
  readonly address: string;
  /** Line of /etc/hosts from which the address is; undefined: from DNS, or the host is the address. */
  readonly line: number | undefined;
  /** The port that it gives. */
  readonly port?: number;
  /** Why it gives none. */
  readonly reason?: string;
  /** It answers this machine, and does not have the node. */
  readonly isAbsent?: boolean;
}

/** Stock VMs find a node by such a host: those of Consul's services and of Nomad's have SRV records or entries. */
export function isForStock(host: string, config: Config): boolean {
  const isOfCatalogue = parseServiceDomain(host, config.consulDomain) || isNomadHost(host, config.consulDomain);
  return !isOfCatalogue && host !== "localhost" && !isMeshed(config) && !config.connectNative;
}

/**
 * Asks for a node as a stock VM here does: at the first address of each family that this machine has for its host. Undefined
 * where that is not the way to it. Never rejects.
 */
export async function lookByHost(
  { host, aliveName }: Wanted,
  config: Config,
): Promise<readonly AskedEpmd[] | undefined> {
  if (!isForStock(host, config)) return undefined;
  const text = await readHostsFile();
  const addresses = (await hostAddresses(host, text, TIMEOUT)).filter(
    (address) => !cidrContains(config.gatewayRange, address),
  );
  const firsts = ([4, 6] as const).flatMap((family) => addresses.find((one) => familyOf(one) === family) ?? []);
  const lines = linesInHosts(text, host);
  return Promise.all(
    firsts.map(async (address): Promise<AskedEpmd> => {
      const line = lines.find((one) => one.address === address)?.line;
      return { address, line, ...(await askEpmd(address, aliveName, config.port)) };
    }),
  );
}

/** Asks an EPMD for the port of a node. Never rejects. */
export async function askEpmd(
  address: string,
  aliveName: string,
  port: number,
): Promise<{ readonly port: number } | { readonly reason: string; readonly isAbsent?: boolean }> {
  try {
    const answer = await portPlease({ address, port }, aliveName, { timeout: TIMEOUT });
    return answer ? { port: answer.port } : { reason: `it has no node ${aliveName}`, isAbsent: true };
  } catch (error) {
    return { reason: describeError(error) };
  }
}

/** Where those EPMDs lead; undefined where none gives a port. */
export function foundByHost(asked: readonly AskedEpmd[], host: string): Resolution | undefined {
  const endpoints = asked.flatMap(({ address, port }): Endpoint[] => {
    if (port === undefined) return [];
    return [{ address, port, family: familyOf(address) ?? 4, priority: 0, weight: 0, target: host }];
  });
  if (endpoints.length === 0) return undefined;
  return { outcome: "found", source: "fallback", endpoints, ttl: 0, stale: false };
}

/** `the EPMD at 10.0.0.2:4369 (/etc/hosts, line 3) gives port 9100` */
export function epmdWords({ address, line, port, reason }: AskedEpmd, epmdPort: number): string {
  const from = line === undefined ? "" : ` (/etc/hosts, line ${line})`;
  const said = port === undefined ? `gives no port: ${reason}` : `gives port ${port}`;
  return `the EPMD at ${hostPort(address, epmdPort)}${from} ${said}`;
}
