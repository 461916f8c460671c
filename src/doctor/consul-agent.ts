import { setTimeout as sleep } from "node:timers/promises";
import { silenceOf } from "../api/core/silence.js";
import { UnreadableFile } from "../api/credential.js";
import type { Config } from "../config/config.js";
import { LoginRefused } from "../consul/acl-api.js";
import { agentHost } from "../consul/core/agent-dns.js";
import type { ServerMember } from "../consul/core/members.js";
import { isAgentHere, noAnswerAdvice } from "../consul/core/silent-agent.js";
import { AgentAnswer } from "../consul/transport.js";
import { ConsulError, describeError } from "../errors.js";
import { asksAgent, isMeshed } from "../mesh/core/upstreams.js";
import { messageOf } from "./consul-reachable.js";
import { CONSUL_UNUSED, useOfConsul } from "./consul-use.js";
import { explainWaiting } from "./core/consul-servers.js";
import { fail, ok, type Parts, partsOf, skip, warn } from "./core/finding.js";
import { clientAddress } from "./core/nomad-place.js";
import type { ProblemCode } from "./core/problems.js";
import { type OtherUrl, otherUrl } from "./core/url-of-serve.js";
import type { Check, Examination } from "./examination.js";
import { inMeshOr } from "./way.js";

const LESS = {
  "looks-up": "look-ups are left to DNS; --catalogue none is for where there is no agent",
  explains: "doctor would only use it to explain what DNS answers",
} as const;

export const consulAgent: Check = {
  id: "consul-agent",
  title: "the Consul agent answers",
  run: async (examination) => {
    const use = useOfConsul(examination);
    const { config } = examination;
    const { consul } = config;
    if (use === "none") return skip(inMeshOr(config, CONSUL_UNUSED));
    const [servers, elsewhere] = [serversOfLate(examination), otherAgent(examination)];
    try {
      await examination.leader();
      const other = await elsewhere;
      return other
        ? warn("CONSUL_OTHER", `${consul} answers, and ${other.evidence}`, other.advice)
        : ok(`${consul} answers`);
    } catch (error) {
      const other = await elsewhere;
      const { code, evidence, advice: own } = whyNoAgent(config, error, await servers);
      const [first = "", ...more] = partsOf(evidence);
      const seen = [...more, ...(other ? [other.evidence] : [])];
      const advice = [...(other ? [other.advice] : []), ...partsOf(own)];
      return use === "needed"
        ? fail(code, [first, ...seen], [...unwanted(config), ...advice])
        : warn(code, [`${first} (${LESS[use]})`, ...seen], advice);
    }
  },
};

/** An agent answers what it knows by itself at once. Milliseconds. */
const LATE = 500;

/**
 * The servers that an agent knows which has not answered for a while: it may wait for these. Asked beside the first
 * question, for where it hangs each takes as long as it is waited for. Undefined: it does not tell, or is not late.
 */
async function serversOfLate({ leader, servers }: Examination): Promise<readonly ServerMember[] | undefined> {
  const answered = leader().then(
    () => false,
    () => false,
  );
  const isLate = await Promise.race([answered, sleep(LATE, true, { ref: false })]);
  return isLate ? servers() : undefined;
}

/** An agent that the srv-epmd here uses in place of the one that doctor asks. */
export async function otherAgent({ config, daemon }: Examination): Promise<OtherUrl | undefined> {
  const used = (await daemon())?.consul;
  return otherUrl("consul", config.consul, config, used?.publishes ? used.url : undefined);
}

/** In a mesh, what runs the proxies registers the services: serve is probably not meant to publish anything. */
function unwanted(config: Config): string[] {
  if (!isMeshed(config) || asksAgent(config)) return [];
  return ["Nomad registers the services of a mesh: give serve --register none (SRV_EPMD_REGISTER=none)"];
}

interface NoAgent {
  readonly code: ProblemCode;
  readonly evidence: Parts;
  readonly advice: Parts;
}

function whyNoAgent({ consul, nomad }: Config, error: unknown, servers: readonly ServerMember[] | undefined): NoAgent {
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
  const isLate = silenceOf(error) === "timeout";
  if (isLate && servers) return explainWaiting(consul, said, servers);
  if (isLate) return { code: "CONSUL_DOWN", evidence, advice: noAnswerAdvice(consul) };
  const bridge =
    isAgentHere(consul) && agentHost(consul) !== ""
      ? `in a container or Nomad's bridge network that address is the task itself: give --consul http://${clientAddress(nomad.ports) ?? "<address of the host>"}:8500 (attr.unique.network.ip-address), and set client_addr in the agent's configuration`
      : undefined;
  return {
    code: "CONSUL_DOWN",
    evidence,
    advice: [`start the agent, or ${WHERE}`, ...(bridge === undefined ? [] : [bridge])],
  };
}

const WHERE = "give its address with --consul or CONSUL_HTTP_ADDR";
