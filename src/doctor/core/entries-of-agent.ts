import type { ServiceMember } from "../../catalogue/core/instances.js";
import { META_OWNER } from "../../publish/core/service-entry.js";

/** Whose entries are looked for among those of a service. */
export interface OfHere {
  /** Name of the agent's Consul node; undefined where it is not known. */
  readonly machine: string | undefined;
  /** META_OWNER of the entries of the srv-epmd here. */
  readonly owner: string;
  /** Of the service ids of this instance: `srv-epmd:<instance>:`. */
  readonly prefix: string;
  /** Ids of the entries of the nodes here, as the agent holds them. */
  readonly held: ReadonlySet<string>;
  /** Ids of all entries of the agent, and of those that are to be there. */
  readonly known: ReadonlySet<string>;
}

/** Entries of a service at Consul's servers. Ids are unique at one agent alone: another one may have the same. */
export interface EntriesOfAgent {
  /** Of the nodes here. */
  readonly own: readonly ServiceMember[];
  /** With ids of this instance, on this agent's machine, and unknown to the agent: nobody will remove them. */
  readonly orphans: readonly ServiceMember[];
  /** Machines whose agent has entries with ids of this instance. */
  readonly namesakes: readonly string[];
}

export function entriesOfAgent(members: readonly ServiceMember[], here: OfHere): EntriesOfAgent {
  const { machine, owner, prefix, held, known } = here;
  const isOwner = ({ meta }: ServiceMember) => meta[META_OWNER] === owner;
  const isHere = (member: ServiceMember) => (machine === undefined ? isOwner(member) : member.machine === machine);
  const ofInstance = members.filter(({ serviceId }) => serviceId.startsWith(prefix));
  const elsewhere = machine === undefined ? [] : ofInstance.filter((one) => one.machine !== machine && !isOwner(one));
  return {
    own: members.filter((member) => held.has(member.serviceId) && isHere(member)),
    orphans: machine === undefined ? [] : ofInstance.filter((one) => isHere(one) && !known.has(one.serviceId)),
    namesakes: Array.from(new Set(elsewhere.map((one) => one.machine))),
  };
}
