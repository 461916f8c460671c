import type { ServerMember } from "../../consul/core/members.js";
import { hostPort } from "../../net/ip.js";
import { listed } from "../../text.js";
import { RULES } from "./peer-silence.js";
import type { ProblemCode } from "./problems.js";

/** What is known where an agent answers and its servers do not. */
export interface Leaderless {
  /** The agent's message, where it sent one. */
  readonly said: string | undefined;
  /** Undefined: the agent does not tell. */
  readonly servers: readonly ServerMember[] | undefined;
}

export interface ExplainedServers {
  readonly code: ProblemCode;
  readonly evidence: readonly string[];
  readonly advice: readonly string[];
}

const HERE_ALONE = "others may see everything, but not what is registered here now";
const NOBODY = "nobody sees what is registered now";
const BY_ITSELF = "srv-epmd then continues by itself";

/** Servers without a leader, or an agent that reaches none of them: then the servers may be well. */
export function explainLeaderless({ said, servers }: Leaderless): ExplainedServers {
  const dialled = dialledIn(said);
  if (dialled) return notReached(dialled, servers);
  // The second is that of a call which has waited for the connection of another one.
  if (said !== undefined && /No known Consul servers|failed to get conn/.test(said)) return noServer(said, servers);
  const isWhole = servers?.every(({ state }) => state === "alive") ?? true;
  return {
    code: "CONSUL_NO_LEADER",
    evidence: [
      `Consul's servers have no leader${said === undefined ? "" : `, as far as the agent knows (${said})`}: ${NOBODY}`,
      ...(isWhole ? [] : [`the agent knows the servers ${serversWords(servers)}`]),
    ],
    advice: ["bring back a majority of the servers (consul operator raft list-peers, consul members)", BY_ITSELF],
  };
}

/** An agent that answers what it knows by itself, and waits for its servers longer than it is waited for here. */
export function explainWaiting(consul: string, said: string, servers: readonly ServerMember[]): ExplainedServers {
  const known = servers.length === 0 ? "it knows no server" : `it knows the servers ${serversWords(servers)}`;
  return {
    code: "CONSUL_NO_SERVER",
    evidence: [`${consul} answers what the agent knows by itself, and not what it asks its servers: ${said}`, known],
    advice: [servers.length === 0 ? JOIN : reach(servers), BY_ITSELF],
  };
}

/** A server to which the agent could not connect. */
interface Dialled {
  readonly address: string;
  readonly port: number;
  /** Of Go's net package: `connection refused`, `i/o timeout` */
  readonly why: string;
}

/** `dial tcp 10.0.0.3:0->10.0.0.1:8300: connect: no route to host` */
function dialledIn(said: string | undefined): Dialled | undefined {
  const [, address, port, why = ""] =
    /dial tcp (?:\S+->)?(\[[0-9a-f:.]+\]|[0-9.]+):(\d+): (?:connect: )?(.+)$/i.exec(said?.trim() ?? "") ?? [];
  return address === undefined ? undefined : { address: address.replace(/[[\]]/g, ""), port: Number(port), why };
}

function notReached({ address, port, why }: Dialled, servers: Leaderless["servers"]): ExplainedServers {
  const name = servers?.find((server) => server.address === address)?.name;
  const server = name === undefined ? hostPort(address, port) : `${name} (${hostPort(address, port)})`;
  return {
    code: "CONSUL_NO_SERVER",
    evidence: [`Consul's agent here does not reach its server ${server}: ${why}; ${HERE_ALONE}`],
    advice: [
      wayTo({ address, port, why }, name ?? "its machine"),
      "if the servers have no leader either (consul operator raft list-peers on one of them), bring back a majority of the servers",
      BY_ITSELF,
    ],
  };
}

function wayTo({ address, port, why }: Dialled, machine: string): string {
  const route = `ip route get ${address}`;
  if (/network is unreachable/.test(why)) return `see the link and the routes of this machine: ip addr; ${route}`;
  if (/refused/.test(why)) {
    return `see that the Consul server runs on ${machine} (there: consul members), and that no firewall rejects TCP port ${port}: ${RULES}`;
  }
  const firewall = `that no firewall ${/timeout/.test(why) ? "drops" : "rejects or drops"} TCP port ${port}: ${RULES}`;
  return `see that ${machine} runs and is reached from here (ping ${address}; ${route}), and ${firewall}`;
}

const JOIN =
  "join it to a server that runs: consul join <address of a server>; retry_join in its configuration does so by itself";

/** Of an agent that has not joined, that all servers have left, or that does not connect to any. */
function noServer(said: string, servers: Leaderless["servers"]): ExplainedServers {
  const code = "CONSUL_NO_SERVER";
  if (!servers || servers.length === 0) {
    const unknown = `consul members lists whom it knows: servers among them have to run and be reached from here; where none is, ${JOIN}`;
    return {
      ...{
        code,
        evidence: [`Consul's agent here ${servers ? "knows" : "reaches"} no server (${said}); ${HERE_ALONE}`],
      },
      advice: servers ? [JOIN] : [unknown],
    };
  }
  return {
    ...{ code, advice: [reach(servers), BY_ITSELF] },
    evidence: [`Consul's agent here does not reach its servers: ${serversWords(servers)} (${said}); ${HERE_ALONE}`],
  };
}

/** What helps an agent that knows servers and gets no answer from them. */
function reach(servers: readonly ServerMember[]): string {
  // One that has left does not come back by itself.
  const [server] = [...servers.filter(({ state }) => state !== "left"), ...servers];
  if (!server) return JOIN;
  const { name, address, state } = server;
  if (state === "left") {
    return `start the Consul server of ${name} again; if it does not join by itself (retry_join), consul join ${address}`;
  }
  return `see that the Consul server of ${name} runs, and that it is reached from here: ping ${address}; ip route get ${address}; TCP port 8300, TCP and UDP port 8301 (${RULES}); the agent then finds it again by itself`;
}

/** `box1 (10.0.0.1) failed, box2 (10.0.0.2) alive` */
function serversWords(servers: readonly ServerMember[] = []): string {
  return listed(servers.map(({ name, address, state }) => `${name} (${address}) ${state}`));
}
