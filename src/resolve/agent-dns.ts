import { agentHost, CONSUL_DNS_PORT, reachedAt } from "../consul/core/agent-dns.js";
import type { agentDns } from "../consul/examine.js";
import { mayKnow, type ServerState, stateWords } from "../dns/core/knowledge.js";
import type { NameServer } from "../dns/exchange.js";
import { canonicalIp, hostPort } from "../net/ip.js";
import { listed } from "../text.js";

export interface AgentDnsDeps {
  readonly settings: {
    /** URL of the agent. */
    readonly consul: string;
    readonly consulDomain: string;
  };
  /** Whether an address is one of this machine's. */
  readonly isOwn: (address: string) => boolean;
  /** What the agent says of its DNS. */
  readonly agentDns: () => ReturnType<typeof agentDns>;
  /** What a name server knows of a domain. */
  readonly ask: (server: NameServer, domain: string, signal?: AbortSignal) => Promise<ServerState>;
  /** Ends the search. */
  readonly signal?: AbortSignal;
}

/** The DNS of Consul's agent that answers for a domain, or why there is none and which option is missing. */
export type FoundAgentDns =
  | { readonly server: NameServer }
  | { readonly server?: undefined; readonly evidence: string; readonly advice: string };

/** Looks for a name server where no other one knows a domain under Consul's: the agent has one. Never rejects. */
export async function findAgentDns(domain: string, deps: AgentDnsDeps): Promise<FoundAgentDns> {
  const { consul, consulDomain } = deps.settings;
  const none = (evidence: string, advice: string): FoundAgentDns => ({ evidence, advice });
  const { signal } = deps;
  const answer = await deps.agentDns();
  if (!answer.told) return guessed(answer, deps);
  const { domains, listens } = answer.told;
  if (domains.length > 0 && !domains.includes(consulDomain)) {
    return none(
      `Consul's agent answers for ${listed(domains)}, not for ${consulDomain}`,
      `give --consul-domain ${domains[0]}, or a --domain that is not under ${consulDomain}`,
    );
  }
  if (listens.length === 0) {
    return none(
      "Consul's agent has no DNS (its ports.dns is -1)",
      `set ports.dns in the agent's configuration, or give the DNS of another agent: --dns ${consulDomain}=ip[:port]`,
    );
  }
  const reached = reachedAt(answer.told, consul, deps.isOwn);
  const place = listed(listens.map((one) => hostPort(one)));
  if (reached.length === 0) {
    return none(
      `Consul's agent has its DNS at ${place} of its own machine, which is not this one`,
      `open it to others in the agent's configuration (client_addr, addresses.dns), or give --dns ${consulDomain}=ip[:port]`,
    );
  }
  const states = await Promise.all(reached.map((server) => deps.ask(server, domain, signal)));
  // Without an SOA it may be another server of that port: the agent's has one.
  const server = reached[states.findIndex(({ kind }) => kind === "knows")];
  if (server) return { server };
  const said = reached.map((one, index) => `${hostPort(one)}, which ${stateWords(states[index] as ServerState)}`);
  return none(
    `Consul's agent says that its DNS is at ${listed(said)}`,
    `see why it is not reached from here (a firewall, another network namespace), or give --dns ${consulDomain}=ip[:port]`,
  );
}

/** The agent does not tell: its usual port is tried, and only named, because another program may have it. */
async function guessed(
  { why, isForbidden }: { readonly why: string; readonly isForbidden: boolean },
  { settings: { consul, consulDomain }, ask, signal }: AgentDnsDeps,
): Promise<FoundAgentDns> {
  const usual = { address: canonicalIp(agentHost(consul)) ?? "127.0.0.1", port: CONSUL_DNS_PORT };
  const evidence = `Consul's agent does not say where its DNS is: ${why}`;
  const at = hostPort(usual);
  if (mayKnow(await ask(usual, `consul.service.${consulDomain}`, signal))) {
    return { evidence, advice: `give --dns ${consulDomain}=${at}, where a Consul agent answers` };
  }
  const first = isForbidden
    ? "give the token the right to read the agent (agent:read)"
    : "start Consul's agent or give its address with --consul";
  return { evidence, advice: `${first}, or the address of its DNS: --dns ${consulDomain}=ip[:port]` };
}
