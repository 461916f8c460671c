import { SILENT_RELAY } from "../relay/core/trouble.js";
import { fail, ofVms, ok, skip } from "./core/finding.js";
import type { Check } from "./examination.js";
import { stockNames, unseenNames } from "./local-vms.js";
import { NO_GATEWAY, UNTOLD } from "./way.js";

export const gatewayRelay: Check = {
  id: "gateway-relay",
  title: "the gateway: its relay process answers the srv-epmd here",
  run: async ({ config, daemon, localVms }) => {
    if (!config.gateway) return NO_GATEWAY;
    const status = await daemon();
    if (!status) return UNTOLD;
    const condition = status.readiness.checks.find(({ name }) => name === "gateway");
    if (!condition) return skip("the srv-epmd here is no gateway: see serve-options");
    if (condition.ok) return ok("the relay process answers");
    const { reason = "the relay process does not answer", advice = SILENT_RELAY } = condition;
    const finding = fail("RELAY_DOWN", reason, advice);
    // As native ends of Connect all VMs go through it; else those with the module dial nodes themselves.
    if (config.connectNative) return finding;
    const vms = await localVms();
    return ofVms([...stockNames(vms), ...unseenNames(vms)], finding);
  },
};
