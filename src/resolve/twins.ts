import type { Probe } from "../distribution/core/words.js";
import { type Again, differentVms } from "../distribution/different-vms.js";
import type { NodeName } from "../names/node-name.js";
import type { Endpoint } from "../net/endpoint.js";
import type { SourceName } from "./core/resolution.js";
import { type PublishedDeps, publishedElsewhere } from "./published-elsewhere.js";

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

/** A VM that has the name of a node, by one of its places. */
export interface NamedVm extends ProbedPlace {
  /** `here`: it lives on this machine, so a look-up here leads to no other. */
  readonly origin: "here" | "elsewhere";
}

/** Asks who is at an endpoint. Never rejects. */
export type AskPlace = (endpoint: Endpoint, again?: Again) => Promise<Probe>;

/** Places that are probed. */
const MAX_PLACES = 4;

/**
 * The VMs that have the name of a node: those that the look-up has found and, where it ended at the EPMD of this machine,
 * those to which one on another machine leads. Never rejects.
 */
export async function vmsNamed(node: FoundNode, ask: AskPlace, deps: PublishedDeps): Promise<NamedVm[]> {
  const { name, full, source, places } = node;
  const [first] = places;
  const isHere = source === "registry" && first !== undefined;
  const published = isHere ? await publishedElsewhere({ name, full, port: first.endpoint.port }, deps) : [];
  const others = await Promise.all(
    published.slice(0, MAX_PLACES).map(async (endpoint) => ({ endpoint, probe: await ask(endpoint) })),
  );
  const all: NamedVm[] = [
    ...places.map((place) => ({ ...place, origin: isHere ? ("here" as const) : ("elsewhere" as const) })),
    ...others.map((place) => ({ ...place, origin: "elsewhere" as const })),
  ];
  return differentVms(all, ({ endpoint }, again) => ask(endpoint, again));
}
