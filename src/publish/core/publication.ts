import type { NomadEnvironment } from "../../config/nomad.js";
import { isHiddenNode, type RegisteredNode } from "../../epmd/core/registry.js";
import {
  type DomainSettings,
  nodeDomain,
  nodeHost,
  parseServiceDomain,
  qualifiedDomain,
  readConsulName,
  serviceOf,
} from "../../names/domains.js";
import { isHelperName } from "../../names/node-name.js";
import { EPMD_PORT, LOOPBACK } from "../../net/endpoint.js";
import { familyOf, hostPort } from "../../net/ip.js";
import { type AdvertiseSettings, reach } from "./advertised.js";
import {
  HIDDEN,
  META_NODE,
  META_NODE_NAME,
  META_NODE_TYPE,
  META_OWNER,
  META_PORT,
  META_PROTOCOL,
  META_SINCE,
  NATIVE,
  type ServiceEntry,
  serviceId,
} from "./service-entry.js";

/** The settings that decide whether nodes are published in Consul. */
interface RegisterSettings extends Pick<DomainSettings, "domain" | "publishNode" | "consulDomain"> {
  readonly register: "consul" | "none" | undefined;
  /** Where the embedded DNS answers, if there is one. */
  readonly dnsListen: object | undefined;
}

/** The settings that decide the instance in the ids of entries. */
interface InstanceSettings {
  readonly instance: string | undefined;
  readonly nomad: Pick<NomadEnvironment, "shortAllocId">;
}

/** The settings that decide how a node is published. Durations in milliseconds. */
export interface PublicationSettings extends AdvertiseSettings, DomainSettings, InstanceSettings {
  readonly nomad: Pick<NomadEnvironment, "ports" | "shortAllocId" | "erlDistPort">;
  readonly helpers: "local" | "ask" | "publish";
  readonly tag: readonly string[];
  readonly weight: number;
  readonly ttl: number;
  readonly deregisterAfter: number;
  readonly tcpCheck: boolean;
}

/** What distinguishes a daemon from others. */
export interface DaemonIdentity {
  readonly hostName: string;
  /** The EPMD port that the daemon listens on. */
  readonly port: number;
  /** Boot id, network namespace and port: our successor after a restart has the same. */
  readonly owner: string;
}

export type Publication =
  | {
      readonly outcome: "publish";
      /** One for each address family; never empty. */
      readonly entries: readonly ServiceEntry[];
      /** A likely mistake, for the log. */
      readonly warning: string | undefined;
    }
  /** The node should be published and cannot be. The reason says what would help. */
  | { readonly outcome: "refuse"; readonly reason: string }
  /** The node is not meant to be published. */
  | { readonly outcome: "skip"; readonly reason: string };

/** The domains of --domain and the hosts of --publish-node, as written. */
function writtenDomains({ domain, publishNode }: Pick<RegisterSettings, "domain" | "publishNode">): string[] {
  return [...domain.map((rule) => rule.domain), ...publishNode.flatMap(({ host }) => host ?? [])];
}

/** `--register`; without it: consul when a domain lies under Consul's and no zone is embedded. */
export function publishesToConsul(settings: RegisterSettings): boolean {
  if (settings.register !== undefined) return settings.register === "consul";
  if (settings.dnsListen) return false;
  return writtenDomains(settings).some((host) => {
    return parseServiceDomain(qualifiedDomain(host, settings.consulDomain), settings.consulDomain);
  });
}

/** The instance in the ids of this daemon's entries: `srv-epmd:<instance>:<name>`. */
export function instanceOf(settings: InstanceSettings, daemon: Pick<DaemonIdentity, "hostName" | "port">): string {
  if (settings.instance !== undefined) return settings.instance;
  if (settings.nomad.shortAllocId !== undefined) return settings.nomad.shortAllocId;
  // Another port tells two daemons of one host apart.
  return daemon.port === EPMD_PORT ? daemon.hostName : `${daemon.hostName}:${daemon.port}`;
}

/**
 * How a node that is alive here is published.
 * @param isAlive whether a node of that name is registered here
 */
