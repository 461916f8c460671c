import { usesConsulCatalogue } from "../catalogue/core/question.js";
import type { Config } from "../config/config.js";
import { agentDns } from "../consul/examine.js";
import type { ConsulSide } from "../consul/side.js";
import { askKnowledge } from "../dns/ask-knowledge.js";
import type { Resolver } from "../dns/resolver.js";
import { isMeshed } from "../mesh/core/upstreams.js";
import { type Domains, servedDomains } from "../names/domains.js";
import { isNomadHost } from "../names/nomad-domain.js";
import type { Machine } from "../os/machine.js";
import { findAgentDns } from "../resolve/agent-dns.js";
import { KnownDomains } from "../resolve/known-domains.js";
import type { Observations } from "./core/observations.js";
import type { Logger } from "./logger.js";

interface WatchDeps {
  readonly machine: Machine;
  readonly domains: Domains;
  readonly consul: Pick<ConsulSide, "connect">;
  readonly dns: Resolver;
  readonly observations: Observations;
  readonly log: Logger;
}

/** Finds out from now on whether the name servers know the domains. Undefined in a mesh, where none is asked. */
export function watchNameServers(config: Config, deps: WatchDeps): KnownDomains | undefined {
  if (isMeshed(config)) return undefined;
  const { machine, domains, consul, dns, observations, log } = deps;
  const { consulDomain } = config;
  const isInDns = (domain: string) => !isNomadHost(domain, consulDomain) && !domains.isMachine(domain);
  const known = new KnownDomains({
    // Names under the domains of --dns-listen are asked of our own zone.
    domains: config.dnsListen ? [] : servedDomains(config).filter(isInDns),
    consulDomain,
    usesCatalogue: usesConsulCatalogue(config),
    setFor: dns.setFor,
    standIn: dns.standIn,
    ask: askKnowledge,
    findAgent: (domain, signal) =>
      findAgentDns(domain, {
        settings: config,
        isOwn: (address) => machine.addresses().includes(address),
        agentDns: () => agentDns(() => consul.connect(), signal),
        ask: askKnowledge,
        signal,
      }),
    log,
  });
  observations.subscribe((event) => {
    if (event.type === "look-up") known.take(event);
    if (event.type === "consul-call") known.takeCall(event.result);
  });
  return known;
}
