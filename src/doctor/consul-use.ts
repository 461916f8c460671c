import { usesConsulCatalogue } from "../catalogue/core/question.js";
import { asksAgent, isMeshed } from "../mesh/core/upstreams.js";
import { parseServiceDomain, servedDomains } from "../names/domains.js";
import { publishesToConsul } from "../publish/core/publication.js";
import type { Examination } from "./examination.js";

export const CONSUL_UNUSED =
  "Consul is not used: no --domain and no node asked for is under its domain, or --dns-listen serves them";

/** `needed`: by the daemon. `looks-up`: look-ups use its catalogue, and DNS without it. `explains`: doctor asks why a node is not found. */
export function useOfConsul({ config, asked }: Examination): "needed" | "looks-up" | "explains" | "none" {
  if (publishesToConsul(config) || asksAgent(config)) return "needed";
  if (config.dnsListen || isMeshed(config)) return "none";
  const hosts = [...servedDomains(config), ...(asked ? [asked.host] : [])];
  if (!hosts.some((host) => parseServiceDomain(host, config.consulDomain))) return "none";
  return usesConsulCatalogue(config) ? "looks-up" : "explains";
}
