import type { Config } from "../config/config.js";
import { isForTasks, type NomadPort, portOfLabel } from "../config/nomad.js";
import { probeWords } from "../distribution/core/words.js";
import { isInMesh, isMeshed } from "../mesh/core/upstreams.js";
import { servedDomains } from "../names/domains.js";
import { hostPort, isLoopback } from "../net/ip.js";
import { noSuchLabel, reach } from "../publish/core/advertised.js";
import { domainDoubts, publishesToConsul } from "../publish/core/publication.js";
import { resolutionWords } from "../resolve/core/resolution.js";
import { listed, nearest } from "../text.js";
import { differencesOf } from "./catalogue.js";
import { type Finding, fail, ok, skip, together, warn } from "./core/finding.js";
import type { Check, Examination } from "./examination.js";
import { type LocalNode, NO_NODE } from "./local-epmd.js";
import { usesNomad } from "./nomad.js";
import { isOwn, NO_PUBLISHED_NODE, ownRegistrations, type PublishedNode, whyCritical } from "./published-nodes.js";
import { SEE_RESOLVER } from "./resolver.js";
import { NOT_IN_MESH, whyUnpublished } from "./way.js";

export const domain: Check = {
  id: "domain",
  title: "nodes are published under each --domain, and every version of Consul finds them there",
  run: async ({ config }) => {
    const doubts = domainDoubts(config);
    if (doubts.length === 0) {
      const domains = servedDomains(config);
      return publishesToConsul(config) && domains.length > 0
        ? ok(`nodes are published under ${listed(domains)}`)
        : (whyUnpublished(config) ?? skip("there is no --domain"));
    }
    return together(
      doubts.map(({ kind, evidence, advice }) =>
        kind === "unpublished"
          ? fail("DOMAIN_UNPUBLISHED", evidence, advice)
          : warn("DOMAIN_DOUBTFUL", evidence, advice),
      ),
      "",
    );
  },
};

const NO_CONNECT_PORT = "the relay process does not say at which port it takes callers (see connect-relay)";
const CONNECT_PORT_ADVICE =
  "take callers at the task side of a mapped port (--port-label with its label, or --connect-listen), or say where peers reach it with --advertise-port and --advertise-address";

export const portMapping: Check = {
  id: "port-mapping",
  title: "Nomad's port mapping, --advertise-port and --advertise-address, against the ports of the nodes here",
  run: async ({ config, nodes, connectPort: askConnectPort }) => {
    const { nomad, advertisePort, advertiseAddress, portLabel } = config;
    if (isInMesh(config) && !publishesToConsul(config)) return skip(NOT_IN_MESH);
    if (portLabel !== undefined && !portOfLabel(nomad.ports, portLabel)) {
      return fail("PORT_NO_LABEL", noSuchLabel(portLabel, nomad.ports), labelAdvice(portLabel, nomad.ports));
    }
    const connectPort = config.connectNative ? await askConnectPort() : undefined;
    if (config.connectNative && connectPort === undefined) return skip(NO_CONNECT_PORT);
    const advice = config.connectNative
      ? CONNECT_PORT_ADVICE
      : nomad.ports.length === 0
        ? "say where peers reach it with --advertise-address, of the family in which its VM listens, and --advertise-port"
        : 'let the VM listen on the task side of a mapped port (ERL_AFLAGS="-kernel inet_dist_listen_min $NOMAD_PORT_<label> inet_dist_listen_max $NOMAD_PORT_<label>"), or say where peers reach it with --port-label, --advertise-port and --advertise-address';
    if (nomad.ports.length === 0 && advertisePort === undefined && advertiseAddress.length === 0) {
      return skip("no port is mapped: there is no NOMAD_PORT_<label>, --advertise-port or --advertise-address");
    }
    const findings = (await nodes()).map((node): Finding => {
      const reached = reach(node, { ...config, connectPort });
      if (reached.outcome === "reachable") {
        const { port, addresses } = reached.advertised;
        const places = addresses.map((address) => hostPort(address, port)).join(" and ");
        const told = `${node.aliveName}: port ${connectPort ?? node.port} here is ${places || `port ${port}`} to its peers`;
        return (connectPort === undefined ? unreserved(node, config, told) : undefined) ?? ok(told);
      }
      return fail("PORT_UNMAPPED", `peers cannot reach ${node.aliveName}: ${reached.reason}`, advice, node.aliveName);
    });
    return together(findings, NO_NODE);
  },
};

/** In the host's network a node is reached at any port, and only Nomad's own are kept free for the task. */
function unreserved({ aliveName, port, address }: LocalNode, config: Config, told: string): Finding | undefined {
  const { portLabel, nomad, advertisePort } = config;
  const label = portLabel === undefined ? undefined : portOfLabel(nomad.ports, portLabel);
  if (!label || label.taskPort === port || advertisePort !== undefined || address !== undefined) return undefined;
  return warn(
    "PORT_UNRESERVED",
    [
      told,
      `that is not the port of the label ${label.label}, ${label.taskPort}: Nomad may give ${port} to another task`,
    ],
    `let the VM listen on ${label.taskPort} (ERL_DIST_PORT=${label.taskPort} with the srv_epmd module, else -kernel inet_dist_listen_min ${label.taskPort} inet_dist_listen_max ${label.taskPort})`,
    aliveName,
  );
}

