import type { ServiceMember } from "../catalogue/core/instances.js";
import { usesConsulCatalogue } from "../catalogue/core/question.js";
import type { Config } from "../config/config.js";
import { isBridged } from "../config/nomad.js";
import { exchange, type NameServer } from "../dns/exchange.js";
import { NameServers } from "../dns/name-servers.js";
import type { Message } from "../dns/wire/message.js";
import { isMeshed } from "../mesh/core/upstreams.js";
import { isUnder, parseServiceDomain, servedDomains } from "../names/domains.js";
import { isNomadHost } from "../names/nomad-domain.js";
import { canonicalIp, familyOf, hostPort, isLoopback } from "../net/ip.js";
import { agentHost } from "./consul.js";
import { type Finding, fail, ok, partsOf, skip, together, warn } from "./core/finding.js";
import { clientAddress } from "./core/nomad-place.js";
import type { ProblemCode } from "./core/problems.js";
import type { Check, Examination } from "./examination.js";
import { NOT_IN_MESH } from "./way.js";

/** For one try; a datagram may get lost, so there are two. Milliseconds. */
const TRY_TIMEOUT = 1_500;
const TRIES = 2;

export const SEE_RESOLVER =
  "give a name server that answers: --dns [domain=]ip[:port]; resolver shows how each that is asked does";

type ServerState = Knowledge | { readonly kind: "dead"; readonly said: string };

export const resolver: Check = {
  id: "resolver",
  title: "the name servers that are asked for the domains: each answers and knows the domain",
  run: async (examination) => {
    const { config, asked } = examination;
    if (isMeshed(config)) return skip(NOT_IN_MESH);
    const ofAsked = asked?.host.includes(".") && familyOf(asked.host) === undefined ? [asked.host] : [];
    const hosts = Array.from(new Set([...servedDomains(config), ...ofAsked]));
    const domains = hosts.filter((host) => !isNomadHost(host, config.consulDomain));
    if (hosts.length > 0 && domains.length === 0)
      return skip("no name server is asked for service.nomad: see nomad-api");
    const findings = await Promise.all(domains.map((domain) => askFor(domain, examination)));
    return together(findings, "there is no --domain, and no node with a host part was named");
  },
};

async function askFor(domain: string, examination: Examination): Promise<Finding> {
  const { config, nameServers, isOwnServer, log } = examination;
  const servers = await new NameServers({
    rules: nameServers,
    resolvConf: "/etc/resolv.conf",
    isOwn: isOwnServer,
    otherwise: config.gatewayForward,
    log,
  }).serversFor(domain, performance.now());
  const isNamed = nameServers.some((rule) => !rule.domain || `.${domain}`.endsWith(`.${rule.domain}`));
  const whence = isNamed ? "" : " (resolv.conf)";
  const said = await Promise.all(servers.servers.map(async (server) => ({ server, said: await ask(server, domain) })));
  const code = codeOf(said, config);
  const finding = judge(domain, said, whence, examinedAdvice(domain, config), code);
  if (finding.result !== "fail" || !domain.endsWith(`.${config.consulDomain}`)) return finding;
  const advice = partsOf((await agentAdvice(config, said)) ?? finding.advice);
  const listed = await inCatalogue(domain, examination);
  if (listed === 0) return fail(code, finding.evidence, advice);
  const instances = listed === 1 ? "an instance" : `${listed} instances`;
  return warn(
    code,
    [...finding.evidence, `look-ups are answered from Consul's catalogue, which lists ${instances} there`],
    [...advice, "DNS is asked only for what the catalogue does not hold, and while Consul's agent does not answer"],
  );
}

type Asked = readonly { readonly server: NameServer; readonly said: ServerState }[];

/** Why no name server knows the domain. */
function codeOf(asked: Asked, config: Config): ProblemCode {
  const agent = consulDns(config);
  const kinds = new Set(asked.map(({ said }) => said.kind));
  if (asked.length === 0) return "RESOLVER_NONE";
  if (asked.every(({ server }) => server.address === agent.address)) return "RESOLVER_AGENT";
  if (kinds.has("foreign")) return "RESOLVER_FOREIGN";
  return kinds.has("refuses") ? "RESOLVER_REFUSES" : "RESOLVER_DEAD";
}

/** Instances of a service that look-ups may take from Consul's catalogue; 0 where they do not use it. */
async function inCatalogue(domain: string, { config, connect }: Examination): Promise<number> {
  const asked = parseServiceDomain(domain, config.consulDomain);
  if (!asked || !usesConsulCatalogue(config) || config.dnsListen) return 0;
  try {
    const suffix = asked.tagSuffix === undefined ? "" : `.${asked.tagSuffix}`.toLowerCase();
    const members = await (await connect()).members(asked);
    const isAnswered = ({ critical, port, tags }: ServiceMember) =>
      !critical && port > 0 && tags.some((tag) => tag.toLowerCase().endsWith(suffix));
    return members.filter(isAnswered).length;
  } catch {
    return 0;
  }
}

