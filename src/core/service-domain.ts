import { familyOf } from "./ip.js";
import type { DomainRule } from "./network-values.js";

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

/** What `{name}`, `{host}` and `{service}` stand for where a node is looked up: the service is the first label of the host. */
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

/** Undefined when the domain is not `svc.service[.dc].<consul-domain>`. */
export function parseServiceDomain(domain: string, consulDomain: string): ServiceDomain | undefined {
  if (!domain.endsWith(`.${consulDomain}`)) return undefined;
  const labels = domain.slice(0, -consulDomain.length - 1).split(".");
  const at = labels.lastIndexOf("service");
  const service = labels[at - 1];
  if (at < 1 || service === undefined || labels.length - at > 2) return undefined;
  return { service, tagSuffix: labels.slice(0, at - 1).join(".") || undefined, datacenter: labels[at + 1] };
}