function labelAdvice(wanted: string, ports: readonly NomadPort[]): string {
  const labels = ports.filter(isForTasks).map(({ label }) => label);
  const meant = nearest(wanted, labels);
  if (labels.length === 0)
    return 'give the group a port (network { port "dist" { to = -1 } }), or leave --port-label out';
  const was = meant === undefined ? "" : `was ${meant} meant? Else `;
  return `${was}give the group a port of that label, or leave --port-label out: then the port is used on which the VM listens`;
}

/** Undefined where nodes are published. */
function whyNothingPublished({ config }: Examination): Finding | undefined {
  if (isMeshed(config)) return skip(NOT_IN_MESH);
  if (publishesToConsul(config) || config.dnsListen) return undefined;
  if (usesNomad({ config })) return skip("Nomad registers the nodes here: see nomad-entry");
  return skip("nothing is published with these options (--domain under Consul's, or --dns-listen)");
}

export const registrationDns: Check = {
  id: "registration-dns",
  title: "the nodes here have SRV records, asked from here",
  run: async (examination) => {
    const nothing = whyNothingPublished(examination);
    if (nothing) return nothing;
    const nodes = await examination.published();
    const isMissing = nodes.some(({ inDns }) => inDns.outcome === "not-found");
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

export const publishedEndpoint: Check = {
  id: "published-endpoint",
  title: "a connection to the published endpoints reaches the nodes here",
  run: async (examination) => {
    const nothing = whyNothingPublished(examination);
    if (nothing) return nothing;
    const published = await examination.published();
    const found = published.filter(({ resolution }) => resolution.outcome === "found");
    if (found.length === 0)
      return skip(published.length === 0 ? NO_PUBLISHED_NODE : "none of the nodes here has an SRV record");
    if (examination.isBridged) return skip("this cannot be seen from inside a bridge network: see hairpin");
    const findings = await Promise.all(found.map((node) => dialled(node, examination)));
    return together(findings.flat(), NO_PUBLISHED_NODE);
  },
};

async function dialled(node: PublishedNode, examination: Examination): Promise<Finding[]> {
  return (await examination.dial(node)).map(({ endpoint, probe }) => {
    const place = hostPort(endpoint);
    const { full } = node;
    if (!isOwn(node, endpoint)) return ok(`${full} is also at ${place}, on another machine`);
    if (probe.result !== "node" && probe.result !== "tls" && probe.result !== "erlang") {
      const evidence = `${full} is published at ${place}: ${probeWords(probe, full, endpoint)}`;
      const advice = [
        "the address or the port is mapped wrongly: --advertise-address and --advertise-port, or the Nomad port whose task side is the VM's port (--port-label)",
        "or the VM does not listen there: vm-listens shows where it does",
      ];
      return fail("PUBLISHED_NOT_REACHED", evidence, advice, node.aliveName);
    }
    if (isLoopback(endpoint.address) && !examination.config.dnsListen) {
      const evidence = `${full} is published at ${place}, a loopback address: peers on other machines dial themselves`;
      const advice = [
        "give --advertise-address, or the Consul agent an address of the machine (bind_addr, advertise_addr)",
        "if all nodes are on this machine, nothing needs to be done",
      ];
      return warn("PUBLISHED_LOOPBACK", evidence, advice, node.aliveName);
    }
    return ok(`${full} is reached at ${place}`);
  });
}

export const hairpin: Check = {
  id: "hairpin",
  title: "in a bridge network: the task reaches the published endpoints of its own nodes through the host",
  run: async (examination) => {
    if (!examination.isBridged) return skip("this is not a bridge network of Nomad");
    const nothing = whyNothingPublished(examination);
    if (nothing) return nothing;
    const published = await examination.published();
    const found = published.filter(({ resolution }) => resolution.outcome === "found");
    const findings = await Promise.all(found.map((node) => throughHost(node, examination)));
    return together(findings.flat(), "none of the nodes here has an SRV record");
  },
};

async function throughHost(node: PublishedNode, examination: Examination): Promise<Finding[]> {
  return (await examination.dial(node)).map(({ endpoint, probe }) => {
    const place = hostPort(endpoint);
    switch (probe.result) {
      case "node":
      case "tls":
      case "erlang":
        return ok(`${node.full} is reached through the host at ${place}`);
      case "other-node":
      case "not-erlang":
        return fail(
          "HAIRPIN_OTHER",
          `${node.full} is published at ${place}: ${probeWords(probe, node.full, endpoint)}`,
          "the port is mapped to another program: compare the group's ports with the port that the VM listens on (vm-listens, port-mapping)",
        );
      default:
        return skip([
          `${place} cannot be dialled from inside (${probe.result}), which is normal: Nomad's bridge has no hairpin. It does no harm, because nodes here get the local port`,
          `run srv-epmd doctor ${node.full} on another machine to test the mapping`,
        ]);
    }
  });
}
