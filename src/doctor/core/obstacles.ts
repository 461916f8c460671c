import type { Obstacle } from "../../publish/core/service-entry.js";

/**
 * What to do about a check that keeps an entry out of Consul's DNS.
 * @param where the machine of the entry: `here`, `on box1`
 */
export function obstacleAdvice({ kind, entry }: Obstacle, where: string): string {
  switch (kind) {
    case "maintenance": {
      const command = `consul maint -disable${entry === undefined ? "" : ` -service=${entry}`}`;
      return `when the work is done, run ${command} ${where}: it acts on the agent of the machine where it is run`;
    }
    case "tcp":
      return `the agent cannot connect to that endpoint: let the VM listen there (vm-listens and port-mapping of srv-epmd doctor --all ${where} show where it does), or run serve without --tcp-check`;
    case "agent":
      return `Consul's servers do not reach the agent ${where}: see that the machine is up, that its Consul agent runs, and that no firewall is between it and the other agents (TCP and UDP port 8301)`;
    case "other":
      return `put right what that check tests ${where}: Consul's DNS leaves out every entry that has a critical check`;
    default:
      return kind satisfies never;
  }
}
