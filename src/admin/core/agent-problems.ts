import { isAgentHere, noAnswerAdvice } from "../../consul/core/silent-agent.js";
import { SILENT_RELAY } from "../../relay/core/trouble.js";
import { listed } from "../../text.js";
import { asSentence, failedCheck, MOST_NAMED, problem, type Rule } from "./rule.js";
import type { Status } from "./status.js";

type Consul = Status["consul"];

/** Consul's agent keeps several conditions from being met: what it has of the nodes is not known. */
function consulRule(
  code: string,
  sentence: (consul: Consul, reason: string) => string,
  advice: (consul: Consul) => string,
): Rule {
  return {
    code,
    level: "error",
    explains: ["consul", "published"],
    find: ({ status: { consul } }) => {
      const { trouble } = consul;
      return trouble?.code === code ? [problem(sentence(consul, trouble.reason), advice(consul))] : [];
    },
  };
}

function silentAdvice({ url, trouble }: Consul): string {
  switch (trouble?.fault) {
    case "timeout":
      return asSentence(noAnswerAdvice(url));
    case "no-way":
      return `See that the machine of ${url} runs, and that this one has a way to it, or give another agent with --consul.`;
    default:
      return isAgentHere(url)
        ? "Start the agent of this machine (systemctl status consul says why it is down), or say with --consul where it is."
        : `Start the agent at ${url}, or say with --consul where it is.`;
  }
}

