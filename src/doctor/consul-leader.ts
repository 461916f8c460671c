import { NO_AGENT } from "./consul-reachable.js";
import { CONSUL_UNUSED, useOfConsul } from "./consul-use.js";
import { explainLeaderless } from "./core/consul-servers.js";
import { fail, ok, skip } from "./core/finding.js";
import type { Check } from "./examination.js";
import { ofDatacenter } from "./this-consul.js";
import { inMeshOr } from "./way.js";

export const consulLeader: Check = {
  id: "consul-leader",
  title: "Consul's servers have a leader, and the agent here reaches them; else nothing new is published",
  run: async (examination) => {
    if (useOfConsul(examination) === "none") return skip(inMeshOr(examination.config, CONSUL_UNUSED));
    try {
      const { address, said } = await examination.leader();
      if (address !== undefined) return ok(`the leader ${await ofDatacenter(examination)}is ${address}`);
      const { code, evidence, advice } = explainLeaderless({ said, servers: await examination.servers() });
      return fail(code, evidence, advice);
    } catch {
      return skip(NO_AGENT);
    }
  },
};
