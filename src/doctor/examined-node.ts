import type { Config } from "../config/config.js";
import type { Cookie } from "../distribution/cookie.js";
import { isAskedNode } from "../distribution/core/words.js";
import type { Again } from "../distribution/different-vms.js";
import { hostPartOf, type NodeName } from "../names/node-name.js";
import type { Endpoint } from "../net/endpoint.js";
import type { LookUps } from "../resolve/compose.js";
import { notFound, type Resolution } from "../resolve/core/resolution.js";
import type { NamedVm, ProbedPlace } from "../resolve/twins.js";
import { type AskedEpmd, foundByHost, lookByHost } from "./host-way.js";
import { type DaemonAnswer, resolvedByDaemon } from "./local-epmd.js";
import { once } from "./once.js";
import { DIAL_TIMEOUT, dialAll, dialNode } from "./probe-place.js";

/** The node that is asked about. */
export interface AskedNode {
  readonly name: NodeName;
  /** As written. */
  readonly operand: string;
  /** With its host expanded. */
  readonly full: string;
  readonly host: string;
}

/** What is found of the node asked about. Never rejects. */
export interface ExaminedNode {
  readonly resolution: () => Promise<Resolution>;
  /**
   * The EPMDs that stock VMs here ask for it at the address of its host, where no source of look-ups finds it; undefined
   * where one does, or that is not the way to it.
   */
  readonly hostWay: () => Promise<readonly AskedEpmd[] | undefined>;
  /** How the srv-epmd here finds it; undefined where none tells. */
  readonly toldByDaemon: () => Promise<DaemonAnswer | undefined>;
  /** Who is at its endpoints, in their order. */
  readonly probes: () => Promise<readonly ProbedPlace[]>;
  /** The VMs that have its name. */
  readonly vmsNamed: () => Promise<readonly NamedVm[]>;
}

interface NodeDeps {
  readonly config: Config;
  readonly resolving: LookUps;
  /** A srv-epmd with an HTTP side has the EPMD port. */
  readonly hasDaemon: () => Promise<boolean>;
  /** Look-ups wait for it. */
  readonly standIn: () => Promise<unknown>;
  readonly cookie: Cookie | undefined;
}

export function askedNode(
  name: NodeName | undefined,
  operand: string,
  { nodes }: Pick<LookUps, "nodes">,
): AskedNode | undefined {
  if (name === undefined) return undefined;
  const full = nodes.fullName(name);
  return { name, operand, full, host: hostPartOf(full) };
}

export function examinedNode(asked: AskedNode | undefined, deps: NodeDeps): ExaminedNode {
  const { config, resolving, hasDaemon, standIn, cookie } = deps;
  const bySources = once(async (): Promise<Resolution> => {
    if (!asked) return notFound("NAME_NO_SOURCE", "no node was named");
    await standIn();
    return resolving.nodes.resolve(asked.name, { sameHost: true });
  });
  const hostWay = once(async () => {
    if (!asked || (await bySources()).outcome === "found") return undefined;
    return lookByHost({ host: asked.host, aliveName: asked.name.aliveName }, config);
  });
  const resolution = once(async (): Promise<Resolution> => {
    const epmds = await hostWay();
    return (asked ? foundByHost(epmds ?? [], asked.host) : undefined) ?? (await bySources());
  });
  /** With the cookie the first time. */
  const dial = (node: AskedNode, endpoint: Endpoint, again?: Again) => {
    const isAsked = isAskedNode(node.name, node.operand, node.full);
    const how = { isAsked, serverName: node.host, timeout: DIAL_TIMEOUT, ...(again ?? { cookie }) };
    return dialNode(node.full, endpoint, how, resolving);
  };
  const probes = once(async () => {
    const found = await resolution();
    return asked && found.outcome === "found" ? dialAll(found.endpoints, (endpoint) => dial(asked, endpoint)) : [];
  });
  const vmsNamed = once(async () => {
    const found = await resolution();
    if (!asked || found.outcome !== "found") return [];
    const { name, full } = asked;
    return resolving.vmsNamed({ name, full, source: found.source, places: await probes() }, (endpoint, again) =>
      dial(asked, endpoint, again),
    );
  });
  return {
    ...{ resolution, hostWay, probes, vmsNamed },
    toldByDaemon: once(async () => (asked && (await hasDaemon()) ? resolvedByDaemon(config, asked.full) : undefined)),
  };
}
