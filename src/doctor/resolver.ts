import { list, record, text } from "../api/core/json.js";
import type { ServiceMember } from "../catalogue/core/instances.js";
import { usesConsulCatalogue } from "../catalogue/core/question.js";
import type { Config } from "../config/config.js";
import { isBridged } from "../config/nomad.js";
import { hasSettings } from "../config/told.js";
import { agentHost } from "../consul/core/agent-dns.js";
import { askKnowledge } from "../dns/ask-knowledge.js";
import { type ServerState, serverWords } from "../dns/core/knowledge.js";
import type { NameServer } from "../dns/exchange.js";
import { NameServers, type SetServers } from "../dns/name-servers.js";
import { isMeshed } from "../mesh/core/upstreams.js";
import { parseServiceDomain, servedDomains } from "../names/domains.js";
import { isNomadHost } from "../names/nomad-domain.js";
import { canonicalIp, familyOf, hostPort, isLoopback } from "../net/ip.js";
import { linesInHosts } from "../os/core/hosts-file.js";
import { readHostsFile } from "../os/hosts-file.js";
import { isThere } from "./consul-reachable.js";
import { asksSame } from "./core/asked-servers.js";
import { apart, behind, type Finding, fail, ok, partsOf, skip, together, warn } from "./core/finding.js";
import { clientAddress } from "./core/nomad-place.js";
import { NO_EPMD } from "./core/problem-kind.js";
import type { ProblemCode } from "./core/problems.js";
import type { Check, Examination } from "./examination.js";
import { isForStock } from "./host-way.js";
import { NOT_IN_MESH } from "./way.js";

export const SEE_RESOLVER =
  "give a name server that answers: --dns [domain=]ip[:port]; resolver shows how each that is asked does (--all)";

export const resolver: Check = {
  id: "resolver",
  title: "the name servers that are asked for the domains: each answers and knows the domain",
  run: async (examination) => {
    const { config, asked } = examination;
    if (isMeshed(config)) return skip(NOT_IN_MESH);
    const isInDns = asked?.host.includes(".") === true && familyOf(asked.host) === undefined;
    // A host that this machine resolves without them is not theirs: /etc/hosts has it.
    const ofAsked = isInDns && !(await isInHosts(asked.host, config)) ? [asked.host] : [];
    const hosts = Array.from(new Set([...servedDomains(config), ...ofAsked]));
    const domains = hosts.filter((host) => !isNomadHost(host, config.consulDomain));
    if (hosts.length > 0 && domains.length === 0)
      return skip("no name server is asked for service.nomad: see nomad-api");
    const findings = await Promise.all(
      domains.map(async (domain) => besideDaemon(domain, await askFor(domain, examination), examination)),
    );
    const finding = together(findings, "there is no --domain, and no node with a host part was named");
    // What was given is meant, whether a srv-epmd runs here or not.
    return hasSettings(config.given) ? apart(NO_EPMD, finding) : finding;
  },
};

async function isInHosts(host: string, config: Config): Promise<boolean> {
  return isForStock(host, config) && linesInHosts(await readHostsFile(), host).length > 0;
}

/** With what the srv-epmd here has found out by itself: it may have other name servers. */
async function besideDaemon(domain: string, { finding, asked }: Judged, { daemon }: Examination): Promise<Finding> {
  const seen = list((await daemon())?.resolver).map(record);
  const own = seen.find((one) => one?.domain === domain);
  const said = list(own?.servers).map(text).join(", ") || "none is asked";
  if (own?.state === "agent") {
    const instead = `the srv-epmd here asks Consul's agent at ${text(own.agent)}, because of those that are set none knows it: ${said}`;
    return behind(finding, [instead]);
  }
  if (own?.state !== "unknown" || finding.result !== "ok") return finding;
  if (asksSame(list(own.servers).map(text), asked)) {
    return warn(
      "RESOLVER_DAEMON",
      [...finding.evidence, `the srv-epmd here asked the same, and it did not know the domain then: ${said}`],
      "look again in half a minute, for srv-epmd asks again by itself; if it stays so, another user or network namespace than that of serve gets the answer here",
    );
  }
  return warn(
    "RESOLVER_DAEMON",
    [...finding.evidence, `the srv-epmd here has no name server that knows it: ${said}`],
    `give serve what doctor has: ${text(own.advice)}`,
  );
}

