import { Resolver } from "node:dns/promises";
import { addressesInHosts } from "../core/hosts-file.js";
import { canonicalIp, familyOf } from "../core/ip.js";

/**
 * Addresses of a host as a VM on this machine gets them: from /etc/hosts, else from the servers of resolv.conf, those of
 * `--dns` aside. Never rejects. (Not getaddrinfo(3): it cannot be given up, and a silent server would keep the process.)
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
