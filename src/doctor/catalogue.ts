import { setTimeout as sleep } from "node:timers/promises";
import type { ServiceMember } from "../catalogue/core/instances.js";
import { machineOf } from "../consul/examine.js";
import { NODE_POLICY, readRights, readsAll } from "../consul/rights.js";
import { instanceOf, publishesToConsul } from "../publish/core/publication.js";
import { type HeldService, ID_PREFIX, META_NODE, META_OWNER, serviceId } from "../publish/core/service-entry.js";
import { readOwner } from "../publish/ownership.js";
import { listed } from "../text.js";
import { messageOf, whyNotAsked } from "./consul-reachable.js";
import { entriesOfAgent } from "./core/entries-of-agent.js";
import { type Finding, fail, MOST_TOLD, ok, skip, together } from "./core/finding.js";
import type { Check, Examination } from "./examination.js";
import { NO_PUBLISHED_NODE, ownRegistrations, servicesToWrite, whyCritical } from "./published-nodes.js";
import { whyUnpublished } from "./way.js";

/** An entry reaches the servers a moment after the agent, and a server that is not the leader later. Milliseconds. */
const PATIENCE = 1_500;
const PAUSE = 300;

/** Why agent and servers differ, and what lets the agent tell them again. */
interface Cause {
  readonly words: string;
  readonly advice: string;
}

const BY_TOKEN: Cause = {
  words:
    "the agent syncs an entry with the token that registered it, and that token was deleted or has lost its right (the agent's log: ACL not found, blocked by ACLs)",
  advice:
    "give serve a token that Consul knows and that may write the service, and restart it, or write it into the token file and send SIGHUP: it registers the entries again",
};
const WITHOUT_ACLS: Cause = {
  words:
    "ACLs are off, so no token is to blame: the agent does not reach the servers, or somebody has changed their entries",
  advice:
    "see in the agent's log why it does not sync; it compares all entries with the servers' every minute or two, and mends what differs",
};

/** A difference between agent and servers. */
interface Difference {
  readonly code: "CATALOGUE_DIFFERS" | "CATALOGUE_ORPHAN";
  readonly aliveName: string;
  readonly evidence: string;
  readonly advice: string;
}

interface Differences {
  readonly found: readonly Difference[];
  /** Entries that were compared. */
  readonly compared: number;
  /** Other srv-epmds that have this one's instance. */
  readonly namesakes: readonly string[];
}

/** Consul's DNS answers from the servers, not from the agent. */
export const catalogue: Check = {
  id: "catalogue",
  title: "Consul's servers have the same entries for the nodes here as the agent, and none of dead nodes",
  run: async (examination): Promise<Finding> => {
    const unpublished = whyUnpublished(examination.config);
    if (unpublished) return unpublished;
    const unasked = await whyNotAsked(examination);
    if (unasked) return unasked;
    try {
      const differences = await differencesOf(examination);
      if (!differences) {
        return skip(`the token may not read what the servers have: doctor needs ${NODE_POLICY} for that`);
      }
      const { found, compared, namesakes } = differences;
      if (found.length > 0)
        return together(
          found.map(({ code, aliveName, evidence, advice }) => fail(code, evidence, advice, aliveName)),
          "",
        );
      if (compared === 0) return skip([NO_PUBLISHED_NODE, ...namesakes]);
      const same = `the servers and the agent have the same: ${compared} ${compared === 1 ? "entry" : "entries"}`;
      return ok([same, ...namesakes]);
    } catch (error) {
      return skip(`the servers do not list what they have: ${messageOf(error)}`);
    }
  },
};

/** Differences that last; undefined when the token may not read them. @throws ConsulError */
export async function differencesOf(examination: Examination): Promise<Differences | undefined> {
  const end = performance.now() + PATIENCE;
  let list = examination.instancesInConsul;
  for (;;) {
    const differences = await compare(examination, list);
    if (!differences || differences.found.length === 0 || performance.now() > end) return differences;
    await sleep(PAUSE);
    list = async (query) => (await examination.connect()).members(query);
  }
}

