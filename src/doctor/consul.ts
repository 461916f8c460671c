import { UnreadableFile } from "../api/credential.js";
import { usesConsulCatalogue } from "../catalogue/core/question.js";
import type { Config } from "../config/config.js";
import { LoginRefused } from "../consul/acl-api.js";
import { agentHost } from "../consul/core/agent-dns.js";
import { datacenterOf, writeRights } from "../consul/examine.js";
import { AgentAnswer } from "../consul/transport.js";
import { ConsulError, describeError } from "../errors.js";
import { asksAgent, isMeshed } from "../mesh/core/upstreams.js";
import { nodeDomain, parseServiceDomain, qualifiedDomain, servedDomains, serviceOf } from "../names/domains.js";
import { isHelperName } from "../names/node-name.js";
import { isLoopback } from "../net/ip.js";
import { publishesToConsul } from "../publish/core/publication.js";
import { listed } from "../text.js";
import { type Finding, fail, ok, type Parts, partsOf, skip, warn } from "./core/finding.js";
import { clientAddress } from "./core/nomad-place.js";
import type { ProblemCode } from "./core/problems.js";
import type { Check, Examination } from "./examination.js";
import { nameIn } from "./local-epmd.js";
import { ownRegistrations } from "./published-nodes.js";
import { inMeshOr, whyUnpublished } from "./way.js";

const UNUSED = "Consul is not used: no --domain and no node asked for is under its domain, or --dns-listen serves them";
export const NO_AGENT = "Consul cannot be asked: see consul-agent";
export const NO_AGENT_ADVICE =
  "the agent fails now and then, or refuses the token: consul-agent and consul-token say how it answers now";

/** `needed`: by the daemon. `looks-up`: look-ups use its catalogue, and DNS without it. `explains`: doctor asks why a node is not found. */
function useOf({ config, asked }: Examination): "needed" | "looks-up" | "explains" | "none" {
  if (publishesToConsul(config) || asksAgent(config)) return "needed";
  if (config.dnsListen || isMeshed(config)) return "none";
  const hosts = [...servedDomains(config), ...(asked ? [asked.host] : [])];
  if (!hosts.some((host) => parseServiceDomain(host, config.consulDomain))) return "none";
  return usesConsulCatalogue(config) ? "looks-up" : "explains";
}

const LESS = {
  "looks-up": "look-ups are left to DNS; --catalogue none is for where there is no agent",
  explains: "doctor would only use it to explain what DNS answers",
} as const;

export const consulAgent: Check = {
  id: "consul-agent",
  title: "the Consul agent answers",
  run: async (examination) => {
    const use = useOf(examination);
    const { config } = examination;
    const { consul } = config;
    if (use === "none") return skip(inMeshOr(config, UNUSED));
    try {
      await examination.leader();
      return ok(`${consul} answers`);
    } catch (error) {
      const { code, evidence, advice } = whyNoAgent(config, error);
      return use === "needed"
        ? fail(code, evidence, [...unwanted(config), ...partsOf(advice)])
        : warn(code, `${evidence} (${LESS[use]})`, advice);
    }
  },
};

/** In a mesh, what runs the proxies registers the services: serve is probably not meant to publish anything. */
function unwanted(config: Config): string[] {
  if (!isMeshed(config) || asksAgent(config)) return [];
  return ["Nomad registers the services of a mesh: give serve --register none (SRV_EPMD_REGISTER=none)"];
}

interface NoAgent {
  readonly code: ProblemCode;
  readonly evidence: string;
  readonly advice: Parts;
}

