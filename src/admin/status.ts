import type { FollowedStatus } from "../catalogue/core/backend.js";
import { settingsToTell, type ToldSettings } from "../config/told.js";
import type { NativeSide } from "../connect/native.js";
import type { Registry } from "../epmd/core/registry.js";
import type { Gateway } from "../gateway/gateway.js";
import { isMeshed } from "../mesh/core/upstreams.js";
import { qualifiedDomain } from "../names/domains.js";
import type { NomadEntries, NomadStanding } from "../nomad/entries.js";
import { nomadUrl } from "../nomad/side.js";
import { instanceOf } from "../publish/core/publication.js";
import type { NameStatus, Registrar } from "../publish/registrar.js";
import type { RelayStatus } from "../relay/wire/status.js";
import type { KnownDomains } from "../resolve/known-domains.js";
import { version } from "../version.js";
import { ClusterListing, type Listing, type ListingDeps } from "./cluster-listing.js";
import { ClusterReadiness, type ClusterReadinessDeps } from "./cluster-readiness.js";
import { problemsOf } from "./core/problems.js";
import {
  type FoundLookUps,
  findLookUps,
  type LookUpFilter,
  type RecentLookUps,
  SHOWN,
} from "./core/recent-look-ups.js";
import {
  type Cluster,
  type LeftEntry,
  type LocalNode,
  type Readiness,
  readinessOf,
  type Status,
  type Trouble,
} from "./core/status.js";
import { VmLinks } from "./vm-links.js";

export interface StatusDeps extends ListingDeps, Omit<ClusterReadinessDeps, "list"> {
  readonly registry: Registry;
  /** Undefined where no `--domain` is in Nomad's catalogue. */
  readonly entries: NomadEntries | undefined;
  /** Nodes are published into Consul. */
  readonly publishes: boolean;
  readonly epmd: Status["epmd"];
  readonly dns: Status["dns"];
  readonly gateway: Gateway | undefined;
  /** Undefined where this is no native end of Consul Connect. */
  readonly native: Pick<NativeSide, "status" | "trouble"> | undefined;
  /** How the name servers stand to the domains; undefined in a mesh. */
  readonly resolver: Pick<KnownDomains, "states" | "standIn"> | undefined;
  readonly recent: RecentLookUps;
  readonly isStopping: () => boolean;
  /** When the daemon started. */
  readonly since: Date;
}

type Published = Pick<LocalNode, "publication" | "serviceIds" | "reason" | "code" | "advice" | "elsewhere">;

/** The status of the daemon, whole or in parts. */
export class DaemonStatus {
  readonly #deps: StatusDeps;
  readonly #listing: ClusterListing;
  readonly #vmLinks: VmLinks;
  /** For `/readyz?cluster=`. */
  readonly inCluster: ClusterReadiness;

  constructor(deps: StatusDeps) {
    this.#deps = deps;
    this.#listing = new ClusterListing(deps);
    this.#vmLinks = new VmLinks(deps);
    this.inCluster = new ClusterReadiness({
      ...deps,
      list: (pattern) => this.#listing.allMatching(pattern),
    });
  }

  /** @param isLocal strangers are not told with whom nodes are linked, and no VM is asked for them */
  async all(isLocal: boolean): Promise<Status> {
    const { config, machine, epmd, dns, resolver, recent, since, now } = this.#deps;
    const [readiness, { nodes, left }, registrar, listing, relays, links] = await Promise.all([
      this.readiness(),
      this.nodes(),
      this.#registrar(),
      this.#listing.now(),
      this.relays(),
      isLocal ? this.#vmLinks.now() : undefined,
    ]);
    const lookUps = recent.list();
    const status = {
      version,
      hostName: machine.hostName,
      instance: instanceOf(config, { hostName: machine.hostName, port: epmd.port }),
      since: since.toISOString(),
      epmd,
      dns,
      consul: this.#consul(registrar, listing),
      nomad: this.#nomad(listing),
      domains: config.domain.map(({ domain }) => qualifiedDomain(domain, config.consulDomain)),
      mesh: isMeshed(config),
      settings: this.settings(),
      resolver: resolver?.states() ?? [],
      readiness,
      nodes,
      left,
      cluster: listing.cluster,
      ...(links && { links }),
      followed: this.followed(),
      lookUps: lookUps.slice(0, SHOWN),
      relays,
    };
    return { ...status, problems: problemsOf({ status, lookUps, now: now(), ageOf: (at) => now() - Date.parse(at) }) };
  }

