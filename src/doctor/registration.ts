import { setTimeout as sleep } from "node:timers/promises";
import { ageOf } from "../catalogue/core/instances.js";
import { hostPartOf } from "../names/node-name.js";
import { familyOf, hostPort } from "../net/ip.js";
import { hostOfEntry, type MembersByName, membersByName, namesakes } from "../publish/core/claims.js";
import { META_NODE, type Obstacle, type ServiceEntry, ttlCheckId } from "../publish/core/service-entry.js";
import { readOwner } from "../publish/ownership.js";
import { ageWords, listed } from "../text.js";
import { isThere, messageOf, NO_AGENT, NO_AGENT_ADVICE } from "./consul.js";
import { type Finding, fail, ok, skip, together, warn } from "./core/finding.js";
import { OBSTACLE_ADVICE } from "./core/obstacles.js";
import type { ProblemCode } from "./core/problems.js";
import { type Check, type Examination, probePlace } from "./examination.js";
import type { DaemonReport } from "./local-epmd.js";
import {
  NO_PUBLISHED_NODE,
  type OwnRegistration,
  ownRegistrations,
  wantedEntries,
  whyCritical,
} from "./published-nodes.js";
import { whyUnpublished } from "./way.js";

/** Time for a node that has just registered to be published. Milliseconds. */
const PATIENCE = 2_000;
const PAUSE = 250;
/** Of a VM of the name, milliseconds. */
const PROBE_TIMEOUT = 2_000;
/** VMs of one name that are looked at. */
const MOST_NAMED = 4;

export const registration: Check = {
  id: "registration",
  title: "the nodes here are registered with the Consul agent: tag, address, port, health",
  run: async (examination) => {
    const unpublished = whyUnpublished(examination.config);
    if (unpublished) return unpublished;
    if (!(await isThere(examination))) return skip(NO_AGENT);
    try {
      const { holder } = await examination.epmd();
      const found = await patiently(examination);
      const told = found.every(({ held }) => held) ? undefined : await examination.daemon();
      return together(
        found.map((one) => judge(one, holder.kind === "srv-epmd", daemonReason(one, told))),
        NO_PUBLISHED_NODE,
      );
    } catch (error) {
      return fail(
        "REGISTRATION_UNTOLD",
        `the agent does not list what is registered: ${messageOf(error)}`,
        NO_AGENT_ADVICE,
      );
    }
  },
};

async function patiently(examination: Examination): Promise<OwnRegistration[]> {
  const end = performance.now() + PATIENCE;
  for (;;) {
    const found = await ownRegistrations(examination);
    if (found.every(({ held }) => held) || performance.now() > end) return found;
    await sleep(PAUSE);
  }
}

/** Why the daemon has not published a node: the agent as a whole, or this node. */
function daemonReason({ wanted }: OwnRegistration, status: DaemonReport | undefined): string | undefined {
  const consul = status?.readiness.checks.find(({ name }) => name === "consul");
  return consul?.reason ?? status?.nodes.find(({ name }) => name === wanted.aliveName)?.reason;
}

const OBSTACLES: Readonly<
  Record<Obstacle["kind"] | "not-passed", { readonly code: ProblemCode; readonly advice: string }>
> = {
  "not-passed": {
    code: "REGISTRATION_NOT_PASSED",
    advice:
      "no srv-epmd refreshes it: see that serve runs here, and look for 'the Consul agent does not answer' and 'refuses the token' in its log",
  },
  maintenance: { code: "REGISTRATION_MAINTENANCE", advice: OBSTACLE_ADVICE.maintenance },
  tcp: { code: "REGISTRATION_TCP", advice: OBSTACLE_ADVICE.tcp },
  other: { code: "REGISTRATION_OTHER_CHECK", advice: OBSTACLE_ADVICE.other },
};

