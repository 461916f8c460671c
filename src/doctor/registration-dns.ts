import { agentHost } from "../consul/core/agent-dns.js";
import type { NameServer } from "../dns/exchange.js";
import { hostPort, isLoopback } from "../net/ip.js";
import { resolutionWords } from "../resolve/core/resolution.js";
import { listed } from "../text.js";
import { differencesOf } from "./catalogue.js";
import { otherAgent } from "./consul-agent.js";
import { hasNoToken, NO_TOKEN } from "./consul-reachable.js";
import { apart, type Finding, fail, ok, skip, together, warn } from "./core/finding.js";
import { notInDnsAdvice } from "./core/not-in-dns.js";
import { NO_CONSUL } from "./core/problem-kind.js";
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
    if (isMissing && (await hasNoToken(examination))) return inDnsAlone(nodes, examination);
    const reasons = isMissing ? await whereToLook(examination) : new Map<string, string>();
    const otherwise = isMissing ? await notInDns(examination) : [];
    const findings = nodes.map((node) => {
      const reason = reasons.get(node.aliveName);
      return visible(node, reason === undefined ? otherwise : [reason], examination);
    });
    const finding = together(findings, NO_PUBLISHED_NODE);
    return isMissing && (await isAskedElsewhere(examination)) ? apart(NO_CONSUL, finding) : finding;
  },
};

/** The agent of serve answers it, whatever doctor asks; and DNS is not asked at the agent of doctor in place of others. */
async function isAskedElsewhere(examination: Examination): Promise<boolean> {
  if ((await otherAgent(examination)) === undefined || (await examination.standIn())) return false;
  return (await examination.daemon())?.consul?.answers === true;
}

/** Without serve's token it is not known what Consul has, nor whether look-ups of serve find it there; what DNS has is. */
async function inDnsAlone(nodes: readonly PublishedNode[], examination: Examination): Promise<Finding> {
  const [status, advice] = [await examination.daemon(), await notInDns(examination)];
  const findings = nodes.map((node) => {
    const { full, aliveName, inDns } = node;
    if (inDns.outcome === "found") return visible(node, advice, examination);
    const isThere = status?.nodes.find(({ name }) => name === aliveName)?.publication === "in-consul";
    if (!isThere || inDns.outcome !== "not-found") return skip(NO_TOKEN);
    const evidence = `${inDns.reason}, though the srv-epmd here has published ${full} in Consul`;
    return warn("DNS_LEAVES_OUT", evidence, advice, aliveName);
  });
  return together(findings, NO_PUBLISHED_NODE);
}

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

async function notInDns({ config, rightsToRead, resolving }: Examination): Promise<string[]> {
  const rights = await rightsToRead();
  const { servers } = await resolving.dns.setFor(config.consulDomain);
  const agent = agentHost(config.consul);
  const isLocal = agent === "" || agent === "localhost" || isLoopback(agent);
  // On port 53 is a resolver, which may forward to any Consul.
  const isAgent = ({ address, port }: NameServer) =>
    port !== 53 && (address === agent || (isLocal && isLoopback(address)));
  const asksAgent = servers.length > 0 && servers.every(isAgent);
  return notInDnsAdvice({ areAclsOff: rights && rights.kind === "acls-off", asksAgent });
}

function visible(node: PublishedNode, advice: readonly string[], { config }: Examination): Finding {
  const { full, aliveName, resolution, inDns } = node;
  switch (resolution.outcome) {
    case "unavailable":
      return fail("DNS_UNAVAILABLE", `${full} cannot be looked up: ${resolution.cause}`, SEE_RESOLVER);
    case "not-found":
      return fail(
        "DNS_MISSING",
        resolution.reason,
        config.dnsListen ? "start serve with this --dns-listen and --domain" : advice,
        aliveName,
      );
    case "found": {
      const places = listed(resolution.endpoints.map((endpoint) => hostPort(endpoint)));
      if (resolution.endpoints.some((endpoint) => isOwn(node, endpoint))) {
        if (inDns.outcome === "found") return ok(`${full} is at ${places}`);
        return warn(
          "DNS_LEAVES_OUT",
          `${resolutionWords(inDns)}; but look-ups find ${full} in Consul's catalogue, at ${places}`,
          inDns.outcome === "not-found" ? advice : SEE_RESOLVER,
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
