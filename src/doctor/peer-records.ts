import { usesConsulCatalogue } from "../catalogue/core/question.js";
import { datacenters, nodesOnMachine, serviceNames } from "../consul/examine.js";
import { nameProblem } from "../dns/wire/record.js";
import { NomadError } from "../errors.js";
import { isMeshed } from "../mesh/core/upstreams.js";
import { parseServiceDomain } from "../names/domains.js";
import { isNomadHost, readNomadName } from "../names/nomad-domain.js";
import { familyOf, hostPort } from "../net/ip.js";
import type { NomadServiceQuery } from "../nomad/client.js";
import { queryOf } from "../nomad/side.js";
import { srvOwner, type Unavailable } from "../resolve/core/resolution.js";
import { listed } from "../text.js";
import { NOT_NAMED } from "./asked-node.js";
import { isThere, SEE_TOKEN, whyNotAsked } from "./consul-reachable.js";
import { whyNoRecord } from "./core/absent-node.js";
import { behind, type Finding, fail, ok, problemsOf, skip, warn } from "./core/finding.js";
import { meantBy } from "./core/misspelt.js";
import type { Check, Examination } from "./examination.js";
import type { AskedNode } from "./examined-node.js";
import { foundByItsHost, untoldByItsHost } from "./found-by-host.js";
import { knownOfNode } from "./known-of-node.js";
import { SEE_RESOLVER } from "./resolver.js";
import { thisConsul } from "./this-consul.js";
import { mayHide, unreadBy } from "./unread.js";

/** For A and AAAA of a name without SRV, milliseconds. */
const ADDRESS_TIMEOUT = 2_000;

export const peerRecords: Check = {
  id: "peer-records",
  title: "SRV, A and AAAA records of the node asked for",
  run: async (examination) => {
    const { asked, config } = examination;
    if (!asked) return NOT_NAMED;
    if (isMeshed(config)) return skip("in a mesh a node is found by its upstream: see mesh-upstream");
    const [resolution, [epmd, ...epmds] = []] = await Promise.all([examination.resolution(), examination.hostWay()]);
    if (epmd) {
      return resolution.outcome === "found"
        ? foundByItsHost(asked, [epmd, ...epmds], examination)
        : untoldByItsHost(asked, resolution, [epmd, ...epmds], examination);
    }
    switch (resolution.outcome) {
      case "found": {
        const { source, endpoints, stale } = resolution;
        const places = endpoints.map((endpoint) => hostPort(endpoint)).join(", ");
        const by = `${source === "registry" ? "the EPMD here" : source} at ${places}`;
        if (!stale) return ok(`${asked.full}: found by ${by}`);
        return warn(
          "PEER_STALE",
          `${asked.full}: nobody who could know it answers; its last good answer is from ${by}`,
          isNomadHost(asked.host, config.consulDomain) ? API_ADVICE : SEE_RESOLVER,
        );
      }
      case "unavailable":
        return (
          (await foundByServe(asked, examination)) ??
          (await otherDatacenter(asked, resolution.cause, examination)) ??
          fail(
            "PEER_UNAVAILABLE",
            `${asked.full}: ${resolution.cause}`,
            unavailableAdvice(resolution, asked, examination),
          )
        );
      case "not-found":
        return (
          (await foundByServe(asked, examination)) ??
          (await otherDatacenter(asked, resolution.reason, examination)) ??
          (await whyNot(asked, resolution.reason, examination))
        );
      default:
        return resolution satisfies never;
    }
  },
};

/** The srv-epmd here has another token for Consul than doctor, and finds the node: nothing else is known of it. */
async function foundByServe({ full }: AskedNode, examination: Examination): Promise<Finding | undefined> {
  const told = await examination.toldByDaemon();
  if (told?.outcome !== "found") return undefined;
  if (!mayHide(await examination.rightsToRead())) return undefined;
  const places = told.endpoints.map((endpoint) => hostPort(endpoint)).join(", ");
  return fail(
    "PEER_UNREAD",
    `the srv-epmd here finds ${full} at ${places}, and doctor does not without its token`,
    SEE_TOKEN,
  );
}

