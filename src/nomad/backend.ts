import type { CatalogueBackend } from "../catalogue/core/backend.js";
import type { ServiceInstance } from "../catalogue/core/instances.js";
import type { NomadClient } from "./client.js";
import type { NomadInstance } from "./core/replies.js";

/** Nomad's own catalogue, `/v1/service/<service>`. A query that names no namespace is for `default`, as in Nomad's API. */
export function nomadBackend(client: Pick<NomadClient, "instances">): CatalogueBackend {
  return {
    name: "nomad",
    title: "Nomad",
    meanwhile: { known: "what was known is used", unknown: "nodes elsewhere are not found" },
    follow: async ({ service, namespace = "default" }, index, wait, signal) => {
      const answer = await client.instances({ service, namespace }, { index, wait, signal });
      return { ...answer, instances: answer.instances.map(instanceOf) };
    },
  };
}

/** An entry is there from the start of its task to its end: Nomad's catalogue has no health. */
function instanceOf({ id, tags, port, address, version }: NomadInstance): ServiceInstance {
  return { serviceId: id, tags, port, meta: {}, address, critical: false, weight: 1, version };
}
