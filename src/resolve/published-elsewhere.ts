import type { ConsulClient } from "../consul/client.js";
import { atMost } from "../each-of.js";
import { parseServiceDomain } from "../names/domains.js";
import { hostPartOf, type NodeName } from "../names/node-name.js";
import type { Endpoint } from "../net/endpoint.js";
import { hostPort } from "../net/ip.js";
import { type AdvertiseSettings, advertised } from "../publish/core/advertised.js";
import { META_NODE, META_OWNER } from "../publish/core/service-entry.js";
import { readOwner } from "../publish/ownership.js";
import { type OwnPlaces, otherPlaces } from "./core/own-places.js";
import type { NodeResolver } from "./node-resolver.js";

export interface PublishedDeps {
  readonly nodes: Pick<NodeResolver, "resolve">;
  readonly settings: AdvertiseSettings & { readonly connectNative: boolean };
  /** Of all interfaces here. */
  readonly ownAddresses: () => readonly string[];
  readonly agent: () => Promise<Pick<ConsulClient, "members">>;
}

/** A node that lives here. */
interface NodeHere {
  readonly name: NodeName;
  /** With its host expanded. */
  readonly full: string;
  /** On which it listens. */
  readonly port: number;
}

/** For name servers and the agent: the node was found without them. Milliseconds. */
const TIMEOUT = 2_000;

/** Where the name of a node that lives here is published, without the places that are known to be its own. Never rejects. */
export async function publishedElsewhere(node: NodeHere, deps: PublishedDeps): Promise<Endpoint[]> {
  const [published, own] = await Promise.all([publishedPlaces(node.name, deps), ownPlaces(node, deps)]);
  return otherPlaces(published, own);
}

/** As if the node did not live here. */
async function publishedPlaces(name: NodeName, { nodes, settings }: PublishedDeps): Promise<readonly Endpoint[]> {
  // DNS does not say whether a port speaks mutual TLS.
  const sources = settings.connectNative ? (["catalogue"] as const) : (["srv", "catalogue"] as const);
  const answers = await Promise.all(
    sources.map((only) => nodes.resolve(name, { sameHost: true, only, timeout: TIMEOUT })),
  );
  return answers.find((answer) => answer.outcome === "found")?.endpoints ?? [];
}

async function ownPlaces({ full, port }: NodeHere, deps: PublishedDeps): Promise<OwnPlaces> {
  const { settings, ownAddresses } = deps;
  const [aliveName = ""] = full.split("@");
  // A VM of either family: what it does not listen on is not published.
  const node = { aliveName, port, family: 6 } as const;
  return {
    port,
    addresses: ownAddresses(),
    advertised: advertised(node, settings),
    registered: (await atMost(TIMEOUT, registeredFromHere(full, deps))) ?? new Set(),
  };
}

/** Places at which the daemon here has registered the node with Consul; empty where that does not tell. Never rejects. */
async function registeredFromHere(full: string, { settings, agent }: PublishedDeps): Promise<ReadonlySet<string>> {
  const domain = parseServiceDomain(hostPartOf(full), settings.consulDomain);
  if (!domain) return new Set();
  try {
    const { service, datacenter } = domain;
    const [owner, client] = await Promise.all([readOwner(settings.port), agent()]);
    const aliveName = full.slice(0, full.indexOf("@"));
    const members = await client.members({ service, datacenter }, AbortSignal.timeout(TIMEOUT), new Set([aliveName]));
    const isNamed = (node: string | undefined) => node?.startsWith(`${aliveName}@`);
    const own = members.filter(({ meta }) => meta[META_OWNER] === owner && isNamed(meta[META_NODE]));
    return new Set(own.map((member) => hostPort(member)));
  } catch {
    return new Set();
  }
}
