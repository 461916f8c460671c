import { setTimeout as sleep } from "node:timers/promises";
import type { Config } from "../config/config.js";
import type { ConsulClient } from "../consul/client.js";
import {
  isLeftOut,
  nodeDomain,
  parseServiceDomain,
  qualifiedDomain,
  servedDomains,
  serviceOf,
} from "../names/domains.js";
import { isHelperName, parseNodeName } from "../names/node-name.js";
import type { Endpoint } from "../net/endpoint.js";
import { familyOf } from "../net/ip.js";
import type { Machine } from "../os/machine.js";
import { reach } from "../publish/core/advertised.js";
import { publicationOf, publishesToConsul } from "../publish/core/publication.js";
import {
  aliveNameOf,
  type HeldCheck,
  type HeldService,
  META_OWNER,
  type Obstacle,
  obstacleOf,
  type ServiceEntry,
  ttlCheckId,
} from "../publish/core/service-entry.js";
import { readOwner } from "../publish/ownership.js";
import type { Resolving } from "../resolve/compose.js";
import type { Resolution, SourceName } from "../resolve/core/resolution.js";
import { type LocalNode, nameIn } from "./local-epmd.js";

export const NO_PUBLISHED_NODE = "no node is registered here that would be published";

/** The nodes here, and the options by which they are published. */
interface NodesHere {
  readonly config: Config;
  readonly machine: Machine;
  readonly nodes: () => Promise<readonly LocalNode[]>;
  /** Where a native end of Connect takes callers; undefined: it is not known, or there is none. */
  readonly connectPort: () => Promise<number | undefined>;
}

/** The entries that should be in Consul for the nodes here. Empty where nothing is published. */
export async function wantedEntries({ config, machine, nodes, connectPort }: NodesHere): Promise<ServiceEntry[]> {
  if (!publishesToConsul(config)) return [];
  const port = config.connectNative ? await connectPort() : undefined;
  // Only the srv-epmd that runs here knows at which port it is published.
  if (config.connectNative && port === undefined) return [];
  const settings = { ...config, connectPort: port };
  const identity = { hostName: machine.hostName, port: config.port, owner: await readOwner(config.port) };
  const here = await nodes();
  return here.flatMap((node) => {
    const publication = publicationOf(node, settings, identity, nameIn(here));
    return publication.outcome === "publish" ? publication.entries : [];
  });
}

/** An entry that should be in Consul for a node here, with what the agent has. */
export interface OwnRegistration {
  readonly wanted: ServiceEntry;
  /** Undefined where the agent has no such entry. */
  readonly held: HeldService | undefined;
  /** Checks of the entry and of the machine. */
  readonly checks: readonly HeldCheck[];
}

/** What should be registered for the nodes here, and what the agent has. @throws ConsulError */
export async function ownRegistrations(
  here: NodesHere & { readonly connect: () => Promise<ConsulClient> },
): Promise<OwnRegistration[]> {
  const wanted = await wantedEntries(here);
  if (wanted.length === 0) return [];
  const client = await here.connect();
  const [services, checks] = await Promise.all([client.services(), client.checks()]);
  return wanted.map((entry) => {
    const held = heldFor(entry, services);
    return {
      wanted: entry,
      held,
      checks: checks.filter(({ serviceId }) => serviceId === "" || serviceId === held?.id),
    };
  });
}

/** That of this daemon, by its id if it has one of several. Another daemon's has the id after a restart of the machine. */
function heldFor(entry: ServiceEntry, services: readonly HeldService[]): HeldService | undefined {
  const ours = services.filter((held) => isOfThisPlace(entry, held));
  return (
    ours.find(({ id }) => id === entry.id) ??
    ours.find(({ service }) => service === entry.service) ??
    services.find(({ id }) => id === entry.id) ??
    ours[0]
  );
}

/** The service may differ, where serve has another --domain than doctor. */
function isOfThisPlace(entry: ServiceEntry, held: HeldService): boolean {
  const ending = entry.id.slice(entry.id.lastIndexOf(`:${entry.aliveName}`));
  const isOwn = held.meta[META_OWNER] === entry.meta[META_OWNER] && aliveNameOf(held) === entry.aliveName;
  return isOwn && held.id.endsWith(ending);
}

/** Why Consul's DNS leaves out an entry that the agent has; undefined when nothing the agent knows of does that. */
export function whyCritical({ held, checks }: OwnRegistration): Obstacle | "not-passed" | undefined {
  if (!held) return undefined;
  const isPassed = !checks.some(({ checkId, status }) => checkId === ttlCheckId(held.id) && status === "critical");
  return isPassed ? obstacleOf(held.id, checks) : "not-passed";
}