function whyNoAgent({ consul, nomad }: Config, error: unknown): NoAgent {
  const message = messageOf(error);
  const cause = error instanceof ConsulError ? error.cause : undefined;
  if (cause instanceof UnreadableFile) {
    const advice =
      "give a file that this user may read: --consul-token-file, --consul-bearer-token-file, CONSUL_CACERT, CONSUL_CLIENT_CERT, CONSUL_CLIENT_KEY";
    return { code: "CONSUL_CREDENTIAL", evidence: message, advice };
  }
  if (cause instanceof LoginRefused) {
    const advice =
      "compare the auth method and its binding rules with the claims of the JWT: srv-epmd help publication (section on logins) has a set that works";
    return { code: "CONSUL_LOGIN", evidence: `${consul} answers, and gives no token: ${message}`, advice };
  }
  if (cause instanceof AgentAnswer) {
    // The words of Go's net/http, with status 400.
    const advice = /HTTP request to an HTTPS server/.test(cause.message)
      ? `give --consul ${consul.replace(/^http:/, "https:")}, with its CA (CONSUL_CACERT)`
      : `is that a Consul agent? ${WHERE}`;
    return { code: "CONSUL_NOT_AGENT", evidence: message, advice };
  }
  // The library puts its name before the words of the system.
  const said = describeError(cause ?? error).replace(/^consul: /, "");
  // OpenSSL's words for an answer that is not TLS.
  if (/^https:/.test(consul) && /wrong version number/i.test(said)) {
    const plain = consul.replace(/^https:/, "http:");
    return { code: "CONSUL_TLS", evidence: `${consul} does not speak TLS`, advice: `give --consul ${plain}` };
  }
  const { code = "" } = (cause ?? {}) as NodeJS.ErrnoException;
  const evidence = `${consul} does not answer: ${said}`;
  if (/^ERR_(SSL|TLS|OSSL)|CERT|SIGNATURE|EPROTO/.test(code)) {
    const advice = [
      "give --consul with https:// where the agent speaks TLS, else with http://",
      "with https:// give its CA (CONSUL_CACERT), the name in its certificate (CONSUL_TLS_SERVER_NAME), and a client certificate if the agent asks for one (CONSUL_CLIENT_CERT, CONSUL_CLIENT_KEY)",
    ];
    return { code: "CONSUL_TLS", evidence, advice };
  }
  const host = agentHost(consul);
  const bridge =
    host === "localhost" || isLoopback(host)
      ? `in a container or Nomad's bridge network that address is the task itself: give --consul http://${clientAddress(nomad.ports) ?? "<address of the host>"}:8500 (attr.unique.network.ip-address), and set client_addr in the agent's configuration`
      : undefined;
  return {
    code: "CONSUL_DOWN",
    evidence,
    advice: [`start the agent, or ${WHERE}`, ...(bridge === undefined ? [] : [bridge])],
  };
}

const WHERE = "give its address with --consul or CONSUL_HTTP_ADDR";

export const consulLeader: Check = {
  id: "consul-leader",
  title: "Consul's servers have a leader; without one nothing new is published",
  run: async (examination) => {
    if (useOf(examination) === "none") return skip(inMeshOr(examination.config, UNUSED));
    try {
      const { address, said } = await examination.leader();
      if (address !== undefined) return ok(`the leader ${await ofDatacenter(examination)}is ${address}`);
      return fail(
        "CONSUL_NO_LEADER",
        `Consul's servers have no leader${said === undefined ? "" : `, as far as the agent knows (${said})`}: nobody sees what is registered now`,
        [
          "bring back a majority of the servers (consul operator raft list-peers, consul members)",
          "srv-epmd then continues by itself",
        ],
      );
    } catch {
      return skip(NO_AGENT);
    }
  },
};

/** `of dc1 `; empty where the agent does not tell. */
async function ofDatacenter({ connect }: Examination): Promise<string> {
  const name = await datacenterOf(await connect());
  return name === undefined ? "" : `of ${name} `;
}

/** Which Consul it is, to be compared with that of another machine; undefined where it does not tell. */
export async function thisConsul(examination: Examination): Promise<string | undefined> {
  try {
    const { address } = await examination.leader();
    return address === undefined
      ? undefined
      : `the Consul here: the leader ${await ofDatacenter(examination)}is ${address}`;
  } catch {
    return undefined;
  }
}

export const consulToken: Check = {
  id: "consul-token",
  title: "the token may write the services of the nodes here",
  run: async (examination) => {
    const { config, connect } = examination;
    const unpublished = whyUnpublished(config);
    if (unpublished) return unpublished;
    if (!(await isThere(examination))) return skip(NO_AGENT);
    const services = await servicesToWrite(examination);
    if (services.length === 0) return skip("the service is not known: give --domain or --service");
    const policies = (names: readonly string[]) =>
      names.map((name) => `service "${name}" { policy = "write" }`).join(" ");
    try {
      const rights = await writeRights(await connect(), services);
      const token = tokenWords(examination);
      switch (rights.kind) {
        case "acls-off":
          return ok("ACLs are off in Consul: everybody may write");
        case "token-unknown":
          return fail(
            "TOKEN_UNKNOWN",
            `Consul does not know ${token} (ACL not found)`,
            `give a token that exists, with the policy ${policies(services)}: --consul-token-file or CONSUL_HTTP_TOKEN_FILE, or a login (--consul-auth-method)`,
          );
        case "known":
          if (rights.denied.length === 0) return ok(`${token} may write ${listed(services)}`);
          return await denied(examination, rights.denied, policies(rights.denied));
        case "untold":
          return await byRegistration(examination, rights.said, policies(services));
        default:
          return rights satisfies never;
      }
    } catch (error) {
      return warn(
        "TOKEN_UNTOLD",
        `the rights of the token cannot be asked: ${messageOf(error)}`,
        `it needs ${policies(services)}`,
      );
    }
  },
};

