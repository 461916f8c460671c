import type { DomainRule } from "../config/network-values.js";
import { familyOf } from "../net/ip.js";

/**
 * Expands a host part as it is written in a node name: a word without a dot is a Consul service.
 * @param keep names that stay as they are: `localhost` and the machine's own, lower case
 */
export function expandHost(host: string, consulDomain: string, keep: ReadonlySet<string>): string {
  if (host.includes(".") || familyOf(host) !== undefined || keep.has(host)) return host;
  return `${host}.service.${consulDomain}`;
}

/** A domain as it is written in --domain, fully qualified; `localhost` is no service. */
export function qualifiedDomain(domain: string, consulDomain: string): string {
  return expandHost(domain, consulDomain, new Set(["localhost"]));
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
export type ConsulName =
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
