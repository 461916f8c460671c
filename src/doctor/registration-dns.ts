import { hostPort } from "../net/ip.js";
import { resolutionWords } from "../resolve/core/resolution.js";
import { listed } from "../text.js";
import { differencesOf } from "./catalogue.js";
import { NO_TOKEN } from "./consul-reachable.js";
import { type Finding, fail, ok, skip, together, warn } from "./core/finding.js";
import type { Check, Examination } from "./examination.js";
import { isOwn, NO_PUBLISHED_NODE, ownRegistrations, type PublishedNode, whyCritical } from "./published-nodes.js";
import { SEE_RESOLVER } from "./resolver.js";
import { whyNothingPublished } from "./way.js";

export const registrationDns: Check = {
  id: "registration-dns",
  title: "the nodes here have SRV records, asked from here",
  run: async (examination) => {
    const nothing = whyNothingPublished(examination);
    if (nothing) return nothing;
    const nodes = await examination.published();
    const isMissing = nodes.some(({ inDns }) => inDns.outcome === "not-found");
    // The srv-epmd here may find them in Consul's catalogue, with its token.
    if (isMissing && (await examination.missingToken()) !== undefined) return skip(NO_TOKEN);
    const reasons = isMissing ? await whereToLook(examination) : new Map<string, string>();
    const findings = nodes.map((node) => visible(node, reasons.get(node.aliveName), examination));
    return together(findings, NO_PUBLISHED_NODE);
  },
};

/** By alive name: what to do about a node that is not in DNS, where another check knows the cause. */
async function whereToLook(examination: Examination): Promise<ReadonlyMap<string, string>> {
  const registrations = await ownRegistrations(examination).catch(() => []);
  const differences = await differencesOf(examination).catch(() => undefined);
  return new Map([
    ...(differences?.found ?? []).map(
      ({ aliveName }) => [aliveName, "see catalogue: Consul's servers differ from the agent"] as const,
    ),
    ...registrations
      .filter((one) => !one.held || whyCritical(one) !== undefined)
      .map(
        ({ wanted }) => [wanted.aliveName, "see registration: the agent does not have it, or has it critical"] as const,
      ),
  ]);
}

const NOT_IN_DNS = [
  "ask the DNS of that Consul: --dns consul=<address of the agent>:8600; another Consul does not have the node",
  'with ACLs the agent\'s default token (acl.tokens.default) needs node_prefix "" { policy = "read" } and service_prefix "" { policy = "read" }, for DNS is answered with that',
  "or the token is gone that the entry was registered with (see catalogue)",
];

function visible(node: PublishedNode, advice: string | undefined, { config }: Examination): Finding {
  const { full, aliveName, resolution, inDns } = node;
  switch (resolution.outcome) {
    case "unavailable":
      return fail("DNS_UNAVAILABLE", `${full} cannot be looked up: ${resolution.cause}`, SEE_RESOLVER);
    case "not-found":
      if (advice !== undefined) return fail("DNS_MISSING", resolution.reason, advice, aliveName);
      return fail(
        "DNS_MISSING",
        resolution.reason,
        config.dnsListen ? "start serve with this --dns-listen and --domain" : NOT_IN_DNS,
        aliveName,
      );
    case "found": {
      const places = listed(resolution.endpoints.map((endpoint) => hostPort(endpoint)));
      if (resolution.endpoints.some((endpoint) => isOwn(node, endpoint))) {
        if (inDns.outcome === "found") return ok(`${full} is at ${places}`);
        return warn(
          "DNS_LEAVES_OUT",
          `${resolutionWords(inDns)}; but look-ups find ${full} in Consul's catalogue, at ${places}`,
          advice ?? (inDns.outcome === "not-found" ? NOT_IN_DNS : SEE_RESOLVER),
          aliveName,
        );
      }
      const wanted = node.places.map(({ address, port }) =>
        address === undefined ? `port ${port}` : hostPort(address, port),
      );
      return warn(
        "DNS_ELSEWHERE",
        `${full} is at ${places}, but by these options it is at ${wanted.join(" and ")}`,
        [
          "give doctor the options and the environment of serve",
          "or another machine has published a node of this name",
        ],
        aliveName,
      );
    }
    default:
      return resolution satisfies never;
  }
}