function judge(registration: OwnRegistration, daemonRuns: boolean, why?: string): Finding {
  const { wanted, held } = registration;
  const { aliveName, service, port, address, tags } = wanted;
  if (!held) {
    const evidence = `${aliveName} is registered here, but not in Consul as an instance of ${service}`;
    if (!daemonRuns) {
      const advice = "only srv-epmd publishes nodes: start srv-epmd serve, and let the VM register with it";
      return fail("REGISTRATION_MISSING", evidence, advice, aliveName);
    }
    const said = why === undefined ? evidence : [evidence, `srv-epmd says: ${why}`];
    const advice = [
      `look for ${aliveName} in the log of serve: its line 'not published' has the reason`,
      "start serve with the same --domain as doctor",
      `it needs a token that may write the service: service "${service}" { policy = "write" }`,
    ];
    return fail("REGISTRATION_MISSING", said, advice, aliveName);
  }
  const where =
    held.address === undefined ? `port ${held.port} of the agent's address` : hostPort(held.address, held.port);
  const critical = whyCritical(registration);
  if (critical !== undefined) {
    const words = critical === "not-passed" ? `its check ${ttlCheckId(held.id)} is critical` : critical.words;
    const { code, advice } = OBSTACLES[critical === "not-passed" ? critical : critical.kind];
    const evidence = `${aliveName} is registered at ${where}, and Consul's DNS leaves it out: ${words}`;
    return fail(code, evidence, advice, aliveName);
  }
  const same =
    held.port === port &&
    held.address === address &&
    held.service === service &&
    tags.every((tag) => held.tags.includes(tag));
  const told = `${aliveName} is registered as ${held.service} at ${where} with the tag ${held.tags.join(", ")}`;
  if (same) return ok(told);
  const meant = address === undefined ? `port ${port} of the agent's address` : hostPort(address, port);
  return warn(
    "REGISTRATION_DIFFERS",
    [told, `by these options it is ${service} at ${meant} with the tag ${tags.join(", ")}`],
    "give doctor the options and the environment of serve, or restart serve with these",
    aliveName,
  );
}

export const sameName: Check = {
  id: "same-name",
  title: "no other daemon publishes a node of the same name as one here",
  run: async (examination) => {
    const unpublished = whyUnpublished(examination.config);
    if (unpublished) return unpublished;
    if (!(await isThere(examination))) return skip(NO_AGENT);
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
  const { config, connect } = examination;
  const members = await (await connect()).members({ service, datacenter: undefined });
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
  examination: Examination,
): Promise<Finding> {
  const node = entry.meta[META_NODE] ?? entry.aliveName;
  const others = namesakes(entry, members, owner);
  if (others === undefined) return skip(`Consul does not list ${node} to this token, or not yet: see registration`);
  if (others.length === 0) return ok(`${node} is published only from here`);
  return fail(
    "NAME_TWICE",
    [
      `another ${node} is published at ${listed(others.map(({ place, serviceId }) => `${place} (${serviceId})`))}: look-ups lead to either`,
      ...(await agesOf(node, members, examination)),
    ],
    "two nodes of one name cannot be in one cluster: stop one of them, or give it another name. If nobody started a second one, one of the two may be an impostor: --register-uid names the users whose processes may register here",
    entry.aliveName,
  );
}

/** Of the VMs of one name: where each is, since when, and its creation. */
async function agesOf(node: string, members: MembersByName, { now }: Examination): Promise<string[]> {
  const named = members.get(node.toLowerCase()) ?? [];
  return Promise.all(
    named.slice(0, MOST_NAMED).map(async ({ address, port, machine, meta }) => {
      const age = ageOf(meta, now());
      const isAsked = (name: string) => name.toLowerCase() === node.toLowerCase();
      const how = { isAsked, serverName: hostPartOf(node), timeout: PROBE_TIMEOUT };
      const probe = familyOf(address) === undefined ? undefined : await probePlace({ address, port }, how);
      const seen = probe?.result === "node" ? `creation ${probe.creation ?? "not told"}` : "no such VM answers there";
      return `${hostPort(address, port)} on ${machine}${age === undefined ? "" : `, published ${ageWords(age)} ago`}: ${seen}`;
    }),
  );
}
