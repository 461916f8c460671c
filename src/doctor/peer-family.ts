import { isHelperName } from "../names/node-name.js";
import type { Family } from "../net/endpoint.js";
import { hostPort } from "../net/ip.js";
import { NOT_NAMED, UNKNOWN } from "./asked-node.js";
import { fail, ofVms, ok, skip, warn } from "./core/finding.js";
import type { Check } from "./examination.js";
import { nameIn } from "./local-epmd.js";

export const peerFamily: Check = {
  id: "peer-family",
  title: "the IP versions of the node fit -proto_dist of the VMs here",
  run: async (examination) => {
    const { asked, config } = examination;
    if (!asked) return NOT_NAMED;
    const resolution = await examination.resolution();
    if (resolution.outcome !== "found") return skip(UNKNOWN);
    const { endpoints } = resolution;
    const families = new Set(endpoints.map(({ family }) => family));
    const [only] = families;
    if (only === undefined || families.size === 2)
      return ok("the node has IPv4 and IPv6 endpoints: every VM can dial it");
    const places = endpoints.map((endpoint) => hostPort(endpoint)).join(", ");
    const evidence = `the node has IPv${only} endpoints only (${places})`;
    if (config.gateway || config.connectNative) return ok(`${evidence}: relays here reach it for every VM`);
    if (resolution.source === "registry") return ok(`${evidence}, and lives here`);
    if (resolution.source === "upstream") return ok(`${evidence} of the sidecar proxy, which every VM can dial`);
    const nodes = await examination.nodes();
    const local = nodes.filter(({ aliveName }) => !isHelperName(aliveName, nameIn(nodes)));
    const unable = local.filter(({ family }) => family !== only);
    // Without a VM here: inet_tcp is the default of -proto_dist.
    if (unable.length === 0 && (local.length > 0 || only === 4)) {
      return ok(
        `${evidence}, and ${local.length > 0 ? "the VMs here" : "VMs without -proto_dist"} use ${PROTOCOL[only]}`,
      );
    }
    const who = unable.map(({ aliveName }) => aliveName).join(", ");
    const told =
      local.length > 0
        ? [`${who} here is -proto_dist ${PROTOCOL[only === 4 ? 6 : 4]} and cannot dial the node`, evidence]
        : `${evidence}: VMs without -proto_dist cannot dial them`;
    const advice = `start the VMs here with -proto_dist ${PROTOCOL[only]}, let the node publish an IPv${only === 4 ? 6 : 4} address too (--advertise-address, with a VM that listens there), or use --gateway, whose relays connect both families`;
    if (local.length === 0) return warn("PEER_FAMILY", told, advice);
    const names = unable.map(({ aliveName }) => aliveName);
    return ofVms(names, fail("PEER_FAMILY", told, advice));
  },
};

const PROTOCOL: Record<Family, string> = { 4: "inet_tcp", 6: "inet6_tcp" };
