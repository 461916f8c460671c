import { isLeftOut, nodeDomain } from "../names/domains.js";
import { isHelperName } from "../names/helper-names.js";
import { parseNodeName } from "../names/node-name.js";
import type { Endpoint } from "../net/endpoint.js";
import { familyOf } from "../net/ip.js";
import { reach } from "../publish/core/advertised.js";
import { publishesToConsul } from "../publish/core/publication.js";
import type { Resolution } from "../resolve/core/resolution.js";
import type { Examination } from "./examination.js";
import { nameIn } from "./local-nodes.js";
import { wantedEntries } from "./own-registrations.js";

/** A node that lives here, as others find it. */
export interface PublishedNode {
  readonly aliveName: string;
  /** `node_a@svc.service.consul` */
  readonly full: string;
  /** Where it should be found; an address that is not known beforehand is the agent's, or a host name's. */
  readonly places: readonly { readonly address: string | undefined; readonly port: number }[];
  /** From DNS alone, as if the node did not live here. */
  readonly resolution: Resolution;
}

type View = Pick<Examination, "config" | "machine" | "nodes" | "resolving">;

/** How long a name that has just been published may be absent: a server other than the leader is late, our cache remembers. */
const PAUSE = 1_100;

/** Looks up what is published of the nodes here: in Consul's DNS, or in the zone that serve answers from. Never rejects. */
export async function publishedNodes(view: View): Promise<PublishedNode[]> {
  return Promise.all(
    (await expected(view)).map(async ({ aliveName, host, places }) => {
      const full = `${aliveName}@${host}`;
      const look = async () => {
        return view.resolving.nodes.resolve(parseNodeName(full), { sameHost: true, only: "srv" });
      };
      let resolution = await look();
      if (resolution.outcome === "not-found") {
        await new Promise((resolve) => setTimeout(resolve, PAUSE));
        resolution = await look();
      }
      return { aliveName, full, places, resolution };
    }),
  );
}

interface Expected extends Pick<PublishedNode, "aliveName" | "places"> {
  readonly host: string;
}

async function expected(view: View): Promise<Expected[]> {
  const { config, nodes } = view;
  if (publishesToConsul(config)) {
    const entries = await wantedEntries(view);
    // One entry a family: they share a name.
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
  const here = await nodes();
  return here.flatMap((node) => {
    const host = nodeDomain(node.aliveName, config);
    const reached = reach(node, config);
    if (host === undefined || isHelperName(node.aliveName, nameIn(here)) || isLeftOut(node.aliveName, config))
      return [];
    if (reached.outcome !== "reachable") return [];
    const { port } = reached.advertised;
    return { aliveName: node.aliveName, host, places: [{ address: undefined, port }] };
  });
}

/** Another machine may have published a node of the same name. */
export function isOwn({ places }: PublishedNode, endpoint: Pick<Endpoint, "address" | "port">): boolean {
  return places.some(
    ({ address, port }) => port === endpoint.port && (address === undefined || address === endpoint.address),
  );
}
