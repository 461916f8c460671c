import { listed } from "../text.js";
import { fail, ok, skip } from "./core/finding.js";
import type { Check } from "./examination.js";
import { NOT_NATIVE } from "./way.js";

const LOOK_INTO_LOGS = "see the log of serve and of srv-epmd relay: the lines have the reason, and since when";

export const connectRelay: Check = {
  id: "connect-relay",
  title: "Connect: the relay process of the srv-epmd here takes callers, and has a certificate",
  run: async ({ config, daemon }) => {
    if (!config.connectNative) return NOT_NATIVE;
    const status = await daemon();
    if (!status) return skip("no srv-epmd here tells it");
    const condition = status.readiness.checks.find(({ name }) => name === "connect");
    if (!condition) return skip("the srv-epmd here has no --connect-native: see serve-options");
    const native = status.relays?.native;
    if (!condition.ok) {
      const { reason = "it is not ready", advice = LOOK_INTO_LOGS } = condition;
      return fail("CONNECT_NO_RELAY", reason, advice);
    }
    const links = native?.links.length ?? 0;
    const refused = Object.entries(native?.refused ?? {}).map(([code, count]) => `${count} ${code}`);
    const turned = refused.length === 0 ? "" : `; callers that were not let in: ${listed(refused)}`;
    return ok(`it takes callers at port ${native?.port} for ${listed(native?.nodes ?? [])}: ${links} links${turned}`);
  },
};
