import type { Config } from "../config/config.js";
import type { DnsServer, IpPort } from "../config/network-values.js";
import { isBridged } from "../config/nomad.js";
import { serverNameOf } from "../connect/core/inbound.js";
import type { ConsulClient } from "../consul/client.js";
import { type Leader, leader } from "../consul/examine.js";
import { type ReadRights, readRights, readsAll } from "../consul/rights.js";
import { ConsulSide } from "../consul/side.js";
import type { Logger } from "../daemon/logger.js";
import type { Cookie } from "../distribution/cookie.js";
import { isAskedNode, type Probe } from "../distribution/core/words.js";
import type { Again } from "../distribution/different-vms.js";
import { type ProbeOptions, probeNode } from "../distribution/probe.js";
import type { NameServer } from "../dns/exchange.js";
import { Domains } from "../names/domains.js";
import { hostPartOf, type NodeName } from "../names/node-name.js";
import { type Endpoint, LOOPBACKS } from "../net/endpoint.js";
import { isLoopback } from "../net/ip.js";
import type { NomadServiceQuery } from "../nomad/client.js";
import type { NomadInstance } from "../nomad/core/replies.js";
import { NomadSide } from "../nomad/side.js";
import type { Connection } from "../os/core/connections.js";
import { type Machine, thisMachine } from "../os/machine.js";
import { readConnections, readListeners } from "../os/sockets.js";
import { type RunningVm, runningVms } from "../os/vm-process.js";
import { isGatewayItself, zoneOf } from "../resolve/beside-daemon.js";
import { composeForLookUps, type Resolving } from "../resolve/compose.js";
import { notFound, type Resolution } from "../resolve/core/resolution.js";
import type { NamedVm, ProbedPlace } from "../resolve/twins.js";
import type { Finding } from "./core/finding.js";
import { tokenOfServe } from "./core/serve-token.js";
import { type AskedEpmd, foundByHost, lookByHost } from "./host-way.js";
import {
  type DaemonAnswer,
  type DaemonReport,
  daemonStatus,
  type LocalEpmd,
  type LocalNode,
  lookAtEpmd,
  nodesOf,
  resolvedByDaemon,
} from "./local-epmd.js";
import { type LocalVm, localVms } from "./local-vms.js";
import { once, onceEach } from "./once.js";
import { type PublishedNode, publishedNodes, servicesToRead } from "./published-nodes.js";
import { findStandIn } from "./stand-in.js";

/** The node that is asked about. */
export interface AskedNode {
  readonly name: NodeName;
  /** As written. */
  readonly operand: string;
  /** With its host expanded. */
  readonly full: string;
  readonly host: string;
}

