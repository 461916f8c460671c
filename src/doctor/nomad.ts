import { NomadError } from "../errors.js";
import { isNomadHost, type NomadService, parseNomadService, readNomadName } from "../names/nomad-domain.js";
import { hostPort } from "../net/ip.js";
import type { NomadServiceQuery } from "../nomad/client.js";
import { entryFault, nomadServiceOf } from "../nomad/core/entries.js";
import type { NomadInstance } from "../nomad/core/replies.js";
import { nomadUrl, queryOf } from "../nomad/side.js";
import { listed, nearest } from "../text.js";
import { type Finding, fail, ok, skip, together, warn } from "./core/finding.js";
import type { AskedNode, Check, Examination } from "./examination.js";
import { nameIn } from "./local-epmd.js";

const UNUSED = "Nomad's catalogue is not used: no --domain and no node asked for is under service.nomad";
const SEE_API = "see nomad-api";
export const API_ADVICE = "nomad-api says how Nomad's API answers: it must list the services of the namespace";

/** Whether the nodes of a --domain are in Nomad's catalogue. */
export function usesNomad({ config }: Pick<Examination, "config">): boolean {
  return config.domain.some(({ domain }) => isNomadHost(domain, config.consulDomain));
}

/** The services of --domain and of the node asked for, each with its namespace. */
function servicesHere({ config, asked }: Examination): NomadServiceQuery[] {
  const hosts = [...config.domain.map(({ domain }) => domain), ...(asked ? [asked.host] : [])];
  const services = hosts.flatMap((host) => parseNomadService(host, config.consulDomain) ?? []);
  const queries = services.map((service) => queryOf(service, config));
  return Array.from(new Map(queries.map((query) => [`${query.service}.${query.namespace}`, query])).values());
}

export const nomadApi: Check = {
  id: "nomad-api",
  title: "Nomad's HTTP API answers, and lists the services that are looked up there",
  run: async (examination) => {
    const services = servicesHere(examination);
    const url = nomadUrl(examination.config);
    if (services.length === 0) return skip(UNUSED);
    const findings = services.map(async (query): Promise<Finding> => {
      const { service, namespace } = query;
      try {
        const instances = await examination.instancesInNomad(query);
        const count = instances.length === 1 ? "1 instance" : `${instances.length} instances`;
        if (instances.length > 0) return ok(`${url} answers: ${service} has ${count} in the namespace ${namespace}`);
        return warn("NOMAD_NO_INSTANCE", `${url} answers: ${service} has no instance in the namespace ${namespace}`, [
          'its job must be running, with service { provider = "nomad" }',
          "a namespace that does not exist looks empty: is its name right?",
        ]);
      } catch (error) {
        if (!(error instanceof NomadError)) throw error;
        return fail("NOMAD_API", error.message, apiAdvice(error, examination));
      }
    });
    return together(await Promise.all(findings), UNUSED);
  },
};

function apiAdvice({ code }: NomadError, { config }: Examination): string | readonly string[] {
  const isInAllocation = config.nomad.secretsDir !== undefined;
  switch (code) {
    case "NOMAD_FORBIDDEN":
      return isInAllocation
        ? [
            "give the task in which srv-epmd runs identity { env = true, file = true }",
            "a token that was refused belongs to an allocation that has ended, or its key is lost to Nomad's servers: a new allocation has another",
          ]
        : 'give NOMAD_TOKEN or --nomad-token-file a token that may read the services: namespace "<name>" { policy = "read" }';
    case "NOMAD_UNKNOWN":
      return "this Nomad has no catalogue of its own, which came with Nomad 1.3: is it older, or no Nomad?";
    case "NOMAD_REJECTED":
      return "compare --nomad-addr and NOMAD_ADDR with the address of a Nomad agent";
    default:
      return isInAllocation && config.nomadAddr === undefined
        ? [
            "the task API's socket is made by Nomad 1.5 or later, on Linux, and answers while the client's agent runs",
            "or give another address of Nomad's API with NOMAD_ADDR and NOMAD_TOKEN",
          ]
        : "give the address of a Nomad agent: --nomad-addr or NOMAD_ADDR (http://host:4646, https with NOMAD_CACERT, or unix:///path)";
  }
}

export const nomadEntry: Check = {
  id: "nomad-entry",
  title: "Nomad's catalogue leads to the nodes here: the entry of this allocation has the tag and the port",
  run: async (examination) => {
    const { config } = examination;
    if (!usesNomad(examination)) return skip(UNUSED);
    const nodes = await examination.nodes();
    const isAlive = nameIn(nodes);
    const findings = nodes.flatMap((node): Promise<Finding>[] => {
      const service = nomadServiceOf(node.aliveName, config, isAlive);
      return service ? [entryOf(node, service, examination)] : [];
    });
    return together(await Promise.all(findings), "no node is registered here that would be in Nomad's catalogue");
  },
};

async function entryOf(
  node: Awaited<ReturnType<Examination["nodes"]>>[number],
  service: NomadService,
  examination: Examination,
): Promise<Finding> {
  const query = queryOf(service, examination.config);
  let instances: readonly NomadInstance[];
  try {
    instances = await examination.instancesInNomad(query);
  } catch {
    return skip(`what Nomad has of ${query.service} is not known: ${SEE_API}`);
  }
  const entries = instances.map(({ id, ...entry }) => ({ ...entry, serviceId: id }));
  const fault = entryFault(node, query, entries, examination.config);
  if (!fault) return ok(`Nomad's catalogue leads to ${node.aliveName}, as ${query.service} in ${query.namespace}`);
  return fail(fault.code, `${fault.reason} (${fault.code})`, fault.advice, node.aliveName);
}

/** Why a node under service.nomad is not found. */
export async function whyNotInNomad(asked: AskedNode, reason: string, examination: Examination): Promise<Finding> {
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
    const meant = nearest(aliveName, tags);
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
  const meant = nearest(service, services);
  if (meant !== undefined) return fail("PEER_NOT_IN_NOMAD", reason, `was the service ${meant} meant?`);
  const known = services.length === 0 ? "none" : listed(services);
  return fail("PEER_NOT_IN_NOMAD", `${reason}; the services of ${namespace} that the token may read: ${known}`, [
    'the job must run, with service { provider = "nomad" }; in Consul\'s catalogue it would be under .service.consul',
    "a service of another namespace has it in the host: svc.<namespace>.service.nomad",
  ]);
}
