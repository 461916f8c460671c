import { type DomainSettings, qualifiedDomain, readConsulName } from "../../names/domains.js";
import { publishesToConsul, type RegisterSettings } from "./publication.js";

/** A domain under Consul's that does not do what its user probably expects. */
export interface DomainDoubt {
  /** `unpublished`: no node is published under it. `dotted`: newer versions of Consul do not find its nodes. */
  readonly kind: "unpublished" | "dotted";
  /** What will not happen, and why. */
  readonly evidence: string;
  readonly advice: string;
}

type DoubtSettings = RegisterSettings & Pick<DomainSettings, "service">;

/** Doubts about --domain and --publish-node. Empty where nothing is published, or the nodes are in the embedded zone. */
export function domainDoubts(settings: DoubtSettings): DomainDoubt[] {
  if (settings.register === "none" || (settings.register === undefined && settings.dnsListen !== undefined)) return [];
  const written = [
    ...settings.domain.map(({ domain }) => domain),
    ...settings.publishNode.flatMap(({ host }) => host ?? []),
  ];
  return Array.from(new Set(written)).flatMap((domain) => doubtOf(domain, settings) ?? []);
}

function doubtOf(written: string, settings: DoubtSettings): DomainDoubt | undefined {
  const { consulDomain, service } = settings;
  const name = readConsulName(qualifiedDomain(written, consulDomain), consulDomain);
  if (!name) return undefined;
  if (name.kind === "other") {
    // With --service the nodes are published, whatever the domain is.
    if (service !== undefined && publishesToConsul(settings)) return undefined;
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
