import { proxiedServices, uncleaned } from "../config/nomad.js";
import { isIntended } from "../consul/examine.js";
import { ConsulError } from "../errors.js";
import { destinationOf, isInMesh } from "../mesh/core/upstreams.js";
import { nodeDomain, ownServices, parseServiceDomain } from "../names/domains.js";
import { NOT_NAMED } from "./asked-node.js";
import { isThere, messageOf } from "./consul-reachable.js";
import { type Finding, fail, ok, skip, together } from "./core/finding.js";
import { allowCommand, checkCommand, type IntendedLink, type Link } from "./core/hung-up.js";
import type { Check, Examination } from "./examination.js";
import type { AskedNode } from "./examined-node.js";
import { NO_NODE } from "./local-epmd.js";
import { sidecarsHere } from "./sidecars.js";
import { NO_MESH } from "./way.js";

export const meshIntention: Check = {
  id: "mesh-intention",
  title: "Connect: intentions allow both directions between the nodes here and the node asked for",
  run: async (examination) => {
    const { config } = examination;
    if (!isInMesh(config) && !config.connectNative) return NO_MESH;
    const { asked } = examination;
    if (!asked) return NOT_NAMED;
    const resolution = await examination.resolution();
    if (resolution.outcome === "found" && resolution.source === "registry") return skip("the node lives here");
    const [destination, sources] = config.connectNative
      ? [parseServiceDomain(asked.host, config.consulDomain)?.service ?? asked.host, ownServices(config)]
      : [await destinationOfNode(asked, examination), await sourcesHere(examination)];
    if (sources.length === 0) return skip("the service of the nodes here is not known: give --service");
    const links = sources.flatMap((source): Link[] => [
      { source, destination },
      { source: destination, destination: source },
    ]);
    if (!(await isThere(examination))) {
      return skip([
        "no Consul agent answers here, and a mesh needs none. On a machine with an agent, such as the client, ask",
        links.map(checkCommand).join("; "),
      ]);
    }
    return together(await Promise.all(links.map((link) => intention(link, examination))), NO_NODE);
  },
};

/** As the upstream writes it, where there is one: nodes with `_` in their names are behind services with hyphens. */
export async function destinationOfNode(
  { name, host }: AskedNode,
  { config, resolution }: Examination,
): Promise<string> {
  const found = await resolution();
  const byName = destinationOf(config, { ...name, host });
  const upstream = found.outcome === "found" && found.source === "upstream" ? found.endpoints[0]?.target : undefined;
  return upstream === undefined ? byName : uncleaned(upstream, [byName]);
}

/** The services of the nodes here, as whose their proxies connect. */
async function sourcesHere(examination: Examination): Promise<string[]> {
  const { config, nodes } = examination;
  const ofNodes = (await nodes()).flatMap(({ aliveName }) => {
    const host = nodeDomain(aliveName, config);
    return host === undefined ? [] : [destinationOf(config, { aliveName, host })];
  });
  return Array.from(new Set(await proxied(ofNodes, examination))).filter((name) => name !== "");
}

/** Of several proxies in an allocation those of its nodes, if there are any. */
async function proxied(ofNodes: readonly string[], examination: Examination): Promise<readonly string[]> {
  const { nomad } = examination.config;
  if (nomad.upstreams.length === 0) {
    const sidecars = await sidecarsHere(examination).catch(() => []);
    return sidecars.length > 0 ? sidecars.map(({ service }) => service) : ofNodes;
  }
  const services = proxiedServices(nomad.ports).map((service) => uncleaned(service, ofNodes));
  if (services.length === 0) return ofNodes;
  const chosen = services.filter((service) => ofNodes.some((name) => name.toLowerCase() === service.toLowerCase()));
  return chosen.length > 0 ? chosen : services;
}

async function intention(link: Link, { connect: agent }: Examination): Promise<Finding> {
  const { source, destination } = link;
  try {
    if (await isIntended(await agent(), source, destination)) return ok(`${source} may connect to ${destination}`);
    const back = { source: destination, destination: source };
    return fail(
      "INTENTION_DENIES",
      `an intention, or the default, does not let ${source} connect to ${destination}`,
      `allow both directions, because either node may dial the other: ${allowCommand(link)}; ${allowCommand(back)}`,
    );
  } catch (error) {
    const rights = `service "${destination}" { policy = "read" intentions = "read" }`;
    const isRight = error instanceof ConsulError && error.code === "CONSUL_FORBIDDEN";
    return skip(`the token may not read intentions${isRight ? ` (${rights} lets it)` : `: ${messageOf(error)}`}`);
  }
}

/** The connections from the services of the nodes here to another service, and whether they are allowed. Never rejects. */
export async function intendedLinks(destination: string, examination: Examination): Promise<IntendedLink[]> {
  const sources = await sourcesHere(examination);
  const canAsk = await isThere(examination);
  return Promise.all(
    sources.map(async (source) => {
      const isAllowed = canAsk
        ? await examination
            .connect()
            .then((client) => isIntended(client, source, destination))
            .catch(() => undefined)
        : undefined;
      return { source, destination, isAllowed };
    }),
  );
}
