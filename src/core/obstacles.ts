import { printable } from "./printable.js";
import { type HeldCheck, ttlCheckId } from "./service-entry.js";

/** An agent's or a script's words in ours. */
const MAX_WORDS = 120;
/** `consul maint` makes these (https://developer.hashicorp.com/consul/commands/maint). */
const MACHINE_MAINTENANCE = "_node_maintenance";
const SERVICE_MAINTENANCE = "_service_maintenance:";

/**
 * Why Consul's DNS leaves out an entry whose TTL check passes: any other check that is critical, of the entry or of the
 * machine, does that.
 */
export function obstacleOf(serviceId: string, checks: readonly HeldCheck[]): string | undefined {
  const critical = checks.find((check) => {
    const concerns = check.serviceId === serviceId || check.serviceId === "";
    return concerns && check.status === "critical" && check.checkId !== ttlCheckId(serviceId);
  });
  if (!critical) return undefined;
  const { checkId, notes, output } = critical;
  if (checkId === MACHINE_MAINTENANCE) return `the machine is in Consul's maintenance mode${words(notes)}`;
  if (checkId.startsWith(SERVICE_MAINTENANCE)) return `the entry is in Consul's maintenance mode${words(notes)}`;
  return `${critical.serviceId === "" ? "the machine's check" : "its check"} ${checkId} is critical${words(output)}`;
}

function words(said: string): string {
  const line = printable(said.trim()).slice(0, MAX_WORDS);
  return line === "" ? "" : `: ${line}`;
}
