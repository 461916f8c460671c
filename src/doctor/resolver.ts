import type { Config } from "../config/config.js";
import { exchange, type NameServer } from "../dns/exchange.js";
import { NameServers } from "../dns/name-servers.js";
import type { Message } from "../dns/wire/message.js";
import { isMeshed } from "../mesh/core/sidecar.js";
import { canonicalIp, familyOf, hostPort } from "../net/ip.js";
import { servedDomains } from "../publish/core/advertised.js";
import { agentHost } from "./consul.js";
import { type Finding, fail, ok, skip, together, warn } from "./core/finding.js";
import type { Check, Examination } from "./examination.js";

/** A name server on this machine answers at once, one elsewhere soon; one datagram may get lost. Milliseconds. */
const TRY_TIMEOUT = 1_500;
const TRIES = 2;

type Said = Knowledge | { readonly kind: "dead"; readonly said: string };

export const resolver: Check = {
  id: "resolver",
  title: "which name servers are asked for the domains, whether each answers, and whether it knows the domain",
  run: async (examination) => {
    const { config, asked } = examination;
    if (isMeshed(config)) return skip("in a mesh no name server is asked");
    const ofAsked = asked?.host.includes(".") && familyOf(asked.host) === undefined ? [asked.host] : [];
    const domains = Array.from(new Set([...servedDomains(config), ...ofAsked]));
    const findings = await Promise.all(domains.map((domain) => askFor(domain, examination)));
    return together(findings, "there is no --domain, and no node with a host part was named");
  },
};

async function askFor(domain: string, { config, nameServers, isOwnServer, log }: Examination): Promise<Finding> {
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
  const finding = judge(domain, said, whence, examinedAdvice(domain, config.consulDomain, config.consul));
  if (finding.result !== "fail" || !domain.endsWith(`.${config.consulDomain}`)) return finding;
  return fail(finding.evidence, (await agentAdvice(config, said)) ?? finding.advice);
}

/** What the usual place of the agent's DNS tells, whether it was asked or not; undefined when nothing. */
async function agentAdvice(
  { consul, consulDomain }: Config,
  asked: readonly { readonly server: NameServer; readonly said: Said }[],
): Promise<string | undefined> {
  const agent = consulDns(consul);
  const at = hostPort(agent.address, agent.port);
  const own = asked.find(({ server }) => hostPort(server.address, server.port) === at)?.said;
  if (own?.kind === "dead")
    return "start the Consul agent, or give the address and port of its DNS (ports.dns): --dns [domain=]ip:port";
  if (own) return `Consul answers for one domain alone, consul unless its configuration says domain: --consul-domain`;
  if ((await ask(agent, `consul.service.${consulDomain}`)).kind !== "knows") return undefined;
  return `Consul's agent answers at ${at}: give --dns ${consulDomain}=${at}, or let the name server forward ${consulDomain} there`;
}

function judge(
  domain: string,
  answers: readonly { readonly server: NameServer; readonly said: Said }[],
  whence: string,
  advice: string,
): Finding {
  if (answers.length === 0) {
    return fail(
      `no name server is asked for ${domain}: resolv.conf names only the gateway`,
      "give --gateway-forward or --dns",
    );
  }
  const words = answers
    .map(({ server, said }) => `${hostPort(server.address, server.port)}${whence} ${verb(said)}`)
    .join(", ");
  const evidence = `${domain}: ${words}`;
  const has = (...kinds: readonly Said["kind"][]) => answers.some(({ said }) => kinds.includes(said.kind));
  if (!has("knows", "vague")) return fail(evidence, advice);
  if (has("foreign", "vague"))
    return warn(evidence, `the answer of a server that does not know the domain counts like any: ${advice}`);
  if (has("dead", "refuses")) return warn(evidence, `look-ups lose time with the one that fails: ${advice}`);
  return ok(evidence);
}

function verb(said: Said): string {
  switch (said.kind) {
    case "knows":
      return "answers";
    case "vague":
      return `says ${said.said}, and not for which zone: it may not know the domain`;
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

/** Consul's agents answer DNS on port 8600 of the machine that they answer HTTP on, unless told otherwise. */
function consulDns(consul: string): NameServer {
  return { address: canonicalIp(agentHost(consul)) ?? "127.0.0.1", port: 8600 };
}

function examinedAdvice(domain: string, consulDomain: string, consul: string): string {
  if (!domain.endsWith(`.${consulDomain}`)) return "give a name server that knows the domain: --dns [domain=]ip[:port]";
  const { address, port } = consulDns(consul);
  return `ask Consul's agent: --dns ${consulDomain}=${hostPort(address, port)} (the port is ports.dns of its configuration), and see that it runs; or let the name server forward ${consulDomain}`;
}

async function ask(server: NameServer, qname: string): Promise<Said> {
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

/** What a name server makes of a domain, from its answer to a question for the domain itself. */
export type Knowledge =
  /** It answers for the domain, or knows who does. */
  | { readonly kind: "knows"; readonly said: string }
  /** It says that there is no such domain, in the name of a zone above it: another part of DNS. */
  | { readonly kind: "foreign"; readonly said: string }
  /** It says that there is none, and not whose word that is: a cache may leave that out, Consul does not. */
  | { readonly kind: "vague"; readonly said: string }
  /** REFUSED, SERVFAIL and their like. */
  | { readonly kind: "refuses"; readonly said: string };

/**
 * RFC 2308 section 2: with an absence comes the SOA of the zone that says so. Consul's is `consul`; that of the Internet,
 * to which `consul` is no top-level domain, is the root.
 */
export function knowledgeOf(domain: string, { rcode, authorities, answers }: Message): Knowledge {
  if (rcode !== "NOERROR" && rcode !== "NXDOMAIN") return { kind: "refuses", said: rcode };
  if (answers.length > 0) return { kind: "knows", said: rcode };
  const soa = authorities.find(({ type }) => type === "SOA");
  if (!soa) return { kind: rcode === "NXDOMAIN" ? "vague" : "knows", said: rcode };
  const isAbove = soa.owner !== "" && (domain === soa.owner || domain.endsWith(`.${soa.owner}`));
  const zone = soa.owner === "" ? "the root of DNS" : `the zone ${soa.owner}`;
  return { kind: isAbove ? "knows" : "foreign", said: `${rcode} from ${zone}` };
}
