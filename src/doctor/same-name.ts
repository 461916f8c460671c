import { ageOf, type ServiceMember } from "../catalogue/core/instances.js";
import type { IpPort } from "../config/network-values.js";
import type { Probe } from "../distribution/core/words.js";
import { type Again, type Ask, differentVms } from "../distribution/different-vms.js";
import { hostPartOf } from "../names/node-name.js";
import { familyOf, hostPort } from "../net/ip.js";
import { hostOfEntry, type MembersByName, membersByName, namesakes } from "../publish/core/claims.js";
import { META_NODE, type ServiceEntry } from "../publish/core/service-entry.js";
import { readOwner } from "../publish/ownership.js";
import { ageWords, listed } from "../text.js";
import { messageOf, NO_AGENT_ADVICE, whyNotAsked } from "./consul-reachable.js";
import { type Finding, fail, ok, skip, together, warn } from "./core/finding.js";
import type { Check, Examination } from "./examination.js";
import { probePlace } from "./probe-place.js";
import { NO_PUBLISHED_NODE, wantedEntries } from "./published-nodes.js";
import { whyUnpublished } from "./way.js";

/** Of a VM of the name, milliseconds. */
const PROBE_TIMEOUT = 2_000;
/** VMs of one name that are looked at. */
const MOST_NAMED = 4;

export const sameName: Check = {
  id: "same-name",
  title: "nobody publishes another node of the same name as one here",
  run: async (examination) => {
    const unpublished = whyUnpublished(examination.config);
    if (unpublished) return unpublished;
    const unasked = await whyNotAsked(examination);
    if (unasked) return unasked;
    const wanted = await wantedEntries(examination);
    const services = Array.from(new Set(wanted.map(({ service }) => service)));
    try {
      const findings = await Promise.all(services.map((service) => ofService(service, wanted, examination)));
      return together(findings.flat(), NO_PUBLISHED_NODE);
    } catch (error) {
      return warn("NAME_UNTOLD", `the agent does not list other instances: ${messageOf(error)}`, NO_AGENT_ADVICE);
    }
  },
};

/** @throws ConsulError */
async function ofService(
  service: string,
  wanted: readonly ServiceEntry[],
  examination: Examination,
): Promise<Finding[]> {
  const { config } = examination;
  const members = await examination.instancesInConsul({ service, datacenter: undefined });
  const owner = await readOwner(config.port);
  // A node has an entry for each family, under one name.
  const entries = new Map(wanted.filter((entry) => entry.service === service).map((entry) => [entry.aliveName, entry]));
  const findings = Array.from(entries.values(), (entry) =>
    judgeName(entry, membersByName(members, hostOfEntry(entry, config), config), owner, examination),
  );
  return Promise.all(findings);
}

async function judgeName(
  entry: ServiceEntry,
  members: MembersByName,
  owner: string,
  { now }: Examination,
): Promise<Finding> {
  const node = entry.meta[META_NODE] ?? entry.aliveName;
  const others = namesakes(entry, members, owner);
  if (others === undefined) return skip(`Consul does not list ${node} to this token, or not yet: see registration`);
  if (others.length === 0) return ok(`${node} is published only from here`);
  const where = listed(others.map(({ place, serviceId }) => `${place} (${serviceId})`));
  const ask: Ask<NamedPlace> = ({ endpoint }, again) => askFor(node, endpoint, again);
  const named = members.get(node.toLowerCase()) ?? [];
  const places = await Promise.all(
    named.slice(0, MOST_NAMED).map(async (member): Promise<NamedPlace> => {
      return { member, endpoint: member, probe: await askFor(node, member) };
    }),
  );
  const isEverywhere = named.length === places.length && places.every(({ probe }) => probe.result === "node");
  if (isEverywhere && (await differentVms(places, ask)).length === 1) {
    return ok(`${node} is published besides at ${where}: that leads to the same VM`);
  }
  return fail(
    "NAME_TWICE",
    [
      `another ${node} is published at ${where}: look-ups lead to either`,
      ...places.map((place) => words(place, now())),
    ],
    "two nodes of one name cannot be in one cluster: stop one of them, or give it another name. If nobody started a second one, one of the two may be an impostor: --register-uid names the users whose processes may register here",
    entry.aliveName,
  );
}

/** Where a node of the name is published. */
interface NamedPlace {
  readonly member: ServiceMember;
  readonly endpoint: IpPort;
  readonly probe: Probe;
}

/** Its address is a host name, which is not dialled. */
const NOT_DIALLED: Probe = { result: "unreachable", code: "ENOTFOUND", elapsedMs: 0 };

async function askFor(node: string, { address, port }: IpPort, again?: Again): Promise<Probe> {
  if (familyOf(address) === undefined) return NOT_DIALLED;
  const isAsked = (name: string) => name.toLowerCase() === node.toLowerCase();
  return probePlace({ address, port }, { isAsked, serverName: hostPartOf(node), timeout: PROBE_TIMEOUT, ...again });
}

/** Where it is, since when, and its creation. */
function words({ member, endpoint, probe }: NamedPlace, now: number): string {
  const age = ageOf(member.meta, now);
  const seen = probe.result === "node" ? `creation ${probe.creation ?? "not told"}` : "no such VM answers there";
  return `${hostPort(endpoint)} on ${member.machine}${age === undefined ? "" : `, published ${ageWords(age)} ago`}: ${seen}`;
}
