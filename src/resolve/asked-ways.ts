import { Resolver } from "node:dns/promises";
import { ipPort } from "../config/network-values.js";
import { portPlease } from "../epmd/client.js";
import { describeError } from "../errors.js";
import { canonicalIp, familyOf, hostPort } from "../net/ip.js";
import { addressesInHosts } from "../os/core/hosts-file.js";
import type { Way } from "./core/ways-in.js";

const parsePlace = ipPort(undefined);

/**
 * The ways of stock VMs, checked with the EPMD on each: it may not serve this machine, not know the node, or have no relay
 * process. Never rejects.
 */
export async function askedWays(ways: readonly Way[], aliveName: string, options: AskedWaysOptions): Promise<Way[]> {
  return Promise.all(ways.map((way) => askedWay(way, aliveName, options)));
}

interface AskedWaysOptions {
  /** Milliseconds. */
  readonly timeout: number;
  /** `--fallback` of the srv-epmd here; it does not answer by that where a srv-epmd asks, as this question then says. */
  readonly fallback: readonly unknown[];
}

async function askedWay(way: Way, aliveName: string, { timeout, fallback }: AskedWaysOptions): Promise<Way> {
  const { dials, asks, ...rest } = way;
  if (dials === undefined || asks === undefined) return way;
  const none = (reason: string): Way => ({ ...rest, asks, reason });
  const epmd = parsePlace(asks);
  try {
    // Else it would count as a look-up of a VM here.
    const forwarded = fallback.length === 0;
    const answer = await portPlease(epmd, aliveName, { timeout, forwarded });
    if (!answer) return none(`the EPMD at ${asks} gives no port for ${aliveName}`);
    const told = hostPort(epmd.address, answer.port);
    if (way.byConnect) return way;
    // Only that EPMD knows the port of a relay.
    if (way.way === "gateway" || told === dials) return { ...way, dials: told };
    return none(`the EPMD at ${asks} gives port ${answer.port}, and the node is at ${dials}`);
  } catch (error) {
    return none(describeError(error));
  }
}

/**
 * Addresses of a host as a VM on this machine gets them: from /etc/hosts, else from the servers of resolv.conf, not those
 * of `--dns`. Never rejects. (getaddrinfo(3) cannot be aborted: a silent server would keep the process from ending.)
 * @param hostsText contents of /etc/hosts
 * @param timeout milliseconds
 */
export async function hostAddresses(host: string, hostsText: string, timeout: number): Promise<string[]> {
  if (familyOf(host) !== undefined) return [host];
  const written = addressesInHosts(hostsText, host);
  if (written.length > 0) return written;
  const resolver = new Resolver({ timeout, tries: 1 });
  const timer = setTimeout(() => resolver.cancel(), timeout);
  try {
    const answers = await Promise.allSettled([resolver.resolve4(host), resolver.resolve6(host)]);
    return answers
      .flatMap((answer) => (answer.status === "fulfilled" ? answer.value : []))
      .flatMap((address) => canonicalIp(address) ?? []);
  } finally {
    clearTimeout(timer);
  }
}
