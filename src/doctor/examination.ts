import type { Config } from "../config/config.js";
import type { DnsServer } from "../config/network-values.js";
import { isBridged } from "../config/nomad.js";
import type { Logger } from "../daemon/logger.js";
import type { Cookie } from "../distribution/cookie.js";
import type { NameServer } from "../dns/exchange.js";
import { Domains } from "../names/domains.js";
import { hostPartOf, type NodeName } from "../names/node-name.js";
import { LOOPBACKS } from "../net/endpoint.js";
import { type Machine, thisMachine } from "../os/machine.js";
import { isGatewayItself, zoneOf } from "../resolve/beside-daemon.js";
import { composeForLookUps, type LookUps } from "../resolve/compose.js";
import type { ProbedPlace } from "../resolve/twins.js";
import type { Finding } from "./core/finding.js";
import { type ExaminedCatalogues, examinedCatalogues } from "./examined-catalogues.js";
import { type ExaminedHere, examinedHere } from "./examined-here.js";
import { type AskedNode, askedNode, type ExaminedNode, examinedNode } from "./examined-node.js";
import type { LocalNode } from "./local-epmd.js";
import type { LocalVm } from "./local-vms.js";
import { once } from "./once.js";
import { DIAL_TIMEOUT, dialAll, dialNode } from "./probe-place.js";
import { type PublishedNode, publishedNodes } from "./published-nodes.js";
import { findStandIn } from "./stand-in.js";

/** What the checks look at. Each part is found when the first check asks for it, once. */
export interface Examination extends ExaminedHere, ExaminedNode, ExaminedCatalogues {
  readonly config: Config;
  readonly machine: Machine;
  readonly domains: Domains;
  readonly log: Logger;
  readonly resolving: LookUps;
  readonly asked: AskedNode | undefined;
  /** Probes compare the cookie of the node asked about. */
  readonly hasCookie: boolean;
  /** The VMs here without the node asked about: a node does not dial itself. */
  readonly peersOfAsked: () => Promise<readonly LocalVm[]>;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
  /** Of the examination. Milliseconds since the epoch. */
  readonly startedAt: number;
  /** Nomad's bridge network: the host's addresses are not those of the task. */
  readonly isBridged: boolean;
  /** Where a native end of Connect takes callers; undefined: it is not known, or there is none. */
  readonly connectPort: () => Promise<number | undefined>;
  /** The nodes here, as others find them. */
  readonly published: () => Promise<readonly PublishedNode[]>;
  /** Who is at the endpoints of a node that is published here. */
  readonly dial: (node: PublishedNode) => Promise<readonly ProbedPlace[]>;
  /** Consul's agent, which is asked in place of name servers that do not know its domain, as serve does. */
  readonly standIn: () => Promise<NameServer | undefined>;
  /** Name servers of `--dns`, and the zone that serve would have. */
  readonly nameServers: readonly DnsServer[];
  readonly isOwnServer: (server: NameServer) => boolean;
  readonly close: () => Promise<void>;
}

/** One check of doctor. */
export interface Check {
  /** Stable: scripts and the manual name it. */
  readonly id: string;
  /** What is looked at, for the manual. */
  readonly title: string;
  readonly run: (examination: Examination) => Promise<Finding>;
}

/** Of a look-up, so that all checks end within seconds. Milliseconds. */
const LONGEST_LOOK_UP = 4_000;
/** Of a host, as a VM on this machine resolves it. Milliseconds. */
export const RESOLVE_TIMEOUT = 2_000;

/** @param cookie of the cluster, for the node that is asked about. @throws ConfigError */
export function examine(
  given: Config,
  name: NodeName | undefined,
  operand: string,
  log: Logger,
  cookie?: Cookie,
): Examination {
  const config: Config = { ...given, timeout: Math.min(given.timeout, LONGEST_LOOK_UP) };
  const machine = thisMachine();
  const resolving = composeForLookUps(config, log, { follow: true });
  const asked = askedNode(name, operand, resolving);
  const here = examinedHere(config, asked?.host, asked && cookie);
  const catalogues = examinedCatalogues(config, asked, log);
  const standIn = once(async () => {
    const { connect, leader } = catalogues;
    const deps = { config, machine, connect, leader, setFor: resolving.dns.setFor };
    const server = await findStandIn(asked ? [asked.host] : [], deps);
    if (server) resolving.dns.standIn({ domain: config.consulDomain, ...server });
    return server;
  });
  const hasDaemon = async () => (await here.daemon()) !== undefined;
  const node = examinedNode(asked, { config, resolving, hasDaemon, standIn, cookie });
  const connectPort = once(async () => (await here.daemon())?.relays?.native?.port);
  return {
    ...{ ...here, ...node, ...catalogues },
    ...{ config, machine, domains: new Domains(config, machine), log, resolving, asked },
    hasCookie: cookie !== undefined,
    peersOfAsked: async () => {
      const found = await node.resolution();
      const places = found.outcome === "found" ? found.endpoints : [];
      const own = [...LOOPBACKS, ...machine.addresses()];
      const isItself = ({ aliveName, port }: LocalNode) =>
        aliveName === name?.aliveName && places.some((place) => place.port === port && own.includes(place.address));
      return (await here.localVms()).filter((vm) => !isItself(vm.node));
    },
    ...{ now: Date.now, startedAt: Date.now() },
    isBridged: config.nomad.ports.some(isBridged),
    connectPort,
    published: once(async () => {
      await standIn();
      return publishedNodes({ config, machine, nodes: here.nodes, connectPort, resolving });
    }),
    dial: async ({ full, aliveName, resolution: seen }) => {
      if (seen.outcome !== "found") return [];
      // The host part is examined by node-name.
      const isAsked = (said: string) => said.startsWith(`${aliveName}@`);
      const how = { isAsked, serverName: hostPartOf(full), timeout: DIAL_TIMEOUT };
      return dialAll(seen.endpoints, (endpoint) => dialNode(full, endpoint, how, resolving));
    },
    standIn,
    nameServers: [...config.dns, ...zoneOf(config)],
    isOwnServer: (server) => isGatewayItself(config, machine, server),
    close: async () => {
      await Promise.all([resolving.close(), catalogues.close()]);
    },
  };
}
