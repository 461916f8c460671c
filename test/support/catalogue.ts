import type { Catalogue } from "../../src/catalogue/catalogue.js";
import type { ServiceInstance } from "../../src/catalogue/core/instances.js";
import { consulQuestion } from "../../src/catalogue/core/question.js";
import type { ServiceView } from "../../src/catalogue/followed.js";
import { parseNodeName } from "../../src/names/node-name.js";
import { type CatalogueSourceOptions, createCatalogueSource } from "../../src/resolve/catalogue-source.js";
import { type NodeQuestion, srvOwner } from "../../src/resolve/core/resolution.js";
import type { LookupContext } from "../../src/resolve/source.js";

export function instance(over: Partial<ServiceInstance> = {}): ServiceInstance {
  const id = { serviceId: "id", tags: ["node_a"], meta: {} };
  return { ...id, address: "10.0.0.1", port: 20001, critical: false, weight: 1, version: 1, ...over };
}

export function viewOf(instances: readonly ServiceInstance[], over: Partial<ServiceView> = {}): ServiceView {
  return { instances, refused: new Set(), age: 0, state: "current", broken: 0, isPaused: false, ...over };
}

export function questionOf(text: string, over: Partial<NodeQuestion> = {}): NodeQuestion {
  const { aliveName, host = "", form, family } = parseNodeName(text);
  return { node: { aliveName, host, form, family }, family: family ?? "any", ...over };
}

export const CONTEXT: LookupContext = { deadline: 4_000, sameHost: true };

/** A source over one view of each service, and what it asked its catalogue. */
export function sourceOver(view: ServiceView | undefined, over: Partial<CatalogueSourceOptions> = {}) {
  const asked: unknown[] = [];
  const catalogue = {
    look: (query: unknown) => {
      asked.push(query);
      return view;
    },
    known: () => view,
    failure: () => undefined,
  } as unknown as Catalogue;
  const source = createCatalogueSource({
    title: "Consul",
    access: { catalogue, openCatalogue: async () => catalogue },
    read: (node) => consulQuestion(srvOwner("{name}.{host}", node), "consul"),
    family: "any",
    staleTtl: 3_600_000,
    random: () => 0,
    localAddresses: () => ["10.0.0.254", "fd00::fe"],
    now: () => 0,
    ...over,
  });
  return { source, asked };
}
