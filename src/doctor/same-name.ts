import { hostOfEntry, type MembersByName, membersByName, namesakes } from "../publish/core/namesakes.js";
import { publishesToConsul } from "../publish/core/publication.js";
import { META_NODE, type ServiceEntry } from "../publish/core/service-entry.js";
import { readOwner } from "../publish/ownership.js";
import { listed } from "../text.js";
import { isThere, messageOf, NO_AGENT } from "./consul.js";
import { type Finding, fail, ok, skip, together, warn } from "./core/finding.js";
import type { Check, Examination } from "./examination.js";
import { NO_PUBLISHED_NODE, NOTHING_PUBLISHED, wantedEntries } from "./published-nodes.js";

export const sameName: Check = {
  id: "same-name",
  title: "no other daemon publishes a node of the same name as one here",
  run: async (examination) => {
    if (!publishesToConsul(examination.config)) return skip(NOTHING_PUBLISHED);
    if (!(await isThere(examination))) return skip(NO_AGENT);
    const wanted = await wantedEntries(examination);
    const services = Array.from(new Set(wanted.map(({ service }) => service)));
    try {
      const findings = await Promise.all(services.map((service) => ofService(service, wanted, examination)));
      return together(findings.flat(), NO_PUBLISHED_NODE);
    } catch (error) {
      return warn(`the agent does not list other instances: ${messageOf(error)}`, "see consul-agent");
    }
  },
};

/** @throws ConsulError */
async function ofService(
  service: string,
  wanted: readonly ServiceEntry[],
  { config, connect }: Examination,
): Promise<Finding[]> {
  const members = await (await connect()).members({ service, datacenter: undefined });
  const owner = await readOwner(config.port);
  // A node has an entry for each family, under one name.
  const entries = new Map(wanted.filter((entry) => entry.service === service).map((entry) => [entry.aliveName, entry]));
  return Array.from(entries.values(), (entry) =>
    judge(entry, membersByName(members, hostOfEntry(entry, config), config), owner),
  );
}

function judge(entry: ServiceEntry, members: MembersByName, owner: string): Finding {
  const node = entry.meta[META_NODE] ?? entry.aliveName;
  const others = namesakes(entry, members, owner);
  if (others === undefined) return skip(`Consul does not list ${node} to this token, or not yet: see registration`);
  if (others.length === 0) return ok(`${node} is published only from here`);
  return fail(
    `another ${node} is published at ${listed(others.map(({ place, serviceId }) => `${place} (${serviceId})`))}: look-ups lead to either`,
    "two nodes of one name cannot be in one cluster: stop one of them, or give it another name. If nobody started a second one, one of the two may be an impostor: --register-uid names the users whose processes may register here",
  );
}
