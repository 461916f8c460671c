import { usesConsulCatalogue } from "../catalogue/core/question.js";
import { datacenters, serviceNames } from "../consul/examine.js";
import type { Probe } from "../distribution/core/words.js";
import { nameProblem } from "../dns/wire/record.js";
import { isMeshed } from "../mesh/core/upstreams.js";
import { parseServiceDomain } from "../names/domains.js";
import { isNomadHost } from "../names/nomad-domain.js";
import type { Endpoint } from "../net/endpoint.js";
import { familyOf, hostPort } from "../net/ip.js";
import { srvOwner, type Unavailable } from "../resolve/core/resolution.js";
import { listed } from "../text.js";
import { isThere, thisConsul } from "./consul.js";
import { whyNoRecord } from "./core/absent-node.js";
import { after, behind, type Finding, fail, ok, problemsOf, skip, softer, together, warn } from "./core/finding.js";
import type { AskedNode, Check, Examination } from "./examination.js";
import { API_ADVICE, whyNotInNomad } from "./nomad.js";
import { SEE_RESOLVER } from "./resolver.js";

export const NOT_NAMED = skip("no node was named: ask srv-epmd doctor node@host");
/** For A and AAAA of a name without SRV, milliseconds. */
const ADDRESS_TIMEOUT = 2_000;

export const peerRecords: Check = {
  id: "peer-records",
  title: "SRV, A and AAAA records of the node asked for",
  run: async (examination) => {
    const { asked, config } = examination;
    if (!asked) return NOT_NAMED;
    if (isMeshed(config)) return skip("in a mesh a node is found by its upstream: see mesh-upstream");
    const resolution = await examination.resolution();
    switch (resolution.outcome) {
      case "found": {
        const { source, endpoints, stale } = resolution;
        const places = endpoints.map((endpoint) => hostPort(endpoint)).join(", ");
        const evidence = `${asked.full}: found by ${source === "registry" ? "the EPMD here" : source} at ${places}`;
        if (!stale) return ok(evidence);
        return warn(
          "PEER_STALE",
          [evidence, "this is the last good answer, because nobody who could know better answers"],
          isNomadHost(asked.host, config.consulDomain) ? API_ADVICE : SEE_RESOLVER,
        );
      }
      case "unavailable":
        return (
          (await otherDatacenter(asked, resolution.cause, examination)) ??
          fail(
            "PEER_UNAVAILABLE",
            `${asked.full}: ${resolution.cause}`,
            unavailableAdvice(resolution, asked, examination),
          )
        );
      case "not-found":
        return (
          (await otherDatacenter(asked, resolution.reason, examination)) ??
          (await whyNot(asked, resolution.reason, examination))
        );
      default:
        return resolution satisfies never;
    }
  },
};

/** A name server did not answer, or with --fallback epmd the EPMD of the host. */
function unavailableAdvice({ code }: Unavailable, { host }: AskedNode, { config }: Examination): string {
  if (code.startsWith("NOMAD_")) return API_ADVICE;
  if (code.startsWith("EPMD_")) {
    return "--fallback epmd asks the EPMD of that host: it must run, and serve other machines (there: srv-epmd serve --listen <its address>)";
  }
  const usesCatalogue = usesConsulCatalogue(config) && parseServiceDomain(host, config.consulDomain) !== undefined;
  const advice = "start the name server, or give another one with --dns";
  return usesCatalogue
    ? `${advice} (resolver shows how each answers); the Consul agent's catalogue serves too`
    : `${advice} (resolver shows how each answers)`;
}

async function whyNot(asked: AskedNode, reason: string, examination: Examination): Promise<Finding> {
  const { config } = examination;
  const { name, host, full } = asked;
  const owner = srvOwner(config.srvName, { ...name, host });
  if (host === "localhost" || (familyOf(host) === undefined && !host.includes("."))) {
    return fail(
      "PEER_NO_HOST",
      `${full}: ${reason}, and no name server is asked for the host part ${host}`,
      "give a host part (node@svc.service.consul), or --domain, under which bare names are looked up",
    );
  }
  if (familyOf(host) !== undefined) {
    return fail(
      "PEER_NOT_FOUND",
      `${full}: ${reason}`,
      "give --domain, under which the alive name has SRV records that lead to this address, or --fallback epmd where an EPMD runs there",
    );
  }
  if (isNomadHost(host, config.consulDomain)) return whyNotInNomad(asked, reason, examination);
  if (nameProblem(owner) !== undefined)
    return fail("PEER_NOT_FOUND", `${full}: ${reason}`, "give the VM a name that is possible in DNS");
  const domain = parseServiceDomain(host, config.consulDomain);
  if (domain && !config.dnsListen && (await isThere(examination))) {
    try {
      const { service, datacenter, tagSuffix } = domain;
      const client = await examination.connect();
      const [members, services] = await Promise.all([
        client.members({ service, datacenter }),
        serviceNames(client, datacenter).catch(() => []),
      ]);
      const tag = tagSuffix === undefined ? name.aliveName : `${name.aliveName}.${tagSuffix}`;
      const why = whyNoRecord({ full, aliveName: name.aliveName, tag, service }, members, services);
      return after([reason], withOwn(why, await ownConsul(examination)));
    } catch {
      // consul-agent examines the agent; DNS may tell more.
    }
  }
  return await byAddress(owner, reason, asked, examination);
}