interface Judged {
  readonly finding: Finding;
  readonly asked: Asked;
}

async function askFor(domain: string, examination: Examination): Promise<Judged> {
  const { config, nameServers, isOwnServer, log } = examination;
  const { servers, named } = await new NameServers({
    rules: nameServers,
    resolvConf: "/etc/resolv.conf",
    isOwn: isOwnServer,
    otherwise: config.gatewayForward,
    log,
  }).setFor(domain);
  const said = await Promise.all(servers.map(async (server) => ({ server, said: await askKnowledge(server, domain) })));
  return { asked: said, finding: await judgeAll(domain, said, named, examination) };
}

async function judgeAll(
  domain: string,
  said: Asked,
  named: SetServers["named"],
  examination: Examination,
): Promise<Finding> {
  const { config } = examination;
  const code = codeOf(said, config);
  const finding = judge(domain, said, named, examinedAdvice(domain, config), code);
  const silent = finding.result !== "ok" && (await silentAgent(domain, { named, finding }, examination));
  if (silent) return silent;
  if (finding.result !== "fail" || !domain.endsWith(`.${config.consulDomain}`)) return finding;
  const server = named === "domain" ? undefined : await examination.standIn();
  if (server) {
    const at = hostPort(server);
    const instead = `serve and doctor ask the DNS of Consul's agent in its place, at ${at} (resolve without serve: --dns ${config.consulDomain}=${at})`;
    return ok([...finding.evidence, instead]);
  }
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

/** Servers of resolv.conf do not know the domain, and the DNS of Consul's agent, which would be asked in their place, is silent. */
async function silentAgent(
  domain: string,
  { named, finding }: { readonly named: SetServers["named"]; readonly finding: Finding },
  { config }: Examination,
): Promise<Finding | undefined> {
  if (named !== undefined || config.dnsListen || !domain.endsWith(`.${config.consulDomain}`)) return undefined;
  const agent = consulDns(config);
  if ((await askKnowledge(agent, domain)).kind !== "dead") return undefined;
  const evidence = `nothing answers at ${hostPort(agent)}, where the DNS of Consul's agent would be asked in its place`;
  return (finding.result === "fail" ? fail : warn)("RESOLVER_AGENT", [...finding.evidence, evidence], START_AGENT);
}

const START_AGENT =
  "start the Consul agent, or give the address and port of its DNS (ports.dns): --dns [domain=]ip:port";

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
async function inCatalogue(domain: string, { config, connect, leader }: Examination): Promise<number> {
  const asked = parseServiceDomain(domain, config.consulDomain);
  if (!asked || !usesConsulCatalogue(config) || config.dnsListen || !(await isThere({ leader }))) return 0;
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
  if (own?.kind === "dead") return START_AGENT;
  if (own)
    return "Consul answers for one domain only: give the `domain` of its configuration (default consul) with --consul-domain";
  if ((await askKnowledge(agent, `consul.service.${consulDomain}`)).kind !== "knows") return undefined;
  return `Consul's agent answers at ${at}: give --dns ${consulDomain}=${at}, or let the name server forward ${consulDomain} there`;
}

function judge(
  domain: string,
  answers: Asked,
  named: SetServers["named"],
  advice: readonly string[],
  code: ProblemCode,
): Finding {
  if (answers.length === 0) {
    return fail(
      "RESOLVER_NONE",
      `no name server is asked for ${domain}: resolv.conf names only the gateway`,
      "give --gateway-forward or --dns",
    );
  }
  const evidence = `${domain}: ${answers.map(({ server, said }) => serverWords(server, named, said)).join(", ")}`;
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
