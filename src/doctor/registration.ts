import { setTimeout as sleep } from "node:timers/promises";
import { hostPort } from "../net/ip.js";
import { type Obstacle, ttlCheckId } from "../publish/core/service-entry.js";
import { messageOf, NO_AGENT_ADVICE, whyNotAsked } from "./consul-reachable.js";
import { type Finding, fail, ok, skip, together, warn } from "./core/finding.js";
import { obstacleAdvice } from "./core/obstacles.js";
import type { ProblemCode } from "./core/problems.js";
import type { Check, Examination } from "./examination.js";
import type { DaemonReport } from "./local-epmd.js";
import { NO_PUBLISHED_NODE, type OwnRegistration, ownRegistrations, whyCritical } from "./published-nodes.js";
import { mayHide } from "./unread.js";
import { whyUnpublished } from "./way.js";

/** Time for a node that has just registered to be published. Milliseconds. */
const PATIENCE = 2_000;
const PAUSE = 250;

export const registration: Check = {
  id: "registration",
  title: "the nodes here are registered with the Consul agent: tag, address, port, health",
  run: async (examination) => {
    const unpublished = whyUnpublished(examination.config);
    if (unpublished) return unpublished;
    const unasked = await whyNotAsked(examination);
    if (unasked) return unasked;
    try {
      const { holder } = await examination.epmd();
      const found = await patiently(examination);
      const told = found.every(({ held }) => held) ? undefined : await examination.daemon();
      const mayBeHidden = told !== undefined && mayHide(await examination.rightsToRead());
      return together(
        found.map((one) =>
          mayBeHidden && isHidden(one, told)
            ? skip(`${one.wanted.aliveName} is in Consul, as the srv-epmd here says, and the token does not show it`)
            : judge(one, holder.kind === "srv-epmd", daemonReason(one, told)),
        ),
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

/** Consul leaves out, without an error, what the token may not read; the token of serve is another one. */
function isHidden({ held, wanted }: OwnRegistration, { nodes }: DaemonReport): boolean {
  return !held && nodes.some(({ name, publication }) => name === wanted.aliveName && publication === "in-consul");
}

/** Why the daemon has not published a node: the agent as a whole, or this node. */
function daemonReason({ wanted }: OwnRegistration, status: DaemonReport | undefined): string | undefined {
  const consul = status?.readiness.checks.find(({ name }) => name === "consul");
  return consul?.reason ?? status?.nodes.find(({ name }) => name === wanted.aliveName)?.reason;
}

const OBSTACLES: Readonly<Record<Obstacle["kind"], ProblemCode>> = {
  maintenance: "REGISTRATION_MAINTENANCE",
  tcp: "REGISTRATION_TCP",
  agent: "REGISTRATION_OTHER_CHECK",
  other: "REGISTRATION_OTHER_CHECK",
};

const NOT_PASSED =
  "no srv-epmd refreshes it: see that serve runs here, and look for 'the Consul agent does not answer' and 'refuses the token' in its log";

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
    const leftOut = `${aliveName} is registered at ${where}, and Consul's DNS leaves it out`;
    if (critical === "not-passed") {
      const evidence = `${leftOut}: its check ${ttlCheckId(held.id)} is critical`;
      return fail("REGISTRATION_NOT_PASSED", evidence, NOT_PASSED, aliveName);
    }
    const advice = obstacleAdvice(critical, "here");
    return fail(OBSTACLES[critical.kind], `${leftOut}: ${critical.words}`, advice, aliveName);
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