/** Advice from what answers at the default address of the agent's DNS; undefined where nothing answers. */
async function agentAdvice(config: Config, asked: Asked): Promise<string | undefined> {
  const agent = consulDns(config);
  const { consulDomain } = config;
  const at = hostPort(agent);
  const own = asked.find(({ server }) => hostPort(server) === at)?.said;
  if (own?.kind === "dead")
    return "start the Consul agent, or give the address and port of its DNS (ports.dns): --dns [domain=]ip:port";
  if (own)
    return "Consul answers for one domain only: give the `domain` of its configuration (default consul) with --consul-domain";
  if ((await ask(agent, `consul.service.${consulDomain}`)).kind !== "knows") return undefined;
  return `Consul's agent answers at ${at}: give --dns ${consulDomain}=${at}, or let the name server forward ${consulDomain} there`;
}

function judge(domain: string, answers: Asked, whence: string, advice: readonly string[], code: ProblemCode): Finding {
  if (answers.length === 0) {
    return fail(
      "RESOLVER_NONE",
      `no name server is asked for ${domain}: resolv.conf names only the gateway`,
      "give --gateway-forward or --dns",
    );
  }
  const words = answers.map(({ server, said }) => `${hostPort(server)}${whence} ${verb(said)}`).join(", ");
  const evidence = `${domain}: ${words}`;
  const has = (...kinds: readonly ServerState["kind"][]) => answers.some(({ said }) => kinds.includes(said.kind));
  if (!has("knows", "vague")) return fail(code, evidence, advice);
  if (has("foreign", "vague"))
    return warn("RESOLVER_FOREIGN", evidence, [
      ...advice,
      "an answer of a server that does not know the domain counts like any other",
    ]);
  if (has("dead", "refuses"))
    return warn("RESOLVER_DEAD", evidence, [
      "take the server that fails out of --dns or resolv.conf, or start it: look-ups lose time with it",
      ...advice,
    ]);
  return ok(evidence);
}

function verb(said: ServerState): string {
  switch (said.kind) {
    case "knows":
      return "answers";
    case "vague":
      return `answers ${said.said} without naming the zone: it may not know the domain`;
    case "foreign":
      return `does not know it (${said.said})`;
    case "refuses":
      return `refuses (${said.said})`;
    case "dead":
      return `does not answer (${said.said})`;
    default:
      return said satisfies never;
  }
}

/** The default: port 8600 of the machine where the agent answers HTTP. In a bridge network loopback is the task itself. */
function consulDns({ consul, nomad }: Config): NameServer {
  const address = canonicalIp(agentHost(consul)) ?? "127.0.0.1";
  const client = isLoopback(address) && nomad.ports.some(isBridged) ? clientAddress(nomad.ports) : undefined;
  return { address: client ?? address, port: 8600 };
}

function examinedAdvice(domain: string, config: Config): string[] {
  const { consulDomain } = config;
  if (!domain.endsWith(`.${consulDomain}`))
    return ["give a name server that knows the domain: --dns [domain=]ip[:port]"];
  return [
    `ask Consul's agent: --dns ${consulDomain}=${hostPort(consulDns(config))} (the port is ports.dns of its configuration), and check that it runs`,
    `or let the name server forward ${consulDomain}`,
  ];
}

async function ask(server: NameServer, qname: string): Promise<ServerState> {
  let said = "";
  for (let tries = 0; tries < TRIES; tries++) {
    const { signal } = new AbortController();
    const result = await exchange({
      server,
      qname,
      qtype: "A",
      transport: "udp",
      edns: true,
      timeout: TRY_TIMEOUT,
      signal,
    });
    if (result.kind === "message") return knowledgeOf(qname, result.message);
    said = result.reason;
    if (said !== "timeout") break;
  }
  return { kind: "dead", said };
}

/** What a name server knows of a domain, from its answer to a query for the domain itself. */
type Knowledge =
  /** It answers for the domain, or knows who does. */
  | { readonly kind: "knows"; readonly said: string }
  /** It says that the domain does not exist, with the SOA of another zone: it belongs to another part of DNS. */
  | { readonly kind: "foreign"; readonly said: string }
  /** It says that the domain does not exist, without an SOA: some caches leave it out, Consul does not. */
  | { readonly kind: "vague"; readonly said: string }
  /** REFUSED, SERVFAIL or another error. */
  | { readonly kind: "refuses"; readonly said: string };

/**
 * RFC 2308 section 2: NXDOMAIN and NODATA come with the SOA of the zone. That of Consul is `consul`. In the DNS of the
 * Internet `consul` does not exist, so the SOA is that of the root.
 */
export function knowledgeOf(domain: string, { rcode, authorities, answers }: Message): Knowledge {
  if (rcode !== "NOERROR" && rcode !== "NXDOMAIN") return { kind: "refuses", said: rcode };
  if (answers.length > 0) return { kind: "knows", said: rcode };
  const soa = authorities.find(({ type }) => type === "SOA");
  if (!soa) return { kind: rcode === "NXDOMAIN" ? "vague" : "knows", said: rcode };
  const isAbove = soa.owner !== "" && isUnder(domain, soa.owner);
  const zone = soa.owner === "" ? "the root of DNS" : `the zone ${soa.owner}`;
  return { kind: isAbove ? "knows" : "foreign", said: `${rcode} from ${zone}` };
}
