import { isAliveName } from "../../config/network-values.js";
import type { RegisteredNode, Registry } from "../../epmd/core/registry.js";
import type { NamedPort } from "../../epmd/wire/messages.js";
import { ConfigError } from "../../errors.js";
import {
  type DomainSettings,
  type Domains,
  expandHost,
  isLeftOut,
  parseServiceDomain,
  qualifiedDomain,
  type ServiceDomain,
  serviceDomainOf,
} from "../../names/domains.js";
import { formatNodeName, hostPartOf, isHelperName, parseNamePattern } from "../../names/node-name.js";
import { type NomadService, parseNomadService, readNomadName } from "../../names/nomad-domain.js";
import type { Glob } from "../../text.js";
import type { CatalogueQuery } from "./backend.js";
import { compare, type ListedNode, nodesOfService, type ServiceInstance } from "./instances.js";

/** A question for nodes of a service, and whose it is. */
export type AskedService = {
  readonly glob: Glob;
  /** Expanded: `svc.service.consul` */
  readonly host: string;
} & AskedDomain;

type AskedDomain =
  | { readonly catalogue: "consul"; readonly domain: ServiceDomain }
  | { readonly catalogue: "nomad"; readonly domain: NomadService };

/** The service of a pattern such as `node_*@svc`. @param ownNames `localhost` and the machine's, which are no services @throws ConfigError */
export function serviceOfPattern(
  pattern: string,
  settings: Pick<DomainSettings, "domain" | "consulDomain">,
  ownNames: ReadonlySet<string>,
): AskedService {
  const { glob, host } = readPattern(pattern, settings, ownNames);
  return asked(glob, host, settings.consulDomain);
}

/** A pattern with its host expanded. @param ownNames as of serviceOfPattern */
export function readPattern(
  pattern: string,
  settings: Pick<DomainSettings, "domain" | "consulDomain">,
  ownNames: ReadonlySet<string>,
): { readonly glob: Glob; readonly host: string } {
  const { glob, host } = parseNamePattern(pattern);
  return { glob, host: expandHost(host, serviceDomainOf(settings), ownNames) };
}

/** Undefined for a host that stands for no service of Consul's or Nomad's. */
export function readService(host: string, consulDomain: string): AskedDomain | undefined {
  const nomads = parseNomadService(host, consulDomain);
  if (nomads) return { catalogue: "nomad", domain: nomads };
  const domain = parseServiceDomain(host, consulDomain);
  return domain && { catalogue: "consul", domain };
}

/**
 * Whether a VM that has this name is published under a service, if its srv-epmd has these settings: helpers, and what
 * --publish leaves out, are not.
 */
export function isPublishedUnder(
  node: string,
  { glob, host }: Pick<AskedService, "glob" | "host">,
  settings: Pick<DomainSettings, "publish">,
): boolean {
  const aliveName = node.slice(0, node.indexOf("@"));
  const isOfHost = hostPartOf(node).toLowerCase() === host && glob.matches(aliveName);
  return isOfHost && !isHelperName(aliveName) && !isLeftOut(aliveName, settings);
}

/** The services of `--domain`, each with its glob. @throws ConfigError for a domain that is neither Consul's nor Nomad's */
export function servicesOfDomains({
  domain,
  consulDomain,
}: Pick<DomainSettings, "domain" | "consulDomain">): AskedService[] {
  return domain.map(({ glob, domain: written }) => asked(glob, qualifiedDomain(written, consulDomain), consulDomain));
}

function asked(glob: Glob, host: string, consulDomain: string): AskedService {
  const service = readService(host, consulDomain);
  if (service) return { glob, host, ...service };
  const nomads = readNomadName(host, consulDomain);
  throw new ConfigError(
    "CONFIG_VALUE",
    nomads?.kind === "other"
      ? `${host} is no service of Nomad: ${nomads.reason}`
      : `${host} is no service of Consul: it is not <service>.service.${consulDomain}`,
  );
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
  /** The instances of a service in each catalogue; undefined when nothing is known. Never reject. */
  readonly instances: Readonly<
    Record<
      AskedDomain["catalogue"],
      (query: CatalogueQuery, limit: number) => Promise<readonly ServiceInstance[] | undefined>
    >
  >;
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
    const service = readService(host, consulDomain);
    // Read when the answer is made: a node that has ended meanwhile is not listed.
    const alive = () =>
      nodesAlive(
        registry.nodes(),
        (aliveName) => domains.listedHost(aliveName, host),
        (node) => (sameHost ? node.port : deps.advertisedPort(node)),
      );
    if (!service || domains.isMachine(host) || zoneDomains.includes(host)) return matchNodes(glob, alive());
    const { catalogue, domain } = service;
    return deps.instances[catalogue](domain, timeout).then((instances = []) =>
      matchNodes(glob, alive(), nodesOfService(instances, { host, domain }, deps)),
    );
  };
}
