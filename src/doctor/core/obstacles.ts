import type { Obstacle } from "../../publish/core/service-entry.js";

/** What to do about a check that keeps an entry out of Consul's DNS. */
export const OBSTACLE_ADVICE: Readonly<Record<Obstacle["kind"], string>> = {
  maintenance: "end the maintenance when the work is done: consul maint -disable, for an entry with -service=<its id>",
  tcp: "the agent cannot connect to that endpoint: let the VM listen there (vm-listens and port-mapping show where it does), or run serve without --tcp-check",
  other: "put right what that check tests: Consul's DNS leaves out every entry that has a critical check",
};