export function publicationOf(
  node: RegisteredNode,
  settings: PublicationSettings,
  daemon: DaemonIdentity,
  isAlive: (aliveName: string) => boolean,
): Publication {
  const { aliveName } = node;
  const skipped = whyLeftOut(aliveName, isAlive, settings);
  if (skipped !== undefined) return { outcome: "skip", reason: skipped };
  const service = serviceOf(aliveName, settings);
  const domain = nodeDomain(aliveName, settings);
  if (service === undefined) {
    const reason =
      domain === undefined
        ? "no --domain matches its name and no --service is given"
        : `its domain ${domain} is not a service under ${settings.consulDomain} and no --service is given`;
    return { outcome: "skip", reason };
  }
  const suffix = domain === undefined ? undefined : parseServiceDomain(domain, settings.consulDomain)?.tagSuffix;
  const tag = suffix === undefined ? aliveName : `${aliveName}.${suffix}`;
  const unnameable = whyNotInDns(aliveName, `${tag}.${service}.service.${settings.consulDomain}`);
  if (unnameable !== undefined) return { outcome: "refuse", reason: unnameable };
  const reached = reach(node, settings);
  if (reached.outcome === "unreachable") return { outcome: "refuse", reason: reached.reason };

  const { port, addresses } = reached.advertised;
  const isNative = settings.connectPort !== undefined;
  const instance = instanceOf(settings, daemon);
  const fullName = `${aliveName}@${nodeHost(aliveName, settings)}`;
  const entries = (addresses.length > 0 ? addresses : [undefined]).map((address, index): ServiceEntry => {
    const suffixOfId =
      index === 0 ? "" : address !== undefined && familyOf(address) ? `:${familyOf(address)}` : ":host";
    return {
      id: serviceId(instance, aliveName, suffixOfId),
      aliveName,
      service,
      tags: Array.from(new Set([tag, ...settings.tag])),
      address,
      port,
      weight: settings.weight,
      meta: {
        [META_NODE]: fullName,
        [META_NODE_NAME]: fullName,
        [META_PORT]: String(port),
        [META_OWNER]: daemon.owner,
        [META_SINCE]: String(Math.floor(node.since / 1000)),
        ...(isHiddenNode(node) && { [META_NODE_TYPE]: HIDDEN }),
        ...(isNative && { [META_PROTOCOL]: NATIVE }),
      },
      isNative,
      ttl: settings.ttl,
      deregisterAfter: settings.deregisterAfter,
      tcpCheck: settings.tcpCheck ? hostPort(address ?? LOOPBACK[node.family], port) : undefined,
    };
  });
  return {
    outcome: "publish",
    entries,
    warning: isHelperName(aliveName, isAlive) ? undefined : portWarning(node, settings),
  };
}

/** The settings that decide which of the nodes alive here are meant to be published. */
export type SelectionSettings = Pick<PublicationSettings, "publish" | "publishNode" | "helpers">;

/** Why a node that is alive here is not meant to be published; undefined: it is. @param isAlive see publicationOf */
export function whyLeftOut(
  aliveName: string,
  isAlive: (aliveName: string) => boolean,
  settings: SelectionSettings,
): string | undefined {
  const { publish } = settings;
  if (publish.length > 0 && !publish.some((glob) => glob.matches(aliveName))) return "no --publish matches its name";
  const exact =
    publish.some((glob) => glob.pattern === aliveName) ||
    settings.publishNode.some((configured) => configured.aliveName === aliveName);
  if (settings.helpers !== "publish" && !exact && isHelperName(aliveName, isAlive)) {
    return "its name is that of a short-lived helper (--helpers publish, or --publish with its exact name, publishes it)";
  }
  return undefined;
}

/** Why Consul's DNS would never find a name, though Consul accepts it with 200. */
function whyNotInDns(aliveName: string, owner: string): string | undefined {
  // RFC 1035 section 2.3.4: a label has at most 63 octets, a name 255, which are 253 characters.
  if (aliveName.length > 63) return `its name has ${aliveName.length} characters and DNS allows 63`;
  if (!/^[0-9A-Za-z_-]+$/.test(aliveName)) {
    return "Consul's DNS finds only names made of letters, digits, underscores and hyphens";
  }
  return owner.length > 253 ? `${owner} has ${owner.length} characters and DNS allows 253` : undefined;
}

function portWarning(
  node: RegisteredNode,
  { nomad }: { readonly nomad: Pick<NomadEnvironment, "erlDistPort"> },
): string | undefined {
  const { erlDistPort } = nomad;
  if (erlDistPort === undefined || erlDistPort === node.port) return undefined;
  return `${node.aliveName} listens on port ${node.port}, while ERL_DIST_PORT=${erlDistPort} in srv-epmd's own environment: was it meant for the VM?`;
}

/** A domain under Consul's that does not do what its user probably expects. */
interface DomainDoubt {
  /** `unpublished`: no node is published under it. `dotted`: newer versions of Consul do not find its nodes. */
  readonly kind: "unpublished" | "dotted";
  /** What will not happen, and why. */
  readonly evidence: string;
  readonly advice: string;
}

type DoubtSettings = RegisterSettings & Pick<DomainSettings, "service">;

/** Doubts about --domain and --publish-node. Empty where nothing is published, or the nodes are in the embedded zone. */
export function domainDoubts(settings: DoubtSettings): DomainDoubt[] {
  if (settings.register === "none" || (settings.register === undefined && settings.dnsListen !== undefined)) return [];
  return Array.from(new Set(writtenDomains(settings))).flatMap((domain) => doubtOf(domain, settings) ?? []);
}

function doubtOf(written: string, settings: DoubtSettings): DomainDoubt | undefined {
  const { consulDomain, service } = settings;
  const name = readConsulName(qualifiedDomain(written, consulDomain), consulDomain);
  if (!name) return undefined;
  if (name.kind === "other") {
    // With --service the nodes are published, whatever the domain is.
    if (service !== undefined && publishesToConsul(settings)) return undefined;
    return {
      kind: "unpublished",
      evidence: `no node is published under ${written}, so others do not find those here by it: ${name.reason}`,
      advice: `give the nodes a service of their own (--domain svc.service.${consulDomain}), or --register none where nothing is to be published`,
    };
  }
  if (name.tagSuffix === undefined) return undefined;
  return {
    kind: "dotted",
    evidence: `${written} makes tags with a dot, such as rabbit.${name.tagSuffix}, which newer versions of Consul do not find by DNS`,
    advice: `give the nodes a service without a label before it (--domain ${service ?? name.service}.service.${consulDomain}), and tell them apart by alive name or by service`,
  };
}
