import { nodeDomain, reach } from "../core/advertised.js";
import { isHelperName } from "../core/helper-names.js";
import { parseNodeName } from "../core/node-name.js";
import { publishesToConsul } from "../core/publication.js";
import type { Resolution } from "../core/resolution.js";
import type { Examination } from "./examination.js";
import { wantedEntries } from "./own-registrations.js";

/** A node that lives here, as others find it. */
export interface PublishedNode {
  readonly aliveName: string;
  /** `node_a@svc.service.consul` */
  readonly full: string;
  /** That it should be found with. */
  readonly port: number;
  /** From DNS alone, as if the node did not live here. */
  readonly resolution: Resolution;
}

type View = Pick<Examination, "config" | "machine" | "nodes" | "resolving">;

/** How long a name that has just been published may be absent: a server other than the leader is late, our cache remembers. */
const PAUSE = 1_100;

/** Looks up what is published of the nodes here: in Consul's DNS, or in the zone that serve answers from. Never rejects. */
export async function publishedNodes(view: View): Promise<PublishedNode[]> {
  return Promise.all(
    (await expected(view)).map(async ({ aliveName, host, port }) => {
      const full = `${aliveName}@${host}`;
      const look = async () => {
        const options = { sameHost: true, allowed: (source: string) => source === "srv" };
        return view.resolving.nodes.resolve(parseNodeName(full), options);
      };
      let resolution = await look();
      if (resolution.outcome === "not-found") {
        await new Promise((resolve) => setTimeout(resolve, PAUSE));
        resolution = await look();
      }
      return { aliveName, full, port, resolution };
    }),
  );
}

async function expected(view: View): Promise<{ aliveName: string; host: string; port: number }[]> {
  const { config, nodes } = view;
  if (publishesToConsul(config)) {
    const entries = (await wantedEntries(view)).map(({ aliveName, service, port }) => {
      const host = nodeDomain(aliveName, config) ?? `${service}.service.${config.consulDomain}`;
      return { aliveName, host, port };
    });
    // One entry a family: they share a name.
    return Array.from(new Map(entries.map((entry) => [entry.aliveName, entry])).values());
  }
  if (!config.dnsListen) return [];
  return (await nodes()).flatMap((node) => {
    const host = nodeDomain(node.aliveName, config);
    const reached = reach(node, config);
    if (host === undefined || isHelperName(node.aliveName) || reached.outcome !== "reachable") return [];
    return { aliveName: node.aliveName, host, port: reached.advertised.port };
  });
}
