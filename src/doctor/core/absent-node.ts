import type { ServiceMember } from "../../catalogue/core/instances.js";
import { hostPort } from "../../net/ip.js";
import { META_NODE } from "../../publish/core/service-entry.js";
import { listed } from "../../text.js";
import { type Finding, fail } from "./finding.js";
import { meantBy } from "./misspelt.js";
import { obstacleAdvice } from "./obstacles.js";

interface AskedTag {
  /** As the node was asked for, in full. */
  readonly full: string;
  readonly aliveName: string;
  /** The tag that an instance must have: the alive name, with the labels before the service in the domain. */
  readonly tag: string;
  readonly service: string;
}

/** The services that Consul shows. */
export interface ShownServices {
  readonly names: readonly string[];
  /** The token may not read all that there is. */
  readonly mayHideMore: boolean;
  /** Full names of the nodes on a machine that has the name of the service; undefined: Consul has no such machine. */
  readonly onMachine?: readonly string[] | undefined;
}

/** What is known of the node from elsewhere than Consul. */
export interface KnownOfNode {
  /** Look-ups here have found it, or VMs here say that they are linked with it: that is its name. */
  readonly isItsName: boolean;
  /** Where a look-up found it last, `ip:port`; undefined where none is remembered. */
  readonly foundAt: string | undefined;
  /** Alive names of the nodes here: whoever asks here for a node does not mean one of them. */
  readonly here: readonly string[];
  /** Ids of the entries of the agent here. */
  readonly agentHas: readonly string[];
  /** A VM of its alive name runs here. */
  readonly runsHere: boolean;
  /** The address at which it was found is one of this machine. */
  readonly wasHere: boolean;
}

const LOOK_THERE =
  "consul-agent says whether its agent runs, registration why the node is not published, and consul-leader whether that agent belongs to this Consul";
const IT_RUNS = `if it runs, run srv-epmd doctor --all on its machine: ${LOOK_THERE}`;

/** The first thing to do for a node that Consul does not have: a name that was found before is no misspelling. */
function absentAdvice(
  { isItsName, foundAt, wasHere, runsHere }: KnownOfNode,
  meant: string | undefined,
  start: string,
): string | readonly string[] {
  if (wasHere && !runsHere) return [`its VM was here, at ${foundAt}, and no VM of that name runs here now: start it`];
  if (!isItsName) return meant === undefined ? `${start}; ${IT_RUNS}` : [meant, IT_RUNS];
  const where = foundAt === undefined ? "" : ` (a look-up found it at ${foundAt} before)`;
  return [`run srv-epmd doctor --all on its machine${where}: ${LOOK_THERE}`, start];
}

