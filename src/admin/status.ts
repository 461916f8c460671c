import type { FollowedStatus } from "../catalogue/core/backend.js";
import type { ClusterNode } from "../catalogue/core/instances.js";
import { type AskedService, readService, serviceOfPattern, servicesOfDomains } from "../catalogue/core/matching.js";
import type { Config } from "../config/config.js";
import { settingsToTell, type ToldSettings } from "../config/told.js";
import type { ConsulSide } from "../consul/side.js";
import type { Registry } from "../epmd/core/registry.js";
import { describeError } from "../errors.js";
import type { Gateway } from "../gateway/gateway.js";
import { isMeshed } from "../mesh/core/upstreams.js";
import { qualifiedDomain } from "../names/domains.js";
import { nodesInCatalogues } from "../nomad/cluster.js";
import type { NomadEntries, NomadStanding } from "../nomad/entries.js";
import { type NomadSide, nomadUrl } from "../nomad/side.js";
import type { Machine } from "../os/machine.js";
import type { NameStatus, Registrar } from "../publish/registrar.js";
import type { RelayStatus } from "../relay/wire/protocol.js";
import type { KnownDomains } from "../resolve/known-domains.js";
import { version } from "../version.js";
import {
  type Cluster,
  type LeftEntry,
  type LocalNode,
  type Readiness,
  type RecentLookUps,
  readinessOf,
  type Status,
} from "./core/status.js";

export interface StatusDeps {
  readonly config: Config;
  readonly machine: Machine;
  readonly registry: Registry;
  readonly consul: ConsulSide;
  readonly nomad: NomadSide;
  /** Undefined where no `--domain` is in Nomad's catalogue. */
  readonly entries: NomadEntries | undefined;
  /** Nodes are published into Consul. */
  readonly publishes: boolean;
  readonly epmd: Status["epmd"];
  readonly dns: Status["dns"];
  readonly gateway: Gateway | undefined;
  /** How the name servers stand to the domains; undefined in a mesh. */
  readonly resolver: Pick<KnownDomains, "states" | "standIn"> | undefined;
  readonly recent: RecentLookUps;
  readonly isStopping: () => boolean;
  /** When the daemon started. */
  readonly since: Date;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
}

/** For one call of the agent, milliseconds: the page waits no longer for a part of it. */
const CLUSTER_TIMEOUT = 2_000;
/** How long an answer of Consul is used, milliseconds: open pages ask again with every event. */
const CLUSTER_LIFETIME = 1_000;

type Published = Pick<LocalNode, "publication" | "serviceIds" | "reason" | "code" | "elsewhere">;

/** The status of the daemon, whole or in parts. */
export class DaemonStatus {
  readonly #deps: StatusDeps;
  #cluster: { readonly pending: Promise<Cluster>; readonly until: number } | undefined;

  constructor(deps: StatusDeps) {
    this.#deps = deps;
  }

  async all(): Promise<Status> {
    const { config, machine, epmd, dns, resolver, recent, publishes, entries, since } = this.#deps;
    const [readiness, { nodes, left }, registrar, cluster, relays] = await Promise.all([
      this.readiness(),
      this.nodes(),
      this.#registrar(),
      this.cluster(),
      this.relays(),
    ]);
    return {
      version,
      hostName: machine.hostName,
      since: since.toISOString(),
      epmd,
      dns,
      consul: { url: config.consul, publishes, answers: registrar?.agentAnswers ?? false },
      nomad: entries && { url: nomadUrl(config), answers: entries.trouble === undefined },
      domains: config.domain.map(({ domain }) => qualifiedDomain(domain, config.consulDomain)),
      mesh: isMeshed(config),
      settings: this.settings(),
      resolver: resolver?.states() ?? [],
      readiness,
      nodes,
      left,
      cluster,
      followed: this.followed(),
      lookUps: recent.list(),
      relays,
    };
  }

  get epmdPort(): number {
    return this.#deps.epmd.port;
  }

  /** The daemon's options as they are in use. */
  settings(): Pick<ToldSettings, "options" | "withheld"> {
    const { config, epmd, dns, resolver } = this.#deps;
    const standIn = resolver?.standIn();
    return settingsToTell(config, {
      port: epmd.port,
      dnsListen: dns.embedded,
      gatewayListen: dns.gateway,
      dns: standIn === undefined ? [] : [standIn],
    });
  }

