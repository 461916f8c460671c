import type { ClusterNode } from "../../catalogue/core/instances.js";
import { obstacleAdvice } from "../../doctor/core/obstacles.js";
import { grouped } from "../../grouped.js";
import type { Obstacle } from "../../publish/core/service-entry.js";
import { listed } from "../../text.js";
import type { FoundProblem } from "./problem.js";
import { are, asSentence, MOST_NAMED } from "./rule.js";

/** Nodes that Consul's DNS leaves out, one problem for those of each cause. */
export function criticalNodes(nodes: readonly ClusterNode[]): FoundProblem[] {
  // An old instance that is about to be removed does no harm beside one that is well.
  const well = new Set(nodes.flatMap(({ node, health }) => (health === "critical" ? [] : node.toLowerCase())));
  const sick = nodes.filter(({ node, health }) => health === "critical" && !well.has(node.toLowerCase()));
  return Array.from(grouped(sick, causeOf).values(), criticalOf);
}

/** What keeps critical nodes out of look-ups together, as the key of that. */
function causeOf({ obstacle, withdrawn }: ClusterNode): string {
  if (!obstacle) return withdrawn ? "withdrawn" : "";
  return JSON.stringify([obstacle.kind, obstacle.kind === "tcp" ? "" : obstacle.check, obstacle.entry === undefined]);
}

/** @param sick of one cause */
function criticalOf(sick: readonly [ClusterNode, ...ClusterNode[]]): FoundProblem {
  const [{ obstacle, withdrawn }] = sick;
  const names = Array.from(new Set(sick.map(({ node }) => node)));
  const machines = Array.from(new Set(sick.map(({ machine }) => machine)));
  const where = listed(machines, MOST_NAMED);
  const [it, its, their] = names.length === 1 ? ["it", "its", "its VM"] : ["them", "their", "the VMs"];
  const found = (why: string, advice: string): FoundProblem => ({
    sentence: `${are(names, listed(names, MOST_NAMED))} critical in Consul, so nobody finds ${it}: ${why}.`,
    advice,
    nodes: names,
  });
  if (obstacle) {
    return found(obstacleWords(obstacle, machines, where), asSentence(obstacleAdvice(obstacle, `on ${where}`)));
  }
  if (withdrawn) {
    return found(
      `${their} ${names.length === 1 ? "has" : "have"} left ${its} srv-epmd, which removes the entry some seconds later`,
      `If ${their} should run, see on ${where} why not: a VM that loses its EPMD registers again within seconds, and srv-epmd doctor there says what keeps it from that.`,
    );
  }
  return found(
    `no srv-epmd refreshes ${its} TTL check${names.length === 1 ? "" : "s"}`,
    `If ${their} should run, see on ${where} whether VM and srv-epmd run there, and what their logs say. Consul removes an entry that stays critical (--deregister-after).`,
  );
}

/** Which check is critical, of nodes on these machines. */
function obstacleWords({ kind, check, entry }: Obstacle, machines: readonly string[], where: string): string {
  const whose =
    entry === undefined ? `of ${where}` : `of ${machines.length === 1 ? "its entry" : "their entries"} on ${where}`;
  switch (kind) {
    case "maintenance":
      return entry === undefined
        ? `${are(machines, where)} in Consul's maintenance mode (consul maint)`
        : `Consul has the entry ${entry} in maintenance mode (consul maint)`;
    case "tcp":
      return `the agent on ${where} cannot connect to ${machines.length === 1 ? "it" : "them"} (TCP check)`;
    case "agent":
    case "other":
      return `the check ${check} ${whose} is critical`;
    default:
      return kind satisfies never;
  }
}
