import type { NomadService } from "../names/nomad-domain.js";
import { entryFault, nomadServiceOf } from "../nomad/core/entries.js";
import type { NomadInstance } from "../nomad/core/replies.js";
import { queryOf } from "../nomad/side.js";
import { type Finding, fail, ok, skip, together } from "./core/finding.js";
import type { Check, Examination } from "./examination.js";
import { nameIn } from "./local-epmd.js";
import { NOMAD_UNUSED, usesNomad } from "./nomad-use.js";

const SEE_API = "see nomad-api";

export const nomadEntry: Check = {
  id: "nomad-entry",
  title: "Nomad's catalogue leads to the nodes here: the entry of this allocation has the tag and the port",
  run: async (examination) => {
    const { config } = examination;
    if (!usesNomad(examination)) return skip(NOMAD_UNUSED);
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
