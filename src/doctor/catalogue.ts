import { setTimeout as sleep } from "node:timers/promises";
import type { ServiceMember } from "../catalogue/core/instances.js";
import { readsMachines } from "../consul/examine.js";
import { instanceOf, publishesToConsul } from "../publish/core/publication.js";
import { META_NODE, serviceId } from "../publish/core/service-entry.js";
import { isThere, messageOf, NO_AGENT } from "./consul-reachable.js";
import { type Finding, fail, ok, skip, together } from "./core/finding.js";
import type { Check, Examination } from "./examination.js";
import { NO_PUBLISHED_NODE, ownRegistrations, servicesToWrite, whyCritical } from "./published-nodes.js";
import { whyUnpublished } from "./way.js";

/** An entry reaches the servers a moment after the agent, and a server that is not the leader later. Milliseconds. */
const PATIENCE = 1_500;
const PAUSE = 300;

const CAUSE =
  "the agent syncs an entry with the token that registered it, and that token was deleted or has lost its right (the agent's log: ACL not found, blocked by ACLs)";
const REGISTER_AGAIN =
  "give serve a token that Consul knows and that may write the service, and restart it, or write it into the token file and send SIGHUP: it registers the entries again";

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
}

/** Consul's DNS answers from the servers, not from the agent. */
export const catalogue: Check = {
  id: "catalogue",
  title: "Consul's servers have the same entries for the nodes here as the agent, and none of dead nodes",
  run: async (examination): Promise<Finding> => {
    const unpublished = whyUnpublished(examination.config);
    if (unpublished) return unpublished;
    if (!(await isThere(examination))) return skip(NO_AGENT);
    try {
      const differences = await differencesOf(examination);
      if (!differences) {
        return skip(
          'the token may not read what the servers have: doctor needs node_prefix "" { policy = "read" } for that',
        );
      }
      const { found, compared } = differences;
      if (found.length > 0)
        return together(
          found.map(({ code, aliveName, evidence, advice }) => fail(code, evidence, advice, aliveName)),
          "",
        );
      if (compared === 0) return skip(NO_PUBLISHED_NODE);
      return ok(`the servers and the agent have the same: ${compared} ${compared === 1 ? "entry" : "entries"}`);
    } catch (error) {
      return skip(`the servers do not list what they have: ${messageOf(error)}`);
    }
  },
};

/** Differences that last; undefined when the token may not read them. @throws ConsulError */
export async function differencesOf(examination: Examination): Promise<Differences | undefined> {
  const end = performance.now() + PATIENCE;
  for (;;) {
    const differences = await compare(examination);
    if (!differences || differences.found.length === 0 || performance.now() > end) return differences;
    await sleep(PAUSE);
  }
}

async function compare(examination: Examination): Promise<Differences | undefined> {
  if (!publishesToConsul(examination.config)) return undefined;
  const { config, machine } = examination;
  const client = await examination.connect();
  const registrations = (await ownRegistrations(examination)).filter(({ held }) => held);
  const services = new Set([
    ...(await servicesToWrite(examination)),
    ...registrations.flatMap(({ held }) => held?.service ?? []),
  ]);
  const lists = await Promise.all(
    Array.from(services, (service) => client.members({ service, datacenter: undefined })),
  );
  const members = lists.flat();
  const mine = members.filter(({ serviceId: id }) => registrations.some(({ held }) => held?.id === id));
  // A list leaves out without notice what the token may not read.
  if (mine.length < registrations.length && !(await readsMachines(client))) return undefined;
  const local = new Set((await client.services()).map(({ id }) => id));
  const prefix = serviceId(instanceOf(config, { hostName: machine.hostName, port: config.port }), "");
  const left = members.filter(({ serviceId: id }) => id.startsWith(prefix) && !local.has(id));
  const found = [
    ...registrations.flatMap((registration) => {
      const member = mine.find(({ serviceId: id }) => id === registration.held?.id);
      return differs(registration.wanted.aliveName, whyCritical(registration) === undefined, member) ?? [];
    }),
    ...left.map(orphan),
  ];
  return { found, compared: registrations.length };
}

function differs(aliveName: string, isAlive: boolean, member: ServiceMember | undefined): Difference | undefined {
  const agents = `the agent has ${aliveName}${isAlive ? "" : ", critical"}`;
  const told = (servers: string): Difference => {
    return {
      code: "CATALOGUE_DIFFERS",
      aliveName,
      evidence: `${agents}, and Consul's servers ${servers}: ${CAUSE}`,
      advice: REGISTER_AGAIN,
    };
  };
  if (!member) return told("do not");
  if (!isAlive && !member.critical) return told("have it passing");
  if (!isAlive || !member.critical) return undefined;
  return told("have it critical (perhaps by a check of the machine that this token may not read)");
}

/** It stays until somebody removes it: an agent removes only entries that it knows. */
function orphan({ serviceId: id, meta, machine, critical }: ServiceMember): Difference {
  const node = meta[META_NODE] ?? id;
  const body = JSON.stringify({ Node: machine, ServiceID: id });
  return {
    code: "CATALOGUE_ORPHAN",
    aliveName: node.slice(0, node.indexOf("@")),
    evidence: `Consul's servers have ${node} (${id}, ${critical ? "critical" : "passing"}), and the agent does not: ${CAUSE}`,
    advice: `remove it through Consul's API: PUT /v1/catalog/deregister ${body}, with a token that may write the service`,
  };
}
