import type { Config } from "../../config/config.js";
import { qualifiedDomain, readConsulName } from "../../names/service-domain.js";
import { publishesToConsul } from "./publication.js";

/** A domain under Consul's that does not do what its user probably expects. */
export interface DomainDoubt {
  /** `unpublished`: no node is published under it. `dotted`: newer versions of Consul do not find its nodes. */
  readonly kind: "unpublished" | "dotted";
  /** What will not happen, and why. */
  readonly evidence: string;
  readonly advice: string;
}

/** Doubts about --domain and --publish-node. Empty where nothing is published, or the nodes are in the embedded zone. */
export function domainDoubts(config: Config): DomainDoubt[] {
  if (config.register === "none" || (config.register === undefined && config.dnsListen !== undefined)) return [];
  const written = [
    ...config.domain.map(({ domain }) => domain),
    ...config.publishNode.flatMap(({ host }) => host ?? []),
  ];
  return Array.from(new Set(written)).flatMap((domain) => doubtOf(domain, config) ?? []);
}

function doubtOf(written: string, config: Config): DomainDoubt | undefined {
  const { consulDomain, service } = config;
  const name = readConsulName(qualifiedDomain(written, consulDomain), consulDomain);
  if (!name) return undefined;
  if (name.kind === "other") {
    // With --service the nodes are published, whatever the domain is.
    if (service !== undefined && publishesToConsul(config)) return undefined;
    return {
      kind: "unpublished",
      evidence: `no node is published under ${written}, so others do not find those here by it: ${name.reason}`,
      advice: `give the nodes a service of their own (--domain svc.service.${consulDomain}), or --register none where nothing is to be published`,
    };
  }
  if (name.tagSuffix === undefined) return undefined;
  return {
    kind: "dotted",
    evidence: `${written} makes tags with a dot, such as rabbit.${name.tagSuffix}, which newer versions of Consul do not find by DNS`,
    advice: `give the nodes a service without a label before it (--domain ${service ?? name.service}.service.${consulDomain}), and tell them apart by alive name or by service`,
  };
}
