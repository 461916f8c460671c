import { isLoopback } from "../../net/ip.js";
import { agentHost } from "./agent-dns.js";

/** Whether the agent is on this machine, or in this container. @param consul its URL */
export function isAgentHere(consul: string): boolean {
  const host = agentHost(consul);
  // A Unix socket has no host.
  return host === "" || host === "localhost" || isLoopback(host);
}

/** What to do about an agent that gives no answer in time: one that does not run here refuses connections at once. */
export function noAnswerAdvice(consul: string): string {
  return isAgentHere(consul) ? WAITS : silentAt(consul);
}

const WAITS =
  "see the log of the agent, which runs and does not answer: it waits for servers that it does not reach (consul members; port 8300 of each), or is stopped (kill -CONT)";

function silentAt(consul: string): string {
  return `see that the machine of ${consul} runs, and that no firewall there or here drops what goes to that port (nft list ruleset); or give another agent: --consul or CONSUL_HTTP_ADDR`;
}
