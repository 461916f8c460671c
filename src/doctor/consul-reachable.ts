import { ConsulError, describeError } from "../errors.js";
import type { Examination } from "./examination.js";

export const NO_AGENT = "Consul cannot be asked: see consul-agent";
export const NO_AGENT_ADVICE =
  "the agent fails now and then, or refuses the token: consul-agent and consul-token say how it answers now";

export async function isThere({ leader }: Examination): Promise<boolean> {
  return leader().then(
    () => true,
    () => false,
  );
}

/** The message has no token: the client removes it. */
export function messageOf(error: unknown): string {
  return (error instanceof ConsulError ? error.message : describeError(error)).trim();
}
