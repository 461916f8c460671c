import { printable } from "../../text.js";
import { type HeldCheck, tcpCheckId, ttlCheckId } from "./service-entry.js";

/** Characters of a check's output or notes in a message. */
const MAX_WORDS = 120;
/** Ids of the checks that `consul maint` makes (https://developer.hashicorp.com/consul/commands/maint). */
const MACHINE_MAINTENANCE = "_node_maintenance";
const SERVICE_MAINTENANCE = "_service_maintenance:";

export interface Obstacle {
  readonly kind: "maintenance" | "tcp" | "other";
  readonly words: string;
}

/**
 * Why Consul's DNS leaves out an entry whose TTL check passes: another check of the entry or of the machine is critical.
 */
export function obstacleOf(serviceId: string, checks: readonly HeldCheck[]): Obstacle | undefined {
  const critical = checks.find((check) => {
    const concerns = check.serviceId === serviceId || check.serviceId === "";
    return concerns && check.status === "critical" && check.checkId !== ttlCheckId(serviceId);
  });
  if (!critical) return undefined;
  const { checkId, notes, output } = critical;
  const ofMachine = critical.serviceId === "";
  if (checkId === MACHINE_MAINTENANCE || checkId.startsWith(SERVICE_MAINTENANCE)) {
    const what = ofMachine ? "the machine" : "the entry";
    return { kind: "maintenance", words: `${what} is in Consul's maintenance mode${said(notes)}` };
  }
  const kind = checkId === tcpCheckId(serviceId) ? "tcp" : "other";
  const whose = ofMachine ? "the machine's check" : "its check";
  return { kind, words: `${whose} ${checkId} is critical${said(output)}` };
}

function said(text: string): string {
  const line = printable(text.trim()).slice(0, MAX_WORDS);
  return line === "" ? "" : `: ${line}`;
}
