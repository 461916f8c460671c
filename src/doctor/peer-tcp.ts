import type { Probe } from "../distribution/core/words.js";
import type { Endpoint } from "../net/endpoint.js";
import { canonicalIp, hostPort } from "../net/ip.js";
import type { ProbedPlace } from "../resolve/twins.js";
import { accepts, NOT_NAMED, softened, UNKNOWN } from "./asked-node.js";
import { type Finding, fail, ok, skip, together } from "./core/finding.js";
import { type Explained, explainSilence } from "./core/peer-silence.js";
import { explainRefusal, explainUnreachable } from "./core/peer-unreached.js";
import type { ProblemCode } from "./core/problems.js";
import { entriesOf } from "./entries-of.js";
import type { Check, Examination } from "./examination.js";
import type { AskedNode } from "./examined-node.js";
import { epmdPortAt, probePlace } from "./probe-place.js";

const PROBE_TIMEOUT = 3_000;

export const peerTcp: Check = {
  id: "peer-tcp",
  title: "a TCP connection to each endpoint of the node",
  run: async (examination) => {
    const { asked } = examination;
    if (!asked) return NOT_NAMED;
    const all = await examination.probes();
    if (all.length === 0) return skip(UNKNOWN);
    const resolution = await examination.resolution();
    const isUpstream = resolution.outcome === "found" && resolution.source === "upstream";
    const findings = await Promise.all(
      all.map(async (one) => {
        if (accepts(one) || isUpstream) return connection(one);
        const agent = await agentOf(one.endpoint, asked, examination);
        return atItsAgent(one.endpoint, asked, agent) ?? (await unanswered(one, agent, examination)) ?? connection(one);
      }),
    );
    // One endpoint that answers is enough: look-ups put it first.
    return together(softened(findings, all.some(accepts)), UNKNOWN);
  },
};

/** The Consul agent that has the entry of an endpoint. */
interface AgentOf {
  readonly machine: string;
  readonly address: string;
  readonly isReached: boolean;
  /** Who is at its address, where another one is published. */
  readonly probe: Probe | undefined;
}

/** Undefined: Consul has no such entry, or does not tell the address of its agent. Never rejects. */
async function agentOf(endpoint: Endpoint, asked: AskedNode, examination: Examination): Promise<AgentOf | undefined> {
  const entry = (await entriesOf(asked, examination)).find((one) => hostPort(one) === hostPort(endpoint));
  const address = canonicalIp(entry?.machineAddress ?? "");
  if (!entry || address === undefined) return undefined;
  const agent = { machine: entry.machine, address, isReached: entry.obstacle?.kind !== "agent" };
  if (address === endpoint.address) return { ...agent, probe: undefined };
  const isAsked = (name: string) => name.startsWith(`${asked.name.aliveName}@`);
  const how = { isAsked, serverName: asked.host, timeout: PROBE_TIMEOUT };
  return { ...agent, probe: await probePlace({ address, port: endpoint.port }, how) };
}

/** A failure where the node answers at the address of the Consul agent that has its entry, which publishes another one. */
function atItsAgent(endpoint: Endpoint, { full }: AskedNode, agent: AgentOf | undefined): Finding | undefined {
  if (agent?.probe?.result !== "node") return undefined;
  const { address, machine } = agent;
  return fail(
    "PEER_WRONG_ADDRESS",
    `${full} is published at ${hostPort(endpoint)}, and it answers at ${hostPort(address, endpoint.port)}, the address of its Consul agent on ${machine}: the address that is published is wrong`,
    `on ${machine}, publish the address at which it answers: give serve --advertise-address ${address}, or none, which publishes that of the agent`,
  );
}

/** Undefined: a connection is made, or it is reached in another way. */
async function unanswered(
  { endpoint, probe }: ProbedPlace,
  agent: AgentOf | undefined,
  { config: { port } }: Examination,
): Promise<Finding | undefined> {
  if (probe.result === "refused") return explained("PEER_REFUSED", explainRefusal(endpoint));
  if (probe.result !== "silent" && probe.result !== "unreachable") return undefined;
  const epmdPort = await epmdPortAt(endpoint.address, port);
  if (probe.result === "unreachable") {
    return explained("PEER_NO_ROUTE", explainUnreachable({ endpoint, epmdPort, code: probe.code }));
  }
  const there = agent && { ...agent, answers: agent.probe && isAnswer(agent.probe) };
  return explained("PEER_NO_ANSWER", explainSilence({ endpoint, epmdPort, agent: there }));
}

const explained = (code: ProblemCode, { evidence, advice }: Explained) => fail(code, evidence, advice);

function isAnswer({ result, connectMs }: Probe): boolean {
  return connectMs !== undefined || result === "refused";
}

/** A connection that was made; else that of an upstream, whose sidecar proxy listens here. */
function connection({ endpoint, probe }: ProbedPlace): Finding {
  const place = hostPort(endpoint);
  if (probe.connectMs !== undefined) return ok(`${place} accepts connections (${probe.connectMs.toFixed(1)} ms)`);
  switch (probe.result) {
    case "refused":
      return fail(
        "PEER_REFUSED",
        `${place} refuses connections: nothing listens there`,
        "start the sidecar proxy here, which listens there for the node",
      );
    case "connect":
      return skip(`${place} is reached inside Consul Connect alone: see peer-handshake`);
    default:
      return fail(
        "PEER_NO_ANSWER",
        `${place} does not answer a connection attempt`,
        "see that the sidecar proxy here, which listens there for the node, is not stopped",
      );
  }
}
