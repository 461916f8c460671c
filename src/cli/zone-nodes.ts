import type { ClusterNode } from "../catalogue/core/instances.js";
import type { IpPort } from "../config/network-values.js";
import { portPlease } from "../epmd/client.js";
import { decodeEndpoints, type NamesAnswer } from "../epmd/wire/responses.js";
import { hostPort, isLoopback } from "../net/ip.js";
import type { Glob } from "../text.js";

/** A domain that is in no catalogue, and the alive names in it that are asked for. */
export interface ZoneDomain {
  readonly glob: Glob;
  /** Fully qualified. */
  readonly host: string;
}

interface ZoneDeps {
  /** The nodes that match a pattern, with full names, and the EPMD that has them. @throws EpmdError */
  readonly list: (pattern: string) => Promise<{ readonly epmd: IpPort; readonly answer: NamesAnswer }>;
  /** Milliseconds for an answer. */
  readonly timeout: number;
  readonly machine: string;
}

/** The nodes under domains that the srv-epmd of this machine serves itself (--dns-listen): it has those that are alive. @throws EpmdError */
export async function nodesInZones(domains: readonly ZoneDomain[], deps: ZoneDeps): Promise<ClusterNode[]> {
  const lists = domains.map(async ({ glob, host }) => {
    const { epmd, answer } = await deps.list(`${glob.pattern}@${host}`);
    const nodes: ClusterNode[] = [];
    // One after the other: there may be thousands, and each costs a connection to this machine.
    for (const { name, port } of answer.names) nodes.push(await describe(name, port, epmd, deps));
    return nodes;
  });
  return (await Promise.all(lists)).flat();
}

async function describe(
  node: string,
  listedPort: number,
  epmd: IpPort,
  { timeout, machine }: ZoneDeps,
): Promise<ClusterNode> {
  // It may end between the two answers.
  const answer = await portPlease(epmd, node, { timeout, forwarded: true });
  const [endpoint] = answer ? decodeEndpoints(answer.extra) : [];
  const { address, port } = endpoint ?? { address: epmd.address, port: listedPort };
  return {
    ...{ node, health: "passing", address, port, age: undefined },
    instance: hostPort(epmd),
    machine: isLoopback(address) ? machine : address,
  };
}
