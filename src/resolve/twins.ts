import type { ConsulClient } from "../consul/client.js";
import type { Probe } from "../distribution/core/words.js";
import { parseServiceDomain } from "../names/domains.js";
import { hostPartOf, type NodeName } from "../names/node-name.js";
import type { Endpoint } from "../net/endpoint.js";
import { hostPort } from "../net/ip.js";
import { type AdvertiseSettings, advertised } from "../publish/core/advertised.js";
import { META_NODE, META_OWNER } from "../publish/core/service-entry.js";
import { readOwner } from "../publish/ownership.js";
import { type OwnPlaces, otherPlaces } from "./core/own-places.js";
import type { SourceName } from "./core/resolution.js";
import type { NodeResolver } from "./node-resolver.js";

/** A place at which a node is looked for, and who is there. */
export interface ProbedPlace {
  readonly endpoint: Endpoint;
  readonly probe: Probe;
}

/** A node as a look-up here found it. */
export interface FoundNode {
  readonly name: NodeName;
  /** With its host expanded. */
  readonly full: string;
  /** By which it was found. */
  readonly source: SourceName | "epmd";
  readonly places: readonly ProbedPlace[];
}

export interface TwinDeps {
  readonly nodes: Pick<NodeResolver, "resolve">;
  readonly settings: AdvertiseSettings & { readonly connectNative: boolean };
  /** Of all interfaces here. */
  readonly ownAddresses: readonly string[];
  readonly connect: () => Promise<Pick<ConsulClient, "members">>;
  /** Asks who is at each. Never rejects. */
  readonly dial: (endpoints: readonly Endpoint[]) => Promise<readonly ProbedPlace[]>;
}

/** Places that are probed. */
const MAX_PLACES = 4;
/** For name servers and the agent: the node was found without them. Milliseconds. */
const TIMEOUT = 2_000;

/**
 * VMs elsewhere that have the name of a node which lives here. A look-up here ends at the EPMD of this machine, so it never
 * leads to them; one on another machine leads to either. Empty for a node that was not found here. Never rejects.
 */
export async function twinsElsewhere(node: FoundNode, deps: TwinDeps): Promise<ProbedPlace[]> {
  const { name, full, source } = node;
  const [here] = node.places;
  if (source !== "registry" || !here) return [];
  const [published, own] = await Promise.all([publishedPlaces(name, deps), ownPlaces(full, here.endpoint, deps)]);
  const others = otherPlaces(published, own).slice(0, MAX_PLACES);
  const creation = here.probe.result === "node" ? here.probe.creation : undefined;
  const dialled = await deps.dial(others.map(({ place }) => place));
  return dialled.filter(({ probe }, index) => {
    if (probe.result !== "node") return false;
    return others[index]?.isCertain === true || (creation !== undefined && probe.creation !== creation);
  });
}

/** As if the node did not live here. */
async function publishedPlaces(name: NodeName, { nodes, settings }: TwinDeps): Promise<readonly Endpoint[]> {
  // DNS does not say whether a port speaks mutual TLS.
  const sources = settings.connectNative ? (["catalogue"] as const) : (["srv", "catalogue"] as const);
  const answers = await Promise.all(
    sources.map((only) => nodes.resolve(name, { sameHost: true, only, timeout: TIMEOUT })),
  );
  return answers.find((answer) => answer.outcome === "found")?.endpoints ?? [];
}

async function ownPlaces(full: string, { port }: Endpoint, deps: TwinDeps): Promise<OwnPlaces> {
  const { settings, ownAddresses } = deps;
  const [aliveName = ""] = full.split("@");
  // A VM of either family: what it does not listen on is not published.
  const node = { aliveName, port, family: 6 } as const;
  return {
    port,
    addresses: ownAddresses,
    advertised: advertised(node, settings),
    registered: await registeredFromHere(full, deps),
  };
}

/** Places at which the daemon here has registered the node with Consul; empty where that does not tell. */
async function registeredFromHere(full: string, { settings, connect }: TwinDeps): Promise<ReadonlySet<string>> {
  const domain = parseServiceDomain(hostPartOf(full), settings.consulDomain);
  if (!domain) return new Set();
  try {
    const { service, datacenter } = domain;
    const [owner, client] = await Promise.all([readOwner(settings.port), connect()]);
    const members = await client.members({ service, datacenter }, AbortSignal.timeout(TIMEOUT));
    const aliveName = full.slice(0, full.indexOf("@") + 1);
    const own = members.filter(({ meta }) => meta[META_OWNER] === owner && meta[META_NODE]?.startsWith(aliveName));
    return new Set(own.map((member) => hostPort(member)));
  } catch {
    return new Set();
  }
}
