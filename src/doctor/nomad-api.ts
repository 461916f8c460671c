import { NomadError } from "../errors.js";
import { parseNomadService } from "../names/nomad-domain.js";
import type { NomadServiceQuery } from "../nomad/client.js";
import { nomadUrl, queryOf } from "../nomad/side.js";
import { type Finding, fail, ok, partsOf, skip, together, warn } from "./core/finding.js";
import { otherUrl } from "./core/url-of-serve.js";
import type { Check, Examination } from "./examination.js";
import { NOMAD_UNUSED } from "./nomad-use.js";

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
    if (services.length === 0) return skip(NOMAD_UNUSED);
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
        const other = otherUrl("nomadAddr", url, examination.config, (await examination.daemon())?.nomad?.url);
        const own = partsOf(apiAdvice(error, examination));
        return other
          ? fail("NOMAD_API", [error.message, other.evidence], [other.advice, ...own])
          : fail("NOMAD_API", error.message, own);
      }
    });
    return together(await Promise.all(findings), NOMAD_UNUSED);
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