/** If the nodes here are in Consul although this token may not write them, serve uses a different token than doctor. */
async function denied(examination: Examination, services: readonly string[], policy: string): Promise<Finding> {
  const token = tokenWords(examination);
  const evidence = `${token} may not write the service ${listed(services)}`;
  const registrations = await ownRegistrations(examination).catch(() => []);
  if (registrations.length === 0 || !registrations.every(({ held }) => held)) {
    return fail("TOKEN_DENIED", evidence, `give ${token === NO_TOKEN ? "a token with" : "it"} the policy ${policy}`);
  }
  return warn("TOKEN_OTHER", `${evidence}, and the nodes here are published: serve has another token`, [
    `give doctor the token that serve has`,
    `if this is that token, it needs the policy ${policy}`,
  ]);
}

const NO_TOKEN = "the anonymous token (none is configured)";

function tokenWords({ config }: Examination): string {
  if (config.consulAuthMethod !== undefined) return `the token of a login by ${config.consulAuthMethod}`;
  if (config.consulTokenFile !== undefined) return `the token in ${config.consulTokenFile}`;
  return config.consulToken !== undefined ? "the token" : NO_TOKEN;
}

/** An entry that is there was written with the token. */
async function byRegistration(examination: Examination, said: string, policy: string): Promise<Finding> {
  const registrations = await ownRegistrations(examination);
  if (registrations.some(({ held }) => held !== undefined)) return ok("the token has published the nodes here");
  return warn(
    "TOKEN_UNTOLD",
    `this Consul does not tell the rights of the token: ${said}`,
    `check that its policy has ${policy}`,
  );
}

/** Services under which nodes are published here: of the domains, and of the nodes alive here. */
export async function servicesToWrite({ config, nodes }: Examination): Promise<string[]> {
  if (config.service !== undefined) return [config.service];
  const here = await nodes();
  const names = here.map(({ aliveName }) => aliveName).filter((name) => !isHelperName(name, nameIn(here)));
  const domains = [
    ...config.domain.map(({ domain }) => qualifiedDomain(domain, config.consulDomain)),
    ...config.publishNode.flatMap(({ aliveName }) => nodeDomain(aliveName, config) ?? []),
  ];
  const services = [
    ...domains.flatMap((domain) => parseServiceDomain(domain, config.consulDomain)?.service ?? []),
    ...names.flatMap((name) => serviceOf(name, config) ?? []),
  ];
  return Array.from(new Set(services));
}

export async function isThere({ leader }: Examination): Promise<boolean> {
  return leader().then(
    () => true,
    () => false,
  );
}

/** The message has no token: the client removes it. */
export function messageOf(error: unknown): string {
  return (error instanceof ConsulError ? error.message : describeError(error)).trim();
}

/** The Date header has whole seconds, and the answer arrives later. Milliseconds. */
const TOLERANCE = 5_000;

export const clock: Check = {
  id: "clock",
  title: "this machine's clock against the Consul agent's",
  run: async (examination) => {
    const { config, leader } = examination;
    if (useOf(examination) === "none") return skip(inMeshOr(config, UNUSED));
    let answer: Awaited<ReturnType<typeof leader>>;
    try {
      answer = await leader();
    } catch {
      return skip(NO_AGENT);
    }
    if (answer.now === undefined) return skip("the Consul agent's answer has no Date header");
    // Date is rounded down.
    const difference = answer.askedAt - (answer.now + 500);
    const seconds = (Math.abs(difference) / 1000).toFixed(0);
    if (Math.abs(difference) <= TOLERANCE)
      return ok(`the clocks here and at ${config.consul} agree within ${TOLERANCE / 1000} s`);
    return warn(
      "CLOCK_DIFFERS",
      `the clock here is ${seconds} s ${difference > 0 ? "ahead of" : "behind"} the one at ${config.consul}`,
      "synchronize both clocks (NTP): with a wrong clock, certificates (-proto_dist inet_tls, Connect) and ACL tokens are not yet valid or expired, and names --cluster shows wrong ages",
    );
  },
};
