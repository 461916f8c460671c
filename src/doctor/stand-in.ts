import type { Config } from "../config/config.js";
import type { ConsulClient } from "../consul/client.js";
import { agentDns } from "../consul/examine.js";
import { askKnowledge } from "../dns/ask-knowledge.js";
import { decidingServer, mayKnow } from "../dns/core/knowledge.js";
import type { NameServer } from "../dns/exchange.js";
import type { SetServers } from "../dns/name-servers.js";
import { isMeshed } from "../mesh/core/upstreams.js";
import { isUnder, servedDomains } from "../names/domains.js";
import type { Machine } from "../os/machine.js";
import { findAgentDns } from "../resolve/agent-dns.js";

interface StandInDeps {
  readonly config: Config;
  readonly machine: Pick<Machine, "addresses">;
  readonly connect: () => Promise<ConsulClient>;
  /** Rejects where the agent does not answer, which others have asked already. */
  readonly leader: () => Promise<unknown>;
  readonly setFor: (name: string) => Promise<SetServers>;
}

/**
 * The DNS of Consul's agent, where serve asks it because no name server that is set knows the domains; undefined: one
 * does, or the agent's cannot be asked. Never rejects.
 * @param hosts further domains that are asked for
 */
export async function findStandIn(
  hosts: readonly string[],
  { config, machine, connect, leader, setFor }: StandInDeps,
): Promise<NameServer | undefined> {
  if (isMeshed(config) || config.dnsListen) return undefined;
  const domain = [...servedDomains(config), ...hosts].find((one) => isUnder(one, config.consulDomain));
  if (domain === undefined) return undefined;
  const { servers, named } = await setFor(domain);
  // Who names a server for the domain means that one.
  if (named === "domain") return undefined;
  const deciding = decidingServer(await Promise.all(servers.map((server) => askKnowledge(server, domain))));
  if (deciding && mayKnow(deciding)) return undefined;
  try {
    await leader();
  } catch {
    return undefined;
  }
  const answer = await agentDns(connect);
  if (!answer.told) return undefined;
  const isOwn = (address: string) => machine.addresses().includes(address);
  return (await findAgentDns(domain, { settings: config, isOwn, agentDns: async () => answer, ask: askKnowledge }))
    .server;
}
