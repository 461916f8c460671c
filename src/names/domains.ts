import type { DomainRule } from "../config/network-values.js";
import { familyOf, isLoopback } from "../net/ip.js";
import type { Glob } from "../text.js";
import { isHelperName, type NodeName } from "./node-name.js";
import { isNomadHost, NOMAD_DOMAIN, parseNomadService } from "./nomad-domain.js";

/**
 * Expands a host part as it is written in a node name: a word without a dot is a service.
 * @param serviceDomain what stands behind the service, see serviceDomainOf
 * @param keep names that stay as they are: `localhost` and the machine's own, lower case
 */
export function expandHost(host: string, serviceDomain: string, keep: ReadonlySet<string>): string {
  if (host.includes(".") || familyOf(host) !== undefined || keep.has(host)) return host;
  return `${host}.${serviceDomain}`;
}

/** A domain as it is written in --domain, fully qualified; `localhost` is no service. */
export function qualifiedDomain(domain: string, consulDomain: string): string {
  return expandHost(domain, `service.${consulDomain}`, new Set(["localhost"]));
}

/**
 * The domain of the services that are written as a word: `service.consul`. Where each --domain is Nomad's, it is Nomad's,
 * in the namespace of the first: `service.nomad`, `prod.service.nomad`.
 */
export function serviceDomainOf({ domain, consulDomain }: Pick<DomainSettings, "domain" | "consulDomain">): string {
  const [first] = domain;
  if (!first || !domain.every((rule) => isNomadHost(rule.domain, consulDomain))) return `service.${consulDomain}`;
  const namespace = parseNomadService(first.domain, consulDomain)?.namespace;
  return namespace === undefined ? NOMAD_DOMAIN : `${namespace}.${NOMAD_DOMAIN}`;
}

/** Whether a name is a domain or lies under it; both lower case, without trailing dot. */
export function isUnder(name: string, domain: string): boolean {
  return name === domain || name.endsWith(`.${domain}`);
}

/** The domain under which an alive name is looked up and published: the first rule that matches. */
export function domainOf(aliveName: string, rules: readonly DomainRule[]): string | undefined {
  return rules.find((rule) => rule.glob.matches(aliveName))?.domain;
}

/** The values of `{name}`, `{host}` and `{service}` for a node. The service is the first label of the host. */
export function partsOf({ aliveName, host }: { readonly aliveName: string; readonly host: string }) {
  return { name: aliveName, host, service: host.split(".", 1)[0] ?? host };
}

/** A domain under Consul's, taken apart: `n1.svc.service.dc1.consul` is tag prefix `n1`, service `svc`, datacenter `dc1`. */
export interface ServiceDomain {
  readonly service: string;
  /** Labels before the service: part of the tag (a tag may have several labels). */
  readonly tagSuffix: string | undefined;
  readonly datacenter: string | undefined;
}

/** The kind of a name under Consul's domain: a service, or something under which no node can be published. */
type ConsulName =
  | ({ readonly kind: "service" } & ServiceDomain)
  | { readonly kind: "other" /** What it is, and why nodes cannot be under it. */; readonly reason: string };

/** Undefined when the domain is not `svc.service[.dc].<consul-domain>` or a longer form of it. */
export function parseServiceDomain(domain: string, consulDomain: string): ServiceDomain | undefined {
  const name = readConsulName(domain, consulDomain);
  if (name?.kind !== "service") return undefined;
  const { service, tagSuffix, datacenter } = name;
  return { service, tagSuffix, datacenter };
}

/** The other labels by which Consul's DNS dispatches a query (agent/dns.go, dispatch), beside `service`. */
const OTHER_KINDS: ReadonlyMap<string, string> = new Map([
  ["connect", "the Connect proxies of a service, whatever the node behind each is"],
  ["virtual", "the virtual address of a service, without a port"],
  ["ingress", "the ingress gateways of a service"],
  ["node", "a machine, which has addresses and no ports"],
  ["query", "a prepared query, which Consul answers from services"],
  ["addr", "an address that is written in the name"],
]);

