import type { Config } from "../config/config.js";
import {
  type AskedHost,
  matchNodes,
  nodesAlive,
  nodesOfService,
  type ServiceInstance,
} from "../consul/core/catalogue.js";
import type { RegisteredNode, Registry } from "../epmd/core/registry.js";
import type { NamedPort } from "../epmd/wire/messages.js";
import { parseNamePattern } from "../names/node-name.js";
import { expandHost, parseServiceDomain } from "../names/service-domain.js";
import { isLoopback } from "../net/ip.js";
import type { Machine } from "../os/machine.js";

export interface MatchingDeps {
  readonly config: Config;
  readonly machine: Machine;
  readonly registry: Registry;
  /** Domains of the embedded zone, which holds the nodes alive here and none besides. */
  readonly zoneDomains: readonly string[];
  /** What Consul says of a service; undefined when nothing is known. Never rejects. */
  readonly instances: (
    query: { readonly service: string; readonly datacenter: string | undefined },
    limit: number,
  ) => Promise<readonly ServiceInstance[] | undefined>;
  /** Port at which others reach a node that lives here; undefined when nobody can. */
  readonly advertisedPort: (node: RegisteredNode) => number | undefined;
}

/**
 * The nodes that match a pattern, sorted by full name: those alive here, and those that Consul has under the host.
 * @param sameHost the one who asks is on this machine
 * @throws ValueError for what is no pattern
 */
export type Match = (pattern: string, sameHost: boolean) => readonly NamedPort[] | Promise<readonly NamedPort[]>;

export function createMatching(deps: MatchingDeps): Match {
  const { config, machine, registry, zoneDomains } = deps;
  return (pattern, sameHost) => {
    const { glob, host: written } = parseNamePattern(pattern);
    const host = expandHost(written, config.consulDomain, machine.names);
    const asked: AskedHost = {
      host,
      domain: parseServiceDomain(host, config.consulDomain),
      isMachine: machine.names.has(host) || isLoopback(host) || machine.addresses().includes(host),
    };
    const { domain } = asked;
    // Read when the answer is made: what has gone meanwhile is not alive here.
    const alive = () =>
      nodesAlive(registry.nodes(), asked, config, (node) => (sameHost ? node.port : deps.advertisedPort(node)));
    if (!domain || asked.isMachine || zoneDomains.includes(host)) return matchNodes(glob, alive());
    return deps
      .instances(domain, config.timeout)
      .then((instances = []) => matchNodes(glob, alive(), nodesOfService(instances, { host, domain }, config)));
  };
}
