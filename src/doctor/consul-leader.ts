import { NO_AGENT } from "./consul-reachable.js";
import { CONSUL_UNUSED, useOfConsul } from "./consul-use.js";
import { fail, ok, skip } from "./core/finding.js";
import type { Check } from "./examination.js";
import { ofDatacenter } from "./this-consul.js";
import { inMeshOr } from "./way.js";

export const consulLeader: Check = {
  id: "consul-leader",
  title: "Consul's servers have a leader; without one nothing new is published",
  run: async (examination) => {
    if (useOfConsul(examination) === "none") return skip(inMeshOr(examination.config, CONSUL_UNUSED));
    try {
      const { address, said } = await examination.leader();
      if (address !== undefined) return ok(`the leader ${await ofDatacenter(examination)}is ${address}`);
      // Of an agent that has not joined, or has been left by all servers.
      if (said?.includes("No known Consul servers")) {
        return fail(
          "CONSUL_NO_LEADER",
          `Consul's agent here knows no server (${said}): nobody sees what is registered now`,
          [
            "join it to a server that runs: consul join <address of a server>; retry_join in its configuration does so by itself",
            "consul members lists whom it knows",
          ],
        );
      }
      return fail(
        "CONSUL_NO_LEADER",
        `Consul's servers have no leader${said === undefined ? "" : `, as far as the agent knows (${said})`}: nobody sees what is registered now`,
        [
          "bring back a majority of the servers (consul operator raft list-peers, consul members)",
          "srv-epmd then continues by itself",
        ],
      );
    } catch {
      return skip(NO_AGENT);
    }
  },
};
