import { NO_AGENT, UNUSED, useOf } from "./consul.js";
import { ok, skip, warn } from "./core/finding.js";
import type { Check } from "./examination.js";

/** HTTP's Date has whole seconds, and the answer its time on the way. Milliseconds. */
const TOLERANCE = 5_000;

export const clock: Check = {
  id: "clock",
  title: "this machine's clock against the Consul agent's",
  run: async (examination) => {
    if (useOf(examination) === "none") return skip(UNUSED);
    const { config, leader } = examination;
    let answer: Awaited<ReturnType<typeof leader>>;
    try {
      answer = await leader();
    } catch {
      return skip(NO_AGENT);
    }
    if (answer.now === undefined) return skip("the Consul agent does not tell its time");
    // Date is rounded down.
    const difference = answer.askedAt - (answer.now + 500);
    const seconds = (Math.abs(difference) / 1000).toFixed(0);
    if (Math.abs(difference) <= TOLERANCE) return ok(`the same as at ${config.consul}, to the second`);
    return warn(
      `the clock here is ${seconds} s ${difference > 0 ? "ahead of" : "behind"} the one at ${config.consul}`,
      "set one of them (NTP): certificates of -proto_dist inet_tls and of Connect, and ACL tokens, are valid from and to a time, and the ages in names --cluster are wrong",
    );
  },
};
