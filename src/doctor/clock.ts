import { NO_AGENT } from "./consul-reachable.js";
import { CONSUL_UNUSED, useOfConsul } from "./consul-use.js";
import { ok, skip, warn } from "./core/finding.js";
import type { Check } from "./examination.js";
import { inMeshOr } from "./way.js";

/** The Date header has whole seconds, and the answer arrives later. Milliseconds. */
const TOLERANCE = 5_000;

export const clock: Check = {
  id: "clock",
  title: "this machine's clock against the Consul agent's",
  run: async (examination) => {
    const { config, leader } = examination;
    if (useOfConsul(examination) === "none") return skip(inMeshOr(config, CONSUL_UNUSED));
    let answer: Awaited<ReturnType<typeof leader>>;
    try {
      answer = await leader();
    } catch {
      return skip(NO_AGENT);
    }
    if (answer.now === undefined) return skip("the Consul agent's answer has no Date header");
    // Date is rounded down.
    const difference = answer.askedAt - (answer.now + 500);
    const seconds = (Math.abs(difference) / 1000).toFixed(0);
    if (Math.abs(difference) <= TOLERANCE)
      return ok(`the clocks here and at ${config.consul} agree within ${TOLERANCE / 1000} s`);
    return warn(
      "CLOCK_DIFFERS",
      `the clock here is ${seconds} s ${difference > 0 ? "ahead of" : "behind"} the one at ${config.consul}`,
      "synchronize both clocks (NTP): with a wrong clock, certificates (-proto_dist inet_tls, Connect) and ACL tokens are not yet valid or expired, and names --cluster shows wrong ages",
    );
  },
};
