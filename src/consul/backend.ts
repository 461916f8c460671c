import type { CatalogueBackend } from "../catalogue/core/backend.js";
import type { ConsulClient } from "./client.js";

/** Consul's catalogue, `/v1/health/service/<service>`. @param client whose answers may come from any server, as those of Consul's DNS */
export function consulBackend(client: Pick<ConsulClient, "followService" | "leader">): CatalogueBackend {
  return {
    name: "consul",
    title: "Consul",
    follow: ({ service, datacenter }, index, wait, signal) =>
      client.followService({ service, datacenter }, index, wait, signal),
    // This answer comes from the servers, as the list does.
    answers: (signal) => client.leader(signal),
    meanwhile: {
      known: "patterns get what was known, look-ups are not answered from it",
      unknown: "patterns get the nodes here",
    },
    emptyMeans:
      "Consul lists no instance of the service, and its DNS has nodes there: the token may not read them (service:read and node:read), so look-ups ask DNS",
  };
}