/** What the checks look at. Each part is found when the first check asks for it, once. Only `leader`, `connect` and those of Nomad reject. */
export interface Examination {
  readonly config: Config;
  readonly machine: Machine;
  readonly domains: Domains;
  readonly log: Logger;
  readonly resolving: Resolving;
  readonly asked: AskedNode | undefined;
  /** Probes compare the cookie of the node asked about. */
  readonly hasCookie: boolean;
  readonly epmd: () => Promise<LocalEpmd>;
  /** Status of the srv-epmd that has the EPMD port; undefined where its HTTP side does not answer. */
  readonly daemon: () => Promise<DaemonReport | undefined>;
  /** The nodes registered with it. */
  readonly nodes: () => Promise<readonly LocalNode[]>;
  /** Their VMs, as peers see them; without helpers and nodes that live elsewhere. */
  readonly localVms: () => Promise<readonly LocalVm[]>;
  /** The same without the node asked about: a node does not dial itself. */
  readonly peersOfAsked: () => Promise<readonly LocalVm[]>;
  /** VMs that run on this machine. */
  readonly vms: () => Promise<readonly RunningVm[]>;
  /** Sockets that listen on this machine; undefined where there is no /proc. */
  readonly listeners: () => Promise<readonly IpPort[] | undefined>;
  /** Established connections of this machine, asked for before the checks run; empty where there is no /proc. */
  readonly connections: () => Promise<readonly Connection[]>;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
  /** Of the examination. Milliseconds since the epoch. */
  readonly startedAt: number;
  readonly connect: () => Promise<ConsulClient>;
  readonly nomad: Pick<NomadSide, "connect">;
  /** What Nomad's catalogue has of a service, asked for once. @throws NomadError */
  readonly instancesInNomad: (query: NomadServiceQuery) => Promise<readonly NomadInstance[]>;
  /** @throws ConsulError when the agent does not answer */
  readonly leader: () => Promise<Leader>;
  /** What the token may read of the services here and of the node asked about; undefined where the agent does not answer. */
  readonly rightsToRead: () => Promise<ReadRights | undefined>;
  /** How serve has a token for Consul, where doctor has none and needs it to read; undefined: it does not. Never rejects. */
  readonly missingToken: () => Promise<string | undefined>;
  /** Nomad's bridge network: the host's addresses are not those of the task. */
  readonly isBridged: boolean;
  /** Where a native end of Connect takes callers; undefined: it is not known, or there is none. */
  readonly connectPort: () => Promise<number | undefined>;
  /** The nodes here, as others find them. */
  readonly published: () => Promise<readonly PublishedNode[]>;
  /** Who is at the endpoints of a node that is published here. */
  readonly dial: (node: PublishedNode) => Promise<readonly ProbedPlace[]>;
  /** Of the node asked about. */
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

/** Limits of a look-up and of a call to Consul, so that all checks end within seconds. Milliseconds. */
const LONGEST_LOOK_UP = 4_000;
const CONSUL_TIMEOUT = 3_000;
/** Of a host, as a VM on this machine resolves it. */
export const RESOLVE_TIMEOUT = 2_000;
/** For each endpoint; all are dialled at once. */
const DIAL_TIMEOUT = 3_000;

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
  const consul = new ConsulSide(config, log, { timeoutMs: CONSUL_TIMEOUT });
  const nomad = new NomadSide(config, log, { timeoutMs: CONSUL_TIMEOUT });
  const zone = zoneOf(config);
  const isOwn = (server: NameServer) => isGatewayItself(config, machine, server);
  const resolving = composeForLookUps(config, log, { follow: true });
  const full = name && resolving.nodes.fullName(name);
  const asked = name && full && { name, operand, full, host: hostPartOf(full) };

