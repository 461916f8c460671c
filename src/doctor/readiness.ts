import { fail, ok, together, warn } from "./core/finding.js";
import type { Check } from "./examination.js";
import { UNTOLD } from "./way.js";

/** All that other checks do not find by themselves, or see otherwise than the srv-epmd here. */
export const readiness: Check = {
  id: "readiness",
  title: "the srv-epmd here is ready: all that /readyz depends on",
  run: async ({ daemon }) => {
    const status = await daemon();
    if (!status) return UNTOLD;
    const unmet = status.readiness.checks.filter((condition) => !condition.ok);
    if (unmet.length === 0) return ok("/readyz says that the srv-epmd here is ready");
    return together(
      unmet.map(({ name, reason = "it does not say why" }) => {
        const evidence = `the srv-epmd here is not ready (/readyz, ${name}): ${reason}`;
        if (name === "stopping") return warn("DAEMON_STOPPING", evidence, "wait for the next one, or start it");
        if (name === "node") {
          const advice = "see in the log of the VM's task why it does not start, or starts without -name or -sname";
          return fail("NODE_NONE", evidence, advice);
        }
        return fail("NOT_READY", evidence, "see the warnings in its log: they say since when, and what was tried");
      }),
      "",
    );
  },
};
