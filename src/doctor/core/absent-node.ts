import type { ServiceMember } from "../../catalogue/core/instances.js";
import { hostPort } from "../../net/ip.js";
import { META_NODE } from "../../publish/core/service-entry.js";
import { listed, nearest } from "../../text.js";
import { type Finding, fail } from "./finding.js";
import { obstacleAdvice } from "./obstacles.js";

interface AskedTag {
  /** As the node was asked for, in full. */
  readonly full: string;
  readonly aliveName: string;
  /** The tag that an instance must have: the alive name, with the labels before the service in the domain. */
  readonly tag: string;
  readonly service: string;
}

const IT_RUNS =
  "if it runs, srv-epmd doctor on its machine says in registration why it is not published, and in consul-leader whether its agent belongs to this Consul";

/**
 * Why Consul's DNS has no SRV record for a node, from the instances of its service.
 * @param services names of the services that the token may read
 */
export function whyNoRecord(asked: AskedTag, members: readonly ServiceMember[], services: readonly string[]): Finding {
  const { full, aliveName, tag, service } = asked;
  if (members.length === 0) return noInstance(asked, services);
  const host = full.slice(aliveName.length);
  const tagged = members.filter(({ tags }) => tags.some((one) => one.toLowerCase() === tag.toLowerCase()));
  const [first] = tagged;
  if (first && tagged.every(({ critical }) => critical)) {
    const { obstacle } = first;
    return fail(
      "PEER_CRITICAL",
      `${full} is registered at ${hostPort(first)} on ${first.machine}, and Consul's DNS leaves it out: ${obstacle?.words ?? "its check is critical"}`,
      obstacle
        ? obstacleAdvice(obstacle, `on ${first.machine}`)
        : `its VM or its srv-epmd has ended, or cannot reach the agent: run srv-epmd doctor on ${first.machine}, and look at registration there, which has the check that is critical`,
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
  const meant = nearest(tag, tags);
  const known = tags.length === 0 ? "none of them has a tag" : `the tags are ${listed(tags)}`;
  return fail(
    "PEER_NO_TAG",
    `no instance of the service ${service} has the tag ${tag}: ${known}`,
    meant === undefined
      ? `start ${aliveName} beside a srv-epmd serve --domain ${host.slice(1)}, or register it with the tag ${tag}; ${IT_RUNS}`
      : [`was ${meant}${host} meant? A node is found by the tag that is its name before the @`, IT_RUNS],
  );
}

function noInstance({ service, full, aliveName }: AskedTag, services: readonly string[]): Finding {
  const meant = nearest(service, services);
  const host = full.slice(aliveName.length + 1);
  const evidence = `nothing is registered in Consul as the service ${service} that the token may read`;
  if (meant !== undefined) return fail("PEER_NO_SERVICE", evidence, `was the service ${meant} meant?`);
  return fail("PEER_NO_SERVICE", evidence, `start the node beside a srv-epmd serve --domain ${host}; ${IT_RUNS}`);
}