async function compare(
  examination: Examination,
  list: Examination["instancesInConsul"],
): Promise<Differences | undefined> {
  if (!publishesToConsul(examination.config)) return undefined;
  const { config, machine } = examination;
  const client = await examination.connect();
  const registrations = await ownRegistrations(examination);
  const holding = registrations.filter(({ held }) => held);
  const services = new Set([
    ...(await servicesToWrite(examination)),
    ...holding.flatMap(({ held }) => held?.service ?? []),
  ]);
  const lists = await Promise.all(Array.from(services, (service) => list({ service, datacenter: undefined })));
  const local = await client.services();
  const owner = await readOwner(config.port);
  const instance = instanceOf(config, { hostName: machine.hostName, port: config.port });
  const { own, orphans, namesakes } = entriesOfAgent(lists.flat(), {
    ...{ machine: await machineOf(client), owner, prefix: serviceId(instance, "") },
    held: new Set(holding.flatMap(({ held }) => held?.id ?? [])),
    known: new Set([...local.map(({ id }) => id), ...registrations.map(({ wanted }) => wanted.id)]),
  });
  const rights = await readRights(client, Array.from(services));
  if (own.length < holding.length && !readsAll(rights)) return undefined;
  const cause = rights.kind === "acls-off" ? WITHOUT_ACLS : BY_TOKEN;
  const found = [
    ...holding.flatMap((registration) => {
      const member = own.find(({ serviceId: id }) => id === registration.held?.id);
      return differs(registration.wanted.aliveName, whyCritical(registration) === undefined, member, cause) ?? [];
    }),
    ...orphans.map((orphan) => orphaned(orphan, cause)),
  ];
  return { found, compared: holding.length, namesakes: namesakeWords(instance, namesakes, local, owner) };
}

/** That another srv-epmd has the instance of this one, at another agent or at the same. */
function namesakeWords(
  instance: string,
  machines: readonly string[],
  local: readonly HeldService[],
  owner: string,
): string[] {
  const why = `so it has the same --instance or host name (${instance})`;
  const others = local.filter(
    ({ id, meta }) => id.startsWith(`${ID_PREFIX}${instance}:`) && meta[META_OWNER] !== owner,
  );
  return [
    ...(machines.length === 0
      ? []
      : [
          `another srv-epmd, at the Consul agent of ${listed(machines)}, has ids of this one, ${why}: agents keep entries apart, and neither touches those of the other`,
        ]),
    ...(others.length === 0
      ? []
      : [
          `another srv-epmd at this agent has ids of this one (${listed(
            others.map(({ id }) => id),
            MOST_TOLD,
          )}), ${why}: where both want one id, the later one takes another`,
        ]),
  ];
}

function differs(
  aliveName: string,
  isAlive: boolean,
  member: ServiceMember | undefined,
  { words, advice }: Cause,
): Difference | undefined {
  const agents = `the agent has ${aliveName}${isAlive ? "" : ", critical"}`;
  const told = (servers: string): Difference => {
    const evidence = `${agents}, and Consul's servers ${servers}: ${words}`;
    return { code: "CATALOGUE_DIFFERS", aliveName, evidence, advice };
  };
  if (!member) return told("do not");
  if (!isAlive && !member.critical) return told("have it passing");
  if (!isAlive || !member.critical) return undefined;
  return told("have it critical (perhaps by a check of the machine that this token may not read)");
}

/** It stays until somebody removes it: an agent removes only entries that it knows. */
function orphaned({ serviceId: id, meta, machine, critical }: ServiceMember, { words }: Cause): Difference {
  const node = meta[META_NODE] ?? id;
  const body = JSON.stringify({ Node: machine, ServiceID: id });
  return {
    code: "CATALOGUE_ORPHAN",
    aliveName: node.slice(0, node.indexOf("@")),
    evidence: `Consul's servers have ${node} (${id}, ${critical ? "critical" : "passing"}) for this machine (${machine}), and the agent does not: ${words}`,
    advice: `remove it through Consul's API: PUT /v1/catalog/deregister ${body}, with a token that may write the service`,
  };
}
