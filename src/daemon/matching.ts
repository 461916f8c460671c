import { matchNodes, nodesAlive, nodesOfService, type ServiceInstance } from "../consul/core/catalogue.js";
import type { RegisteredNode, Registry } from "../epmd/core/registry.js";
import type { NamedPort } from "../epmd/wire/messages.js";
import { type Domains, parseServiceDomain } from "../names/domains.js";
import { parseNamePattern } from "../names/node-name.js";

export interface MatchingDeps {
  readonly consulDomain: string;
  readonly nodeHost: string | undefined;
  /** Milliseconds for an answer of Consul's. */
  readonly timeout: number;
  readonly domains: Domains;
  readonly registry: Registry;
  /** Domains of the embedded zone, which has the nodes alive here and no others. */
  readonly zoneDomains: readonly string[];
  /** The instances of a service in Consul; undefined when nothing is known. Never rejects. */
  readonly instances: (
    query: { readonly service: string; readonly datacenter: string | undefined },
    limit: number,
  ) => Promise<readonly ServiceInstance[] | undefined>;
  /** Port at which others reach a node that lives here; undefined when nobody can. */
  readonly advertisedPort: (node: RegisteredNode) => number | undefined;
}

/**
 * The nodes that match a pattern, sorted by full name: those alive here, and those that Consul has under the host.
 * @param sameHost the client is on this machine
 * @throws ValueError when the text is no pattern
 */
export type Match = (pattern: string, sameHost: boolean) => readonly NamedPort[] | Promise<readonly NamedPort[]>;

export function createMatching(deps: MatchingDeps): Match {
  const { consulDomain, domains, registry, zoneDomains, timeout } = deps;
  return (pattern, sameHost) => {
    const { glob, host: written } = parseNamePattern(pattern);
    const host = domains.expand(written);
    const domain = parseServiceDomain(host, consulDomain);
    // Read when the answer is made: a node that has ended meanwhile is not listed.
    const alive = () =>
      nodesAlive(
        registry.nodes(),
        (aliveName) => domains.listedHost(aliveName, host),
        (node) => (sameHost ? node.port : deps.advertisedPort(node)),
      );
    if (!domain || domains.isMachine(host) || zoneDomains.includes(host)) return matchNodes(glob, alive());
    return deps
      .instances(domain, timeout)
      .then((instances = []) => matchNodes(glob, alive(), nodesOfService(instances, { host, domain }, deps)));
  };
}