  /** Among all that are kept; `all` has the last ones only. */
  lookUps(filter: LookUpFilter): FoundLookUps {
    return findLookUps(this.#deps.recent.list(), filter);
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
    const { config, registry, gateway, native, publishes, entries, isStopping } = this.#deps;
    const [registrar, relays] = await Promise.all([this.#registrar(), this.relays()]);
    const isHere = registry.nodes().length > 0 || (registrar?.status() ?? []).some(({ published }) => published);
    return readinessOf({
      stopping: isStopping(),
      node: config.portLabel === undefined ? undefined : { label: config.portLabel, isHere },
      gateway: gateway && { hasRelayProcess: relays !== undefined, trouble: gateway.relayTrouble() },
      native: native && { process: relays, trouble: native.trouble },
      consul: publishes
        ? {
            started: registrar !== undefined,
            trouble: registrar?.agent.trouble,
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
            inConsul(statuses?.get(aliveName), publishes, registrar?.agent)),
        };
      }),
      left: (standing ?? [])
        .filter(({ name, published }) => published && !names.has(name))
        .map(({ name, serviceIds }) => ({ name, serviceIds })),
    };
  }

  /** Undefined without gateway and native end, or without a relay process. */
  async relays(): Promise<RelayStatus | undefined> {
    const { gateway, native } = this.#deps;
    return gateway ? gateway.relayStatus() : native?.status();
  }

  /** The services that are followed in a catalogue. */
  followed(): readonly FollowedStatus[] {
    const { consul, nomad } = this.#deps;
    return [consul, nomad].flatMap(({ catalogue }) => catalogue?.status() ?? []);
  }

  /**
   * What the page shows and no event reports, as text to compare. While an agent is silent it changes each second.
   * @param isLocal as of `all`
   */
  async standing(isLocal: boolean): Promise<string> {
    // Which links are missing follows from the rest, and is much to find out.
    const [{ readiness, problems, nodes, left, cluster, followed, relays, consul, nomad, resolver }] =
      await Promise.all([this.all(false), isLocal ? this.#vmLinks.now() : undefined]);
    const listed = cluster.outcome === "listed" ? cluster.nodes : cluster.outcome === "unavailable" ? cluster.last : [];
    const inCluster = JSON.stringify([cluster.outcome, listed], (key, value) => (key === "age" ? undefined : value));
    const links = relays?.relays.map(({ node, openLinks, endpoints }) => [node, openLinks, endpoints]);
    const now = this.#deps.now();
    const silences = [consul, nomad].map((one) => {
      const { trouble, answeredAt } = one ?? {};
      return trouble && answeredAt !== undefined && Math.floor((now - Date.parse(answeredAt)) / 1000);
    });
    return JSON.stringify([
      readiness,
      problems,
      nodes,
      left,
      inCluster,
      followed,
      links,
      silences,
      resolver,
      this.#vmLinks.changes,
    ]);
  }

  /** The nodes of the services of `--domain`. Never rejects. */
  async cluster(): Promise<Cluster> {
    return (await this.#listing.now()).cluster;
  }

  /** As ClusterListing.matching. */
  matching(pattern: string): ReturnType<ClusterListing["matching"]> {
    return this.#listing.matching(pattern);
  }

  /** What the publication knows of the agent, and what the listing of the cluster has shown since. */
  #consul(registrar: Registrar | undefined, listing: Listing): Status["consul"] {
    const { config, publishes, entries, now } = this.#deps;
    const trouble = registrar?.agent.troubleSaid ?? troubleWith("consul", listing);
    const answeredAt = registrar?.agent.answeredAt;
    const published = answeredAt === undefined ? undefined : now() - (performance.now() - answeredAt);
    const listed = entries ? undefined : this.#listing.listedAt;
    // The agent may answer the publication by itself while the list shows that no server does.
    const isOfListing = trouble !== undefined && registrar?.agent.trouble === undefined;
    const at = isOfListing ? latest(listed) : latest(published, listed);
    return {
      ...{ url: config.consul, publishes, answers: registrar !== undefined && trouble === undefined },
      ...(trouble && { trouble }),
      ...(at !== undefined && { answeredAt: at }),
    };
  }

  /** Undefined where no `--domain` is in Nomad's catalogue. */
  #nomad(listing: Listing): Status["nomad"] {
    const { config, entries, nomad, now } = this.#deps;
    if (!entries) return undefined;
    const reason = entries.trouble;
    const fault = entries.silence;
    const trouble =
      reason === undefined ? troubleWith("nomad", listing) : { code: "NOMAD_SILENT", reason, ...(fault && { fault }) };
    // A query that is held says that nothing has changed, but not once another call has failed.
    const told = (nomad.catalogue?.status() ?? []).flatMap(({ state, brokenSeconds }) => {
      if (brokenSeconds !== undefined) return now() - brokenSeconds * 1000;
      return state === "current" && !trouble ? now() : [];
    });
    const at = latest(...told, this.#listing.listedAt);
    return {
      ...{ url: nomadUrl(config), answers: trouble === undefined },
      ...(trouble && { trouble }),
      ...(at !== undefined && { answeredAt: at }),
    };
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

function troubleWith(agent: "consul" | "nomad", { trouble }: Listing): Trouble | undefined {
  if (trouble?.of !== agent) return undefined;
  const { of: _, ...told } = trouble;
  return told;
}

/** The latest of some moments, ISO 8601. */
function latest(...moments: readonly (number | undefined)[]): string | undefined {
  const known = moments.filter((moment) => moment !== undefined);
  return known.length === 0 ? undefined : new Date(Math.max(...known)).toISOString();
}

/** Undefined for a node that is not meant to be in Nomad's catalogue. @param trouble why Nomad does not tell what it has */
function inNomad(standing: NomadStanding | undefined, trouble: string | undefined): Published | undefined {
  if (!standing) return undefined;
  switch (standing.state) {
    case "not-in-nomad": {
      const { code, reason, advice } = standing.fault;
      return { publication: "not-in-nomad", serviceIds: [], code, reason, advice };
    }
    case "unknown":
      return { publication: "unknown", serviceIds: [], ...(trouble !== undefined && { reason: trouble }) };
    default:
      return { publication: standing.state, serviceIds: [] };
  }
}

/** Why the agent does not say what Consul has, and whether that is because Consul's servers do not answer it. */
type AgentWord = Pick<Registrar["agent"], "trouble" | "isCutOff">;

/** @param agent undefined while the Consul side is being loaded */
function inConsul(status: NameStatus | undefined, publishes: boolean, agent: AgentWord | undefined): Published {
  if (!status) return { publication: publishes ? "unknown" : "off", serviceIds: [] };
  const { serviceIds, elsewhere } = status;
  const code = isMissing(status) ? status.code : undefined;
  const publication = publicationOf(status, agent);
  const isExplained = isMissing(status) || publication === "unknown";
  const reason = status.reason ?? (isExplained ? (status.lastError ?? agent?.trouble) : undefined);
  return {
    publication,
    serviceIds,
    ...(reason !== undefined && { reason }),
    ...(code !== undefined && { code }),
    ...(elsewhere.length > 0 && { elsewhere }),
  };
}

function publicationOf(status: NameStatus, agent: AgentWord | undefined): LocalNode["publication"] {
  if (status.published) return agent?.isCutOff ? "unknown" : "in-consul";
  if (status.pending) return "pending";
  if (!isMissing(status)) return "local";
  // A name that cannot be published is not there, whatever the agent says.
  return agent?.trouble !== undefined && status.reason === undefined ? "unknown" : "not-in-consul";
}

function isMissing({ wanted, published, pending }: NameStatus): boolean {
  return wanted && !published && !pending;
}
