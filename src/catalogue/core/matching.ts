import { isAliveName } from "../../config/network-values.js";
import type { RegisteredNode, Registry } from "../../epmd/core/registry.js";
import type { NamedPort } from "../../epmd/wire/messages.js";
import { ConfigError } from "../../errors.js";
import {
  type DomainSettings,
  type Domains,
  expandHost,
  parseServiceDomain,
  qualifiedDomain,
  type ServiceDomain,
} from "../../names/domains.js";
import { formatNodeName, parseNamePattern } from "../../names/node-name.js";
import type { Glob } from "../../text.js";
import { compare, type ListedNode, nodesOfService, type ServiceInstance } from "./instances.js";

/** A question for nodes of a Consul service. */
export interface AskedService {
  readonly glob: Glob;
  /** Expanded: `svc.service.consul` */
  readonly host: string;
  readonly domain: ServiceDomain;
}

/** The service of a pattern such as `node_*@svc`. @param ownNames `localhost` and the machine's, which are no services @throws ConfigError */
export function serviceOfPattern(pattern: string, consulDomain: string, ownNames: ReadonlySet<string>): AskedService {
  const { glob, host } = parseNamePattern(pattern);
  return asked(glob, expandHost(host, consulDomain, ownNames), consulDomain);
}

/** The services of `--domain`, each with its glob. @throws ConfigError for a domain that is not under Consul's */
export function servicesOfDomains({
  domain,
  consulDomain,
}: Pick<DomainSettings, "domain" | "consulDomain">): AskedService[] {
  return domain.map(({ glob, domain: written }) => asked(glob, qualifiedDomain(written, consulDomain), consulDomain));
}

function asked(glob: Glob, host: string, consulDomain: string): AskedService {
  const domain = parseServiceDomain(host, consulDomain);
  if (domain) return { glob, host, domain };
  throw new ConfigError("CONFIG_VALUE", `${host} is no service of Consul: it is not <service>.service.${consulDomain}`);
}

/**
 * The nodes alive here that are listed for a host.
 * @param hostOf the host part of the full name of a node; undefined: the node has another host
 * @param portOf the port that the client would dial; undefined: it cannot reach the node
 */
export function nodesAlive(
  nodes: readonly RegisteredNode[],
  hostOf: (aliveName: string) => string | undefined,
  portOf: (node: RegisteredNode) => number | undefined,
): ListedNode[] {
  return nodes.flatMap((node) => {
    const { aliveName } = node;
    // A name with spaces or an `@` would break the lines of the answer.
    const host = isAliveName(aliveName) ? hostOf(aliveName) : undefined;
    const port = host === undefined ? undefined : portOf(node);
    return host === undefined || port === undefined ? [] : [{ aliveName, host, port }];
  });
}

/** The nodes that match, sorted, once for each full name. Earlier lists take precedence. */
export function matchNodes(glob: Glob, ...lists: readonly (readonly ListedNode[])[]): NamedPort[] {
  const found = new Map<string, number>();
  for (const node of lists.flat()) {
    const name = formatNodeName(node);
    if (!found.has(name) && glob.matches(node.aliveName)) found.set(name, node.port);
  }
  return Array.from(found, ([name, port]) => ({ name, port })).sort((a, b) => compare(a.name, b.name));
}

interface MatchingDeps {
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
type Match = (pattern: string, sameHost: boolean) => readonly NamedPort[] | Promise<readonly NamedPort[]>;

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