/** Reads a name as Consul's DNS does; undefined when it is not under Consul's domain. */
export function readConsulName(domain: string, consulDomain: string): ConsulName | undefined {
  const other = (reason: string): ConsulName => ({ kind: "other", reason });
  if (domain === consulDomain) return other("it is Consul's whole domain");
  if (!domain.endsWith(`.${consulDomain}`)) return undefined;
  const labels = domain.slice(0, -consulDomain.length - 1).split(".");
  // The last such label counts: `svc.service.node.consul` is a machine called svc.service.
  const at = labels.findLastIndex((label) => label === "service" || OTHER_KINDS.has(label));
  const kind = labels[at];
  if (kind === undefined)
    return other(`there is no .service. in it: was ${labels.at(-1)}.service.${consulDomain} meant?`);
  if (kind !== "service") return other(`.${kind}. is for ${OTHER_KINDS.get(kind)}`);
  const service = labels[at - 1];
  if (service === undefined) return other("it names no service");
  if (service.startsWith("_")) {
    return other(
      "it is the form of RFC 2782, whose labels are the service and its tag, with no room for a node's name",
    );
  }
  const place = readPlace(labels.slice(at + 1));
  if (typeof place === "string") return other(place);
  return { kind: "service", service, tagSuffix: labels.slice(0, at - 1).join(".") || undefined, ...place };
}

/** Reads the labels behind `.service.`: none, a datacenter, or pairs such as `dc1.dc`. @returns a reason where no node can be published there */
function readPlace(labels: readonly string[]): { readonly datacenter: string | undefined } | string {
  if (labels.length < 2) return { datacenter: labels[0] };
  let datacenter: string | undefined;
  for (let i = 0; i < labels.length; i += 2) {
    const [value = "", key] = labels.slice(i, i + 2);
    switch (key) {
      case "dc":
        datacenter = value;
        break;
      // Ignored: an agent registers services in its own partition.
      case "ap":
        break;
      case "ns":
        if (value !== "default") return `nodes are registered without a namespace, and this is the namespace ${value}`;
        break;
      case "peer":
        return `it is a service of another cluster (the peer ${value}), where other daemons publish its nodes`;
      case "sg":
        return `it is a service of the sameness group ${value}, and Consul chooses the cluster`;
      default:
        return `what stands behind .service. is neither a datacenter nor pairs such as dc1.dc: ${labels.join(".")}`;
    }
  }
  return { datacenter };
}

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

/** The Consul services under which nodes here may be published: --service, else those of the domains. */
export function ownServices({
  domain,
  publishNode,
  service,
  consulDomain,
}: Pick<DomainSettings, "domain" | "publishNode" | "service" | "consulDomain">): string[] {
  if (service !== undefined) return [service];
  const written = [...domain.map((rule) => rule.domain), ...publishNode.flatMap(({ host }) => host ?? [])];
  const services = written.flatMap((host) => {
    return parseServiceDomain(qualifiedDomain(host, consulDomain), consulDomain)?.service ?? [];
  });
  return Array.from(new Set(services));
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
interface OwnNames {
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
    return expandHost(host, serviceDomainOf(this.#settings), this.#machine.names);
  }

  /**
   * Whether a host is a relative name, to which the search list of resolv.conf applies. Only a name that a user wrote can
   * be one; names that we composed, and names under the domains that we know, are absolute.
   */
  isRelative({ aliveName, host, absolute }: NodeName): boolean {
    if (host === undefined || absolute || familyOf(host) !== undefined) return false;
    const expanded = this.expand(host);
    if (isNomadHost(expanded, this.#settings.consulDomain)) return false;
    const known = [this.#settings.consulDomain, this.of(aliveName)].filter((domain) => domain !== undefined);
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