/** What this srv-epmd depends on: its relay process, its VM, the agents of Consul and Nomad. */
export const AGENT_RULES: readonly Rule[] = [
  {
    code: "STOPPING",
    level: "warning",
    explains: ["stopping"],
    find: (facts) =>
      failedCheck(facts, "stopping")
        ? [
            problem(
              "This srv-epmd is stopping.",
              "Nothing is to be done: nodes that live on stay published for the next one.",
            ),
          ]
        : [],
  },
  {
    code: "RELAY_SILENT",
    level: "error",
    explains: ["gateway"],
    find: (facts) => {
      const { reason, advice = SILENT_RELAY } = failedCheck(facts, "gateway") ?? {};
      if (reason === undefined) return [];
      const sentence = `VMs here reach no node on another machine through the gateway: ${reason}.`;
      return [problem(sentence, asSentence(advice))];
    },
  },
  {
    code: "NO_NODE",
    level: "error",
    explains: ["node"],
    find: (facts) => {
      const reason = failedCheck(facts, "node")?.reason;
      if (reason === undefined) return [];
      const { port } = facts.status.epmd;
      const variable = port === 4369 ? "" : `, with ERL_EPMD_PORT=${port} in its environment`;
      return [
        problem(
          `The VM of this allocation is no node: ${reason}.`,
          `Look into the log of its task for why it does not start, or starts without a name: it needs -name or -sname (RELEASE_DISTRIBUTION=name), and registers at port ${port} of 127.0.0.1${variable}.`,
        ),
      ];
    },
  },
  consulRule(
    "CONSUL_SILENT",
    ({ url }, reason) => `The Consul agent at ${url} does not answer: ${reason}.`,
    (consul) => `${silentAdvice(consul)} Meanwhile nodes register here, and are published when it is back.`,
  ),
  consulRule(
    "CONSUL_FILE",
    (_, reason) => `Consul is not asked: ${reason}.`,
    () =>
      "Make the file readable for the user of srv-epmd, or name another one (--consul-token-file, CONSUL_CACERT, CONSUL_CLIENT_CERT, CONSUL_CLIENT_KEY).",
  ),
  consulRule(
    "CONSUL_LOGIN",
    (_, reason) => `srv-epmd has no token for Consul: ${reason}.`,
    () =>
      "Compare the auth method's binding rules with the claims of the JWT: consul acl binding-rule list -method=NAME, with the name of --consul-auth-method.",
  ),
  consulRule(
    "CONSUL_ERRORS",
    ({ url, trouble }, reason) =>
      trouble?.fault === "no-server"
        ? `The Consul agent at ${url} reaches no server of Consul's: ${reason}.`
        : `The Consul agent at ${url} answers with an error: ${reason}.`,
    ({ trouble }) => {
      const first =
        trouble?.fault === "no-server"
          ? "Run srv-epmd doctor here: consul-leader says what keeps the agent from its servers; the log of the agent says which of them it has tried."
          : "See whether its servers have a leader (consul operator raft list-peers), and what its log says.";
      return `${first} Meanwhile what Consul has of the nodes here is not known.`;
    },
  ),
  {
    code: "CONSUL_UNASKED",
    level: "warning",
    explains: ["consul", "published"],
    find: (facts) =>
      failedCheck(facts, "consul") && facts.status.consul.trouble === undefined
        ? [
            problem(
              "Consul has not been asked yet.",
              "This ends within a second of the start; if it does not, the log has the reason in a line that begins with nothing is published.",
            ),
          ]
        : [],
  },
  {
    code: "NOMAD_SILENT",
    level: "error",
    explains: ["nomad", "entry"],
    find: ({ status: { nomad } }) =>
      nomad?.trouble
        ? [
            problem(
              `Nodes are not found in Nomad's catalogue: ${nomad.trouble.reason}.`,
              nomad.trouble.fault === "timeout"
                ? `See the log of Nomad's agent at ${nomad.url}, which gives no answer in time: it waits for servers that it does not reach (nomad server members), or is stopped (kill -CONT), or a firewall drops what goes to it.`
                : `See that Nomad's agent answers at ${nomad.url} (NOMAD_ADDR, --nomad-addr), and that the task has a token for it: identity { env = true file = true }, NOMAD_TOKEN or --nomad-token-file.`,
            ),
          ]
        : [],
  },
  {
    code: "DOMAIN_UNKNOWN",
    level: "error",
    find: ({ status: { consul, resolver } }) =>
      resolver.flatMap(({ domain, state, servers, reason, advice }) => {
        // An agent that answers has a DNS that can be asked.
        if (state !== "unknown" || consul.trouble) return [];
        const said = servers.length === 0 ? ["none is asked for it"] : servers;
        const why = [...said, ...(reason === undefined ? [] : [reason])].join("; ");
        return [
          problem(
            `No name server knows ${domain}, so nodes there are not found by DNS: ${why}.`,
            asSentence(advice ?? "name one that knows it with --dns"),
          ),
        ];
      }),
  },
  {
    code: "CLUSTER_UNKNOWN",
    level: "warning",
    find: ({ status: { cluster, consul, nomad } }) => {
      if (cluster.outcome !== "unavailable" || consul.trouble || nomad?.trouble) return [];
      const isRefused = cluster.code === "CONSUL_FORBIDDEN" || cluster.code === "NOMAD_FORBIDDEN";
      return [
        problem(
          `The nodes of the cluster are not known: ${cluster.cause}.`,
          isRefused
            ? 'Give the token the right to read: in Consul service "<service>" { policy = "read" } and node_prefix "" { policy = "read" }, in Nomad namespace "<namespace>" { capabilities = ["read-job"] }.'
            : "Run srv-epmd doctor here: it says whether the agent answers, and whether its servers have a leader.",
        ),
      ];
    },
  },
  {
    code: "CLUSTER_UNREAD",
    level: "warning",
    find: ({ status: { cluster } }) => {
      if (cluster.outcome !== "listed" || cluster.missingPolicies === undefined) return [];
      const policies = cluster.missingPolicies.join(" ");
      return [
        problem(
          `Consul shows no node of the cluster to the token of srv-epmd, which lacks the policy ${policies}.`,
          `Give it that policy: Consul leaves out, without an error, what a token may not read. Until then look-ups are left to DNS, which has the nodes if the agent's default token may read them.`,
        ),
      ];
    },
  },
  {
    code: "CATALOGUE_BEHIND",
    level: "warning",
    find: ({ status: { followed, consul, nomad } }) =>
      (["consul", "nomad"] as const).flatMap((catalogue) => {
        if (catalogue === "consul" ? consul.trouble : nomad?.trouble) return [];
        const silent = followed.filter((one) => one.catalogue === catalogue && isBehind(one));
        if (silent.length === 0) return [];
        const title = catalogue === "consul" ? "Consul" : "Nomad";
        const services = listed(
          silent.map(({ service }) => service),
          MOST_NAMED,
        );
        const meanwhile =
          catalogue === "consul" ? "DNS is asked instead" : "what it told last is used, and may be out of date";
        return [
          problem(
            `${title} does not tell which nodes ${services} has: ${meanwhile}.`,
            `See what the log of srv-epmd says of ${title}, which names the error of the last query.`,
          ),
        ];
      }),
  },
];

function isBehind({ state }: Status["followed"][number]): boolean {
  return state === "broken" || state === "behind";
}