  const epmd = once(() => lookAtEpmd(config.port));
  const daemon = once(async () => {
    const status = await daemonStatus(config);
    return status?.epmd.port === config.port ? status : undefined;
  });
  const listeners = once(readListeners);
  const connections = once(() => readConnections());
  const nodes = once(async () => nodesOf(await epmd(), await listeners()));
  const standIn = once(async () => {
    const deps = { config, machine, connect: () => consul.connect(), setFor: resolving.dns.setFor };
    const server = await findStandIn(asked ? [asked.host] : [], deps);
    if (server) resolving.dns.standIn({ domain: config.consulDomain, ...server });
    return server;
  });
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
  /** Inside the mutual TLS of Connect, where nodes elsewhere are behind that. */
  const dialNode = async (full: string, endpoint: Endpoint, how: DialOptions): Promise<Probe> => {
    const way = isLoopback(endpoint.address) ? undefined : await resolving.connect?.to(hostPartOf(full));
    if (typeof way === "string") return { result: "connect", reason: way, elapsedMs: 0 };
    return probePlace(endpoint, { ...how, ...(way && { connect: way, serverName: serverNameOf(full) }) });
  };
  /** With the cookie the first time. */
  const dialAsked = async (node: AskedNode, endpoint: Endpoint, again?: Again) => {
    const isAsked = isAskedNode(node.name, node.operand, node.full);
    const how = { isAsked, serverName: node.host, timeout: DIAL_TIMEOUT };
    return dialNode(node.full, endpoint, { ...how, ...(again ?? { cookie }) });
  };
  const probes = once(async () => {
    const found = await resolution();
    return asked && found.outcome === "found" ? dialAll(found.endpoints, (endpoint) => dialAsked(asked, endpoint)) : [];
  });
  const vmsNamed = once(async () => {
    const found = await resolution();
    if (!asked || found.outcome !== "found") return [];
    const { name: its, full } = asked;
    return resolving.vmsNamed({ name: its, full, source: found.source, places: await probes() }, (endpoint, again) =>
      dialAsked(asked, endpoint, again),
    );
  });
  const rightsToRead = once(async () => {
    try {
      return await readRights(await consul.connect(), servicesToRead({ config, asked: asked || undefined }));
    } catch {
      return undefined;
    }
  });
  const missingToken = once(async () => {
    const way = tokenOfServe(config);
    if (way === undefined) return undefined;
    const rights = await rightsToRead();
    return rights === undefined || readsAll(rights) ? undefined : way;
  });
  const connectPort = once(async () => (await daemon())?.relays?.native?.port);
  const local = once(async () => localVms(await nodes(), asked ? asked.host : undefined));
  return {
    localVms: local,
    peersOfAsked: async () => {
      const found = await resolution();
      const places = found.outcome === "found" ? found.endpoints : [];
      const own = [...LOOPBACKS, ...machine.addresses()];
      const isItself = ({ aliveName, port }: LocalNode) =>
        aliveName === name?.aliveName && places.some((place) => place.port === port && own.includes(place.address));
      return (await local()).filter(({ node }) => !isItself(node));
    },
    ...{ config, machine, domains: new Domains(config, machine), log, resolving, asked: asked || undefined },
    hasCookie: cookie !== undefined,
    ...{ epmd, daemon, nodes, listeners, resolution, hostWay, probes, vmsNamed, vms: once(runningVms) },
    toldByDaemon: once(async () => (asked && (await daemon()) ? resolvedByDaemon(config, asked.full) : undefined)),
    ...{ connections, now: Date.now, startedAt: Date.now() },
    isBridged: config.nomad.ports.some(isBridged),
    connectPort,
    published: once(async () => {
      await standIn();
      return publishedNodes({ config, machine, nodes, connectPort, resolving });
    }),
    standIn,
    dial: async ({ full, aliveName, resolution: seen }) => {
      if (seen.outcome !== "found") return [];
      // The host part is examined by node-name.
      const isAsked = (said: string) => said.startsWith(`${aliveName}@`);
      const serverName = hostPartOf(full);
      const how = { isAsked, serverName, timeout: DIAL_TIMEOUT };
      return dialAll(seen.endpoints, (endpoint) => dialNode(full, endpoint, how));
    },
    nameServers: [...config.dns, ...zone],
    isOwnServer: isOwn,
    connect: () => consul.connect(),
    nomad,
    instancesInNomad: onceEach(async (query) => (await (await nomad.connect()).instances(query, {})).instances),
    leader: once(async () => leader(await consul.connect())),
    ...{ rightsToRead, missingToken },
    close: async () => {
      await Promise.all([resolving.close(), consul.close(), nomad.close()]);
    },
  };
}

type DialOptions = Pick<
  ProbeOptions,
  "isAsked" | "serverName" | "timeout" | "flags" | "padding" | "cookie" | "connect" | keyof Again
>;

function dialAll(endpoints: readonly Endpoint[], dial: (endpoint: Endpoint) => Promise<Probe>): Promise<ProbedPlace[]> {
  return Promise.all(endpoints.map(async (endpoint) => ({ endpoint, probe: await dial(endpoint) })));
}

/** Asks who is there, with the first step of the distribution handshake. Never rejects. */
export function probePlace(place: IpPort, how: DialOptions): Promise<Probe> {
  return probeNode(place, { ...how, from: thisMachine().hostName, random: Math.random });
}