/** Of a Consul that does not know the other, all that is there is missing here. */
function withOwn(why: Finding, here: readonly string[]): Finding {
  const isAbsent = problemsOf(why).some(({ code }) => code === "PEER_NO_SERVICE" || code === "PEER_NO_TAG");
  return isAbsent ? behind(why, here) : why;
}

/** The Consul here; empty where it does not tell. */
async function ownConsul(examination: Examination): Promise<string[]> {
  const own = await thisConsul(examination);
  return own === undefined ? [] : [own];
}

/** The node is asked for in a datacenter that Consul's servers here do not know. */
async function otherDatacenter(
  asked: AskedNode,
  reason: string,
  examination: Examination,
): Promise<Finding | undefined> {
  const { config } = examination;
  const { datacenter } = parseServiceDomain(asked.host, config.consulDomain) ?? {};
  if (datacenter === undefined || config.dnsListen || !(await isThere(examination))) return undefined;
  const known = await datacenters(await examination.connect()).catch((): string[] => []);
  if (known.length === 0 || known.includes(datacenter)) return undefined;
  const evidence = `Consul's servers here know the datacenters ${listed(known)}, and not ${datacenter}`;
  return fail(
    "PEER_OTHER_CONSUL",
    [`${asked.full}: ${reason}`, evidence, ...(await ownConsul(examination))],
    otherConsul(datacenter),
  );
}

function otherConsul(datacenter: string): string {
  return `join the servers of ${datacenter} (consul join -wan), or ask for the node under a datacenter that is known; consul-leader of srv-epmd doctor on its machine has the datacenter and the leader there`;
}

/** A host that has addresses exists; only the port of the node is unknown. */
async function byAddress(
  owner: string,
  reason: string,
  { host, name }: AskedNode,
  { domains, resolving, config }: Examination,
): Promise<Finding> {
  const query = { deadline: performance.now() + ADDRESS_TIMEOUT, search: domains.isRelative(name) };
  const found = await Promise.all(
    [owner, host].flatMap((qname) =>
      (["A", "AAAA"] as const).map(async (type) => {
        const result = await resolving.dns.query(qname, type, query);
        if (result.kind !== "records") return [];
        return result.records.flatMap((record) =>
          "address" in record ? [`${qname} ${record.type} ${record.address}`] : [],
        );
      }),
    ),
  );
  const addresses = found.flat();
  if (addresses.length > 0) {
    return fail(
      "PEER_NO_PORT",
      `${reason}, but there are addresses: ${addresses.join(", ")}. Without an SRV record the port is unknown`,
      "publish the node with an SRV record (a srv-epmd beside it does so), or give --fallback epmd where an EPMD runs at those addresses, or --fallback N where nodes listen on a fixed port",
    );
  }
  const inConsul = host.endsWith(`.${config.consulDomain}`);
  return fail(
    "PEER_NOT_FOUND",
    `${reason}, and ${host} has no address`,
    inConsul
      ? "compare the spelling with what srv-epmd names --cluster lists, and start the node beside a srv-epmd where it is not there"
      : "compare the spelling, and give a name server that knows the domain: --dns [domain=]ip[:port]",
  );
}

export const UNKNOWN = "no endpoint of the node is known";

export const accepts = ({ probe }: { readonly probe: Probe }) => probe.connectMs !== undefined;

export const peerTcp: Check = {
  id: "peer-tcp",
  title: "a TCP connection to each endpoint of the node",
  run: async (examination) => {
    if (!examination.asked) return NOT_NAMED;
    const all = await examination.probes();
    if (all.length === 0) return skip(UNKNOWN);
    const resolution = await examination.resolution();
    const isUpstream = resolution.outcome === "found" && resolution.source === "upstream";
    const findings = all.map((one) => connection(one, isUpstream));
    // One endpoint that answers is enough: look-ups put it first.
    return together(softened(findings, all.some(accepts)), UNKNOWN);
  },
};

/** During a rolling update the old and the new instance share a name, so an endpoint that fails beside a good one is a warning. */
export function softened(findings: readonly Finding[], another: boolean): Finding[] {
  return findings.map((finding) => (another ? softer(finding) : finding));
}

function connection({ endpoint, probe }: { endpoint: Endpoint; probe: Probe }, isUpstream: boolean): Finding {
  const place = hostPort(endpoint);
  if (probe.connectMs !== undefined) return ok(`${place} accepts connections (${probe.connectMs.toFixed(1)} ms)`);
  const refused = isUpstream
    ? "start the sidecar proxy here, which listens there for the node"
    : "the node has ended, listens on 127.0.0.1 alone, or its port is mapped wrongly: run srv-epmd doctor on its machine, and compare the address and port that vm-listens and port-mapping show there with this one";
  switch (probe.result) {
    case "refused":
      return fail("PEER_REFUSED", `${place} refuses connections: nothing listens there`, refused);
    case "unreachable":
      return fail(
        "PEER_NO_ROUTE",
        `${place} cannot be reached from here (${probe.code})`,
        endpoint.family === 6
          ? "this machine has no route to that IPv6 address: publish an IPv4 address too (--advertise-address), or give this machine IPv6"
          : "this machine has no route to that address: was a private address published? Compare --advertise-address of serve there with the addresses of that machine",
      );
    default:
      return fail(
        "PEER_NO_ANSWER",
        `${place} does not answer a connection attempt`,
        "open the distribution port between the machines: a firewall drops it, the machine is down, or the address is wrong",
      );
  }
}
