import type { IpPort } from "../config/network-values.js";
import { portPleaseWhy, type WhyAnswer } from "../epmd/client.js";
import { decodeEndpoints, type Port2Answer } from "../epmd/wire/responses.js";
import { describeError } from "../errors.js";
import { formatNodeName, type NodeName } from "../names/node-name.js";
import type { Endpoint } from "../net/endpoint.js";
import { familyOf, hostPort } from "../net/ip.js";
import { epmdErrorCode, notFound, type ShownResolution, unavailable } from "../resolve/core/resolution.js";

/** Which EPMD was asked, and what a stock VM is told there. */
export interface ViaSeen {
  /** `127.0.0.1:4369` */
  readonly epmd: string;
  /** Undefined when only a bare name was asked for, or the EPMD did not answer. */
  readonly kind?: "srv-epmd" | "stock";
  readonly aliveName: string;
  /** Where a stock VM dials that has asked there, with the alive name alone; null: it is told no port. */
  readonly stockVm: string | null;
}

interface ViaOptions {
  /** Milliseconds for each of the two requests. */
  readonly timeout: number;
  readonly trace?: (step: string) => void;
}

/** Asks a running EPMD: with the full name, as the module does, and with the alive name alone, as a stock VM does. Never rejects. */
export async function resolveVia(
  epmd: IpPort,
  node: NodeName,
  options: ViaOptions,
): Promise<{ answer: ShownResolution; via: ViaSeen }> {
  const { aliveName } = node;
  const where = hostPort(epmd.address, epmd.port);
  try {
    const bare = await ask(epmd, aliveName, options);
    const full = node.host === undefined ? undefined : await ask(epmd, fullName(node), options);
    const stockVm = bare.node ? hostPort(epmd.address, bare.node.port) : null;
    const endpoints = full?.node ? endpointsOf(full.node) : undefined;
    const isOurs = endpoints !== undefined || full?.reason !== undefined;
    const kind = isOurs ? "srv-epmd" : "stock";
    const via: ViaSeen = { epmd: where, ...(full && { kind }), aliveName, stockVm };
    if (endpoints) return { via, answer: found(endpoints) };
    if (full?.reason !== undefined) return { via, answer: notFound("EPMD_NO_NODE", full.reason) };
    // An EPMD that knows no full names has only nodes of its own address.
    if (bare.node) return { via, answer: found([{ ...epmd, port: bare.node.port }]) };
    return { via, answer: notFound("EPMD_NO_NODE", `${where} has no port for ${aliveName}`) };
  } catch (error) {
    const answer = unavailable(epmdErrorCode(error), describeError(error));
    return { answer, via: { epmd: where, aliveName, stockVm: null } };
  }
}

function fullName(node: NodeName): string {
  return `${formatNodeName(node)}${node.family === undefined ? "" : `/${node.family}`}`;
}

async function ask(epmd: IpPort, name: string, { timeout, trace }: ViaOptions): Promise<WhyAnswer> {
  const startedAt = performance.now();
  const answer = await portPleaseWhy(epmd, name, { timeout });
  const said = answer.node ? `port ${answer.node.port}` : (answer.reason ?? "no such node");
  const elapsed = (performance.now() - startedAt).toFixed(1);
  trace?.(`- PORT_PLEASE2 ${name} to ${hostPort(epmd.address, epmd.port)}: ${said} (${elapsed} ms)`);
  return answer;
}

/** Undefined when Extra holds none: the EPMD has a node that was registered under that very name. */
function endpointsOf({ extra }: Port2Answer): readonly IpPort[] | undefined {
  try {
    const endpoints = decodeEndpoints(extra);
    return endpoints.length > 0 ? endpoints : undefined;
  } catch {
    return undefined;
  }
}

function found(places: readonly IpPort[]): ShownResolution {
  const endpoints = places.map(({ address, port }): Endpoint => {
    return { address, port, family: familyOf(address) ?? 4, priority: 0, weight: 0, target: address };
  });
  return { outcome: "found", source: "epmd", stale: false, ttl: 0, endpoints };
}
