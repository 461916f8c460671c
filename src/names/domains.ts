import type { DomainRule } from "../config/network-values.js";
import { familyOf, isLoopback } from "../net/ip.js";
import type { Glob } from "./glob.js";
import { isHelperName } from "./helper-names.js";
import type { NodeName } from "./node-name.js";
import { domainOf, expandHost, isUnder, parseServiceDomain, qualifiedDomain } from "./service-domain.js";

/** The options that decide under which domain a node is looked up and published. */
export interface DomainSettings {
  readonly domain: readonly DomainRule[];
  readonly consulDomain: string;
  readonly publishNode: readonly { readonly aliveName: string; readonly host: string | undefined }[];
  readonly nodeHost: string | undefined;
  readonly service: string | undefined;
  readonly publish: readonly Glob[];
}

/** The domain under which an alive name is looked up and published, fully qualified. */
export function nodeDomain(
  aliveName: string,
  { domain: rules, consulDomain, publishNode }: Pick<DomainSettings, "domain" | "consulDomain" | "publishNode">,
): string | undefined {
  const configured = publishNode.find((node) => node.aliveName === aliveName)?.host;
  const domain = configured ?? domainOf(aliveName, rules);
  return domain === undefined ? undefined : qualifiedDomain(domain, consulDomain);
}

/**
 * Whether --publish excludes a name. A look-up of the name under a service then means a node elsewhere, not the one here.
 * --publish never excludes a helper, because no other node has its name.
 */
export function isLeftOut(aliveName: string, { publish }: Pick<DomainSettings, "publish">): boolean {
  return publish.length > 0 && !publish.some((glob) => glob.matches(aliveName)) && !isHelperName(aliveName);
}

/** Domains of `--domain`, fully qualified, without addresses. */
export function servedDomains({ domain, consulDomain }: Pick<DomainSettings, "domain" | "consulDomain">): string[] {
  const domains = domain.map((rule) => qualifiedDomain(rule.domain, consulDomain));
  return Array.from(new Set(domains.filter((served) => familyOf(served) === undefined)));
}

/** The Consul service of an alive name: --service, else the one in its domain. */
export function serviceOf(
  aliveName: string,
  settings: Omit<DomainSettings, "publish" | "nodeHost">,
): string | undefined {
  if (settings.service !== undefined) return settings.service;
  const domain = nodeDomain(aliveName, settings);
  return domain === undefined ? undefined : parseServiceDomain(domain, settings.consulDomain)?.service;
}

/** Host part of the full name of a node that is alive here. */
export function nodeHost(aliveName: string, settings: Omit<DomainSettings, "publish">): string | undefined {
  const host = settings.nodeHost ?? nodeDomain(aliveName, settings);
  if (host !== undefined) return host;
  return settings.service === undefined ? undefined : `${settings.service}.service.${settings.consulDomain}`;
}

/** What this machine is called, and its addresses at the time of the call. */
export interface OwnNames {
  /** Lower case. */
  readonly names: ReadonlySet<string>;
  readonly addresses: () => readonly string[];
}

/** Which hosts stand for which nodes, decided once from the options and the names of this machine. */
export class Domains {
  readonly #settings: DomainSettings;
  readonly #machine: OwnNames;

  constructor(settings: DomainSettings, machine: OwnNames) {
    this.#settings = settings;
    this.#machine = machine;
  }

  /** The domain under which an alive name is looked up and published, fully qualified. */
  of(aliveName: string): string | undefined {
    return nodeDomain(aliveName, this.#settings);
  }

  /** A host as it is written in a node name, in full: a word without a dot is a service, unless it names this machine. */
  expand(host: string): string {
    return expandHost(host, this.#settings.consulDomain, this.#machine.names);
  }

  /**
   * Whether a host is a relative name, to which the search list of resolv.conf applies. Only a name that a user wrote can
   * be one; names that we composed, and names under the domains that we know, are absolute.
   */
  isRelative({ aliveName, host, absolute }: NodeName): boolean {
    if (host === undefined || absolute || familyOf(host) !== undefined) return false;
    const known = [this.#settings.consulDomain, this.of(aliveName)].filter((domain) => domain !== undefined);
    const expanded = this.expand(host);
    return !known.some((domain) => isUnder(expanded, domain));
  }

  /** Whether a host is a name or an address of this machine. */
  isMachine(host: string): boolean {
    return this.#machine.names.has(host) || isLoopback(host) || this.#machine.addresses().includes(host);
  }

  /** Whether a host is ours for an alive name, so that the node here is the answer: `web@other.service.consul` is not. */
  isOurs(aliveName: string, host: string): boolean {
    const { nodeHost: written, consulDomain } = this.#settings;
    const own = written === undefined ? undefined : this.expand(written);
    const isOwn = host === own;
    // A --node-host that is no service is a name of this machine alone.
    if (this.isMachine(host) || (isOwn && parseServiceDomain(host, consulDomain) === undefined)) return true;
    return (isOwn || host === this.of(aliveName)) && !isLeftOut(aliveName, this.#settings);
  }

  /**
   * The host part with which NAMES lists a node that is alive here when the nodes of `host` are asked for; undefined when
   * it is not one of them. The node also belongs to its service, when that is looked up under another domain.
   */
  listedHost(aliveName: string, host: string): string | undefined {
    if (this.isMachine(host)) return host;
    const own = nodeHost(aliveName, this.#settings);
    if (own === undefined || isLeftOut(aliveName, this.#settings)) return undefined;
    if (host === this.of(aliveName) || host === this.expand(own)) return own;
    const asked = parseServiceDomain(host, this.#settings.consulDomain);
    const isWhole = asked !== undefined && asked.tagSuffix === undefined && asked.datacenter === undefined;
    return isWhole && asked.service === serviceOf(aliveName, this.#settings)?.toLowerCase() ? own : undefined;
  }
}