/** A name server did not answer, or with --fallback epmd the EPMD of the host. */
function unavailableAdvice({ code }: Unavailable, { host }: AskedNode, { config }: Examination): string {
  if (code.startsWith("NOMAD_")) return API_ADVICE;
  if (code.startsWith("EPMD_")) {
    return "--fallback epmd asks the EPMD of that host: it must run, and serve other machines (there: srv-epmd serve --listen <its address>)";
  }
  const usesCatalogue = usesConsulCatalogue(config) && parseServiceDomain(host, config.consulDomain) !== undefined;
  const advice = "start the name server, or give another one with --dns";
  return usesCatalogue
    ? `${advice} (resolver shows how each answers: --all); the Consul agent's catalogue serves too`
    : `${advice} (resolver shows how each answers: --all)`;
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
  if (domain && !config.dnsListen && !(await whyNotAsked(examination))) {
    try {
      const { service, datacenter, tagSuffix } = domain;
      const client = await examination.connect();
      const [members, names, known, rights] = await Promise.all([
        examination.instancesInConsul({ service, datacenter }),
        serviceNames(client, datacenter).catch(() => []),
        knownOfNode(asked, examination),
        examination.rightsToRead(),
      ]);
      const unread = members.length === 0 ? unreadBy(rights, [service], config) : undefined;
      if (unread?.services.includes(service)) {
        const hidden = `${reason}; whether Consul has it is not known: ${unread.why}`;
        return fail("PEER_UNREAD", `${full}: ${hidden}`, unread.advice);
      }
      const onMachine =
        members.length > 0 ? undefined : await nodesOnMachine(client, service, datacenter).catch(() => undefined);
      const services = { names, mayHideMore: mayHide(rights), onMachine };
      const tag = tagSuffix === undefined ? name.aliveName : `${name.aliveName}.${tagSuffix}`;
      const why = whyNoRecord({ full, aliveName: name.aliveName, tag, service }, members, services, known);
      return withOwn(behind(why, [reason]), await ownConsul(examination));
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
  return `join the servers of ${datacenter} (consul join -wan), or ask for the node under a datacenter that is known; consul-leader of srv-epmd doctor --all on its machine has the datacenter and the leader there`;
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

const API_ADVICE = "nomad-api says how Nomad's API answers (--all): it must list the services of the namespace";

/** Why a node under service.nomad is not found. */
async function whyNotInNomad(asked: AskedNode, reason: string, examination: Examination): Promise<Finding> {
  const { aliveName } = asked.name;
  const name = readNomadName(asked.host, examination.config.consulDomain);
  if (name?.kind !== "service") {
    return fail(
      "PEER_NO_HOST",
      `${asked.full}: ${reason}`,
      "a node's host is <service>.service.nomad, or <service>.<namespace>.service.nomad",
    );
  }
  const query = queryOf(name, examination.config);
  try {
    const [instances, services] = await Promise.all([
      examination.instancesInNomad(query),
      examination.nomad.connect().then((client) => client.serviceNames(query.namespace)),
    ]);
    if (instances.length === 0) return noInstance(reason, query, services);
    const tags = Array.from(new Set(instances.flatMap((one) => one.tags))).sort();
    const { here, isItsName } = await knownOfNode(asked, examination);
    const others = tags.filter((tag) => !here.includes(tag));
    const meant = isItsName ? undefined : meantBy(aliveName, others);
    const places = listed(instances.map((one) => `${hostPort(one)} (${one.allocId.slice(0, 8)})`));
    return fail(
      "PEER_NOT_IN_NOMAD",
      [reason, `the tags are ${tags.length === 0 ? "none" : listed(tags)}, at ${places}`],
      meant === undefined
        ? `start ${aliveName} in an allocation whose service ${query.service} has the tag ${aliveName}`
        : `was ${meant}@${asked.host} meant? A node is found by the tag that is its name before the @`,
    );
  } catch (error) {
    if (!(error instanceof NomadError)) throw error;
    return fail("PEER_UNAVAILABLE", `${asked.full}: ${reason}`, API_ADVICE);
  }
}

function noInstance(reason: string, { service, namespace }: NomadServiceQuery, services: readonly string[]): Finding {
  const meant = meantBy(service, services);
  if (meant !== undefined) return fail("PEER_NOT_IN_NOMAD", reason, `was the service ${meant} meant?`);
  const known = services.length === 0 ? "none" : listed(services);
  return fail("PEER_NOT_IN_NOMAD", `${reason}; Nomad shows these services of ${namespace}: ${known}`, [
    'the job must run, with service { provider = "nomad" }; in Consul\'s catalogue it would be under .service.consul',
    "a service of another namespace has it in the host: svc.<namespace>.service.nomad",
  ]);
}
