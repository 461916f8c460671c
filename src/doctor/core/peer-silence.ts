import type { IpPort } from "../../config/network-values.js";
import { hostPort } from "../../net/ip.js";

/** What is known where an endpoint of a node does not answer a connection attempt. */
export interface Silence {
  readonly endpoint: IpPort;
  /** Whether anything answers at the EPMD port of that address: a refusal is an answer. */
  readonly epmdPort: { readonly port: number; readonly answers: boolean };
  /** Undefined: Consul has no entry there. */
  readonly agent: AgentThere | undefined;
}

/** The Consul agent that has the entry of the node. */
export interface AgentThere {
  /** Name of its machine. */
  readonly machine: string;
  readonly address: string;
  /** Consul's servers reach it (serfHealth). */
  readonly isReached: boolean;
  /** Something answers at the port of the node at its address; undefined: that is the address that was dialled. */
  readonly answers: boolean | undefined;
}

export interface Explained {
  readonly evidence: readonly string[];
  /** The likeliest cause first, each with what to look at. */
  readonly advice: readonly string[];
}

/** Where a rule may stand that keeps this machine from a port of another one: the likeliest first. */
export const RULES = "nft list ruleset there (input) and here (output), security groups";

/** A firewall, a machine that is down, or a wrong address: what else is seen says which is likely. */
export function explainSilence({ endpoint, epmdPort, agent }: Silence): Explained {
  const { address, port } = endpoint;
  const where = agent ? `${agent.machine} (${address})` : address;
  const firewall = `look for a firewall that drops TCP port ${port} of ${where} for this machine: ${RULES}`;
  const wrong = `compare the address with those of ${agent?.machine ?? "its machine"}, and give serve there another --advertise-address if it is wrong`;
  const down = `see that ${agent?.machine ?? "its machine"} runs, and that it is reached from here: ping ${address}`;
  const explained = (seen: readonly string[], ...advice: readonly string[]): Explained => ({
    evidence: [`${hostPort(endpoint)} does not answer a connection attempt`, ...seen],
    advice,
  });
  if (epmdPort.answers)
    return explained([`its machine answers, at ${hostPort(address, epmdPort.port)}`], firewall, wrong);
  if (agent?.answers) {
    return explained([`its machine answers at ${agent.address}, the address of its Consul agent`], wrong, firewall);
  }
  const silent = `nothing answers at ${hostPort(address, epmdPort.port)} either`;
  if (!agent) return explained([silent], down, firewall, wrong);
  if (!agent.isReached) {
    return explained(
      [silent, `Consul's servers do not reach the agent of ${agent.machine} either`],
      down,
      firewall,
      wrong,
    );
  }
  // Serf's failure detection.
  const alive = `Consul's servers reach the agent of ${agent.machine}, if that has not changed in the last half minute`;
  return explained([silent, alive], firewall, agent.answers === undefined ? down : wrong);
}