  async readiness(): Promise<Readiness> {
    const { config, registry, gateway, publishes, entries, isStopping } = this.#deps;
    const [registrar, relays] = await Promise.all([this.#registrar(), this.relays()]);
    const isHere = registry.nodes().length > 0 || (registrar?.status() ?? []).some(({ published }) => published);
    return readinessOf({
      stopping: isStopping(),
      node: config.portLabel === undefined ? undefined : { label: config.portLabel, isHere },
      gateway: gateway && { hasRelayProcess: relays !== undefined, trouble: gateway.relayTrouble() },
      consul: publishes
        ? {
            started: registrar !== undefined,
            trouble: registrar?.agentTrouble,
            missing: (registrar?.status() ?? [])
              .filter((status) => isMissing(status) && !status.isBeyondLimit)
              .map(({ name, reason, lastError }) => ({ name, reason: reason ?? lastError })),
          }
        : undefined,
      nomad: entries && { trouble: entries.trouble, missing: this.#missingInNomad(entries) },
    });
  }

  async nodes(): Promise<{ readonly nodes: readonly LocalNode[]; readonly left: readonly LeftEntry[] }> {
    const { registry, publishes, entries } = this.#deps;
    const alive = registry.nodes();
    const registrar = await this.#registrar();
    const standing = registrar?.status();
    // A node that is alive comes before an entry of the same name whose VM has left.
    const statuses = standing && new Map(standing.toReversed().map((status) => [status.name, status]));
    const names = new Set(alive.map(({ aliveName }) => aliveName));
    return {
      nodes: alive.map((node) => {
        const { aliveName, port, creation, family, address, since, origin } = node;
        return {
          ...{ name: aliveName, port, creation, family, origin, since: new Date(since).toISOString() },
          ...(address !== undefined && { address }),
          ...(inNomad(entries?.standing(node), entries?.trouble) ??
            inConsul(statuses?.get(aliveName), publishes, registrar?.agentTrouble)),
        };
      }),
      left: (standing ?? [])
        .filter(({ name, published }) => published && !names.has(name))
        .map(({ name, serviceIds }) => ({ name, serviceIds })),
    };
  }

  /** Undefined without a gateway, or without a relay process. */
  async relays(): Promise<RelayStatus | undefined> {
    return this.#deps.gateway?.relayStatus();
  }

  /** The services that are followed in a catalogue. */
  followed(): readonly FollowedStatus[] {
    const { consul, nomad } = this.#deps;
    return [consul, nomad].flatMap(({ catalogue }) => catalogue?.status() ?? []);
  }

  /** What the page shows and no event reports, as text to compare. */
  async standing(): Promise<string> {
    const { readiness, nodes, left, cluster, followed, relays, resolver } = await this.all();
    const inCluster = cluster.outcome === "listed" ? cluster.nodes.map(({ age: _, ...node }) => node) : cluster;
    const links = relays?.relays.map(({ node, openLinks, endpoints }) => [node, openLinks, endpoints]);
    return JSON.stringify([readiness, nodes, left, inCluster, followed, links, resolver]);
  }

  /** The nodes of the services of `--domain`. Never rejects. */
  cluster(): Promise<Cluster> {
    const now = performance.now();
    if (!this.#cluster || this.#cluster.until <= now) {
      this.#cluster = { pending: this.#askCluster(), until: now + CLUSTER_LIFETIME };
    }
    return this.#cluster.pending;
  }

  /** The nodes in Consul or Nomad that match. @param pattern `node_*@svc` @throws ConfigError, ConsulError, NomadError, ValueError */
  async matching(
    pattern: string,
  ): Promise<{ readonly catalogue: AskedService["catalogue"]; readonly nodes: readonly ClusterNode[] }> {
    const { config, machine } = this.#deps;
    const asked = serviceOfPattern(pattern, config, machine.names);
    return { catalogue: asked.catalogue, nodes: await this.#inCatalogues([asked]) };
  }

  async #askCluster(): Promise<Cluster> {
    const { domain, consulDomain } = this.#deps.config;
    const known = domain.filter((rule) => readService(qualifiedDomain(rule.domain, consulDomain), consulDomain));
    if (known.length === 0) return { outcome: "none", reason: `no --domain is a service under ${consulDomain}` };
    const services = servicesOfDomains({ domain: known, consulDomain });
    const patterns = services.map(({ glob, host }) => `${glob.pattern}@${host}`);
    try {
      return { outcome: "listed", patterns, nodes: await this.#inCatalogues(services) };
    } catch (error) {
      return { outcome: "unavailable", cause: describeError(error) };
    }
  }

  async #inCatalogues(services: readonly AskedService[]): Promise<ClusterNode[]> {
    const { config, consul, nomad, now } = this.#deps;
    const deps = { consul: () => consul.connect(), nomad, settings: config, timeout: CLUSTER_TIMEOUT, now: now() };
    return nodesInCatalogues(services, deps);
  }

  #missingInNomad(entries: NomadEntries): { readonly name: string; readonly reason: string | undefined }[] {
    return this.#deps.registry.nodes().flatMap((node) => {
      const standing = entries.standing(node);
      return standing?.state === "not-in-nomad" ? { name: node.aliveName, reason: standing.fault.reason } : [];
    });
  }

  async #registrar(): Promise<Registrar | undefined> {
    return this.#deps.consul.registrar();
  }
}

/** Undefined for a node that is not meant to be in Nomad's catalogue. @param trouble why Nomad does not tell what it has */
function inNomad(standing: NomadStanding | undefined, trouble: string | undefined): Published | undefined {
  if (!standing) return undefined;
  switch (standing.state) {
    case "not-in-nomad": {
      const { code, reason, advice } = standing.fault;
      return { publication: "not-in-nomad", serviceIds: [], code, reason: `${reason}; ${advice}` };
    }
    case "unknown":
      return { publication: "unknown", serviceIds: [], ...(trouble !== undefined && { reason: trouble }) };
    default:
      return { publication: standing.state, serviceIds: [] };
  }
}

/** @param trouble why the agent does not say what it holds; undefined while it does */
function inConsul(status: NameStatus | undefined, publishes: boolean, trouble: string | undefined): Published {
  if (!status) return { publication: publishes ? "unknown" : "off", serviceIds: [] };
  const { serviceIds, elsewhere } = status;
  const reason = status.reason ?? (isMissing(status) ? (status.lastError ?? trouble) : undefined);
  return {
    publication: publicationOf(status, trouble),
    serviceIds,
    ...(reason !== undefined && { reason }),
    ...(elsewhere.length > 0 && { elsewhere }),
  };
}

function publicationOf(status: NameStatus, trouble: string | undefined): LocalNode["publication"] {
  if (status.published) return "in-consul";
  if (status.pending) return "pending";
  if (!isMissing(status)) return "local";
  // A name that cannot be published is not there, whatever the agent says.
  return trouble !== undefined && status.reason === undefined ? "unknown" : "not-in-consul";
}

function isMissing({ wanted, published, pending }: NameStatus): boolean {
  return wanted && !published && !pending;
}