/** A node that lives here, as others find it. */
export interface PublishedNode {
  readonly aliveName: string;
  /** `node_a@svc.service.consul` */
  readonly full: string;
  /** Where it should be found. `address` is undefined where the agent or DNS chooses it. */
  readonly places: readonly { readonly address: string | undefined; readonly port: number }[];
  /** As if the node did not live here: from DNS, else from Consul's catalogue. */
  readonly resolution: Resolution;
  /** From DNS alone. */
  readonly inDns: Resolution;
}

/**
 * After which a node that is not found is looked up once more, milliseconds. A node that has just been published may be
 * unknown to a Consul server that is not the leader, and NXDOMAIN is cached for a second.
 */
const SECOND_LOOK = 1_100;

/** Looks up the nodes here in Consul's DNS, or in the zone of --dns-listen; and in Consul's catalogue. Never rejects. */
export async function publishedNodes(here: NodesHere & { readonly resolving: Resolving }): Promise<PublishedNode[]> {
  const lookUp = (full: string, only: SourceName = "srv") => {
    return here.resolving.nodes.resolve(parseNodeName(full), { sameHost: true, only });
  };
  return Promise.all(
    (await expectedNodes(here)).map(async ({ aliveName, host, places }) => {
      const full = `${aliveName}@${host}`;
      // DNS does not say whether a port speaks mutual TLS.
      const source = here.config.connectNative ? "catalogue" : "srv";
      let inDns = await lookUp(full, source);
      if (inDns.outcome === "not-found") {
        await sleep(SECOND_LOOK);
        inDns = await lookUp(full, source);
      }
      const inCatalogue = inDns.outcome === "found" ? undefined : await lookUp(full, "catalogue");
      const resolution = inCatalogue?.outcome === "found" ? inCatalogue : inDns;
      return { aliveName, full, places, resolution, inDns };
    }),
  );
}

interface ExpectedNode extends Pick<PublishedNode, "aliveName" | "places"> {
  readonly host: string;
}

async function expectedNodes(here: NodesHere): Promise<ExpectedNode[]> {
  const { config, nodes } = here;
  if (publishesToConsul(config)) {
    const entries = await wantedEntries(here);
    // A node has an entry for each family, under one name.
    return Array.from(new Map(entries.map((entry) => [entry.aliveName, entry])).values(), ({ aliveName, service }) => {
      const host = nodeDomain(aliveName, config) ?? `${service}.service.${config.consulDomain}`;
      const places = entries
        .filter((entry) => entry.aliveName === aliveName)
        .map(({ address, port }) => ({
          address: address !== undefined && familyOf(address) ? address : undefined,
          port,
        }));
      return { aliveName, host, places };
    });
  }
  if (!config.dnsListen) return [];
  const all = await nodes();
  return all.flatMap((node) => {
    const { aliveName } = node;
    const host = nodeDomain(aliveName, config);
    if (host === undefined || isHelperName(aliveName, nameIn(all)) || isLeftOut(aliveName, config)) return [];
    const reached = reach(node, config);
    if (reached.outcome !== "reachable") return [];
    return { aliveName, host, places: [{ address: undefined, port: reached.advertised.port }] };
  });
}

/** Whether an endpoint is the node here; another machine may have published a node of the same name. */
export function isOwn({ places }: PublishedNode, endpoint: Pick<Endpoint, "address" | "port">): boolean {
  return places.some(
    ({ address, port }) => port === endpoint.port && (address === undefined || address === endpoint.address),
  );
}

/** Services of which look-ups and patterns here read the instances: of the domains, and of the node asked about. */
export function servicesToRead({
  config,
  asked,
}: Pick<NodesHere, "config"> & { readonly asked?: { readonly host: string } | undefined }): string[] {
  const hosts = [...servedDomains(config), ...(asked ? [asked.host] : [])];
  return Array.from(new Set(hosts.flatMap((host) => parseServiceDomain(host, config.consulDomain)?.service ?? [])));
}

/** Services under which nodes are published here: of the domains, and of the nodes alive here. */
export async function servicesToWrite({ config, nodes }: Pick<NodesHere, "config" | "nodes">): Promise<string[]> {
  if (config.service !== undefined) return [config.service];
  const here = await nodes();
  const names = here.map(({ aliveName }) => aliveName).filter((name) => !isHelperName(name, nameIn(here)));
  const domains = [
    ...config.domain.map(({ domain }) => qualifiedDomain(domain, config.consulDomain)),
    ...config.publishNode.flatMap(({ aliveName }) => nodeDomain(aliveName, config) ?? []),
  ];
  const services = [
    ...domains.flatMap((domain) => parseServiceDomain(domain, config.consulDomain)?.service ?? []),
    ...names.flatMap((name) => serviceOf(name, config) ?? []),
  ];
  return Array.from(new Set(services));
}