/** Why Consul's DNS has no SRV record for a node, from the instances of its service. */
export function whyNoRecord(
  asked: AskedTag,
  members: readonly ServiceMember[],
  services: ShownServices,
  known: KnownOfNode,
): Finding {
  const { full, aliveName, tag, service } = asked;
  if (members.length === 0) return noInstance(asked, services, known);
  const host = full.slice(aliveName.length);
  const tagged = members.filter(({ tags }) => tags.some((one) => one.toLowerCase() === tag.toLowerCase()));
  const [first] = tagged;
  if (first && tagged.every(({ critical }) => critical)) {
    const { obstacle } = first;
    return fail(
      "PEER_CRITICAL",
      `${full} is registered at ${hostPort(first)} on ${first.machine}, and Consul's DNS leaves it out: ${obstacle?.words ?? "its check is critical"}`,
      obstacle ? obstacleAdvice(obstacle, `on ${first.machine}`) : criticalAdvice(first, known),
    );
  }
  if (first) {
    const evidence = `Consul has a passing instance of ${service} with the tag ${tag}, but DNS has no SRV record for it`;
    return fail("PEER_NOT_IN_DNS", evidence, [
      "ask the DNS of the same Consul: --dns consul=<address of the agent>:8600",
      'with ACLs, give the agent a default token (acl.tokens.default) with node_prefix "" { policy = "read" } and service_prefix "" { policy = "read" }',
    ]);
  }
  const misnamed = members.find(({ meta }) => meta[META_NODE]?.startsWith(`${aliveName}@`));
  if (misnamed) {
    const tags = misnamed.tags.length > 0 ? `the tags ${misnamed.tags.join(", ")}` : "no tag";
    return fail(
      "PEER_OTHER_TAG",
      `the instance ${misnamed.serviceId} of ${misnamed.meta[META_NODE]} has ${tags}: DNS finds it by its tag, which must be ${tag}`,
      `register it with the tag ${tag}, or let srv-epmd register it`,
    );
  }
  const tags = Array.from(new Set(members.flatMap((member) => member.tags))).sort();
  const suffix = tag.slice(aliveName.length);
  const names = tags.filter((one) => one.endsWith(suffix)).map((one) => one.slice(0, one.length - suffix.length));
  const meant = meantBy(
    aliveName,
    names.filter((name) => !known.here.includes(name)),
  );
  const told = tags.length === 0 ? "none of them has a tag" : `the tags are ${listed(tags)}`;
  return fail(
    "PEER_NO_TAG",
    `no instance of the service ${service} has the tag ${tag}: ${told}`,
    absentAdvice(
      known,
      meant && `was ${meant}${host} meant? A node is found by the tag that is its name before the @`,
      `start ${aliveName} beside a srv-epmd serve --domain ${host.slice(1)}, or register it with the tag ${tag}`,
    ),
  );
}

/** Its own check is critical: no srv-epmd refreshes it. */
function criticalAdvice({ machine, serviceId, withdrawn }: ServiceMember, known: KnownOfNode): string {
  if (withdrawn) {
    return `its VM has left its srv-epmd, which has withdrawn it: start it on ${machine} again, or see there why it ended; a VM that loses its EPMD registers again within seconds`;
  }
  if (!known.agentHas.includes(serviceId)) {
    return `its VM or its srv-epmd has ended, or cannot reach the agent: run srv-epmd doctor --all on ${machine}: vm-listens says whether its VM runs there, registration and consul-agent why nobody passes its check`;
  }
  return known.runsHere
    ? "its VM runs here: registration says why the check is not passed, vm-listens whether the VM is registered"
    : "the agent here has it, and no VM of that name runs here: start it; if it is not to come back, Consul removes the entry by itself";
}

function noInstance({ service, full, aliveName }: AskedTag, shown: ShownServices, known: KnownOfNode): Finding {
  const meant = meantBy(service, shown.names);
  const host = full.slice(aliveName.length + 1);
  const isMachine = shown.onMachine !== undefined;
  return fail(
    "PEER_NO_SERVICE",
    `nothing is registered in Consul as the service ${service}${shown.mayHideMore ? ", as far as the token may read it" : ""}${isMachine ? `: ${service} is the name of a machine` : ""}`,
    absentAdvice(
      known,
      isMachine ? serviceAdvice(aliveName, full, shown.onMachine) : meant && `was the service ${meant} meant?`,
      `start the node beside a srv-epmd serve --domain ${host}`,
    ),
  );
}

/** Of a node that was asked for under the name of a machine. @param there the nodes on it */
function serviceAdvice(aliveName: string, full: string, there: readonly string[]): string {
  const rule = "the part behind the @ is a service, not a machine";
  // One with --node-host may have the name that was asked for.
  const named = there.find((node) => node.startsWith(`${aliveName}@`) && node !== full);
  if (named !== undefined) return `was ${named} meant? It is on that machine, and ${rule}`;
  const other = there.find((node) => node !== full);
  return `${rule}: ${other === undefined ? "srv-epmd names --cluster lists the nodes of a service" : `nodes there have names such as ${other}`}`;
}
