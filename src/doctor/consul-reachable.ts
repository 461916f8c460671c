import { ConsulError, describeError } from "../errors.js";
import { type Finding, skip } from "./core/finding.js";
import type { Examination } from "./examination.js";

export const NO_AGENT = "Consul cannot be asked: see consul-agent";
export const NO_AGENT_ADVICE =
  "the agent fails now and then, or refuses the token: consul-agent and consul-token say how it answers now (--all)";

export async function isThere({ leader }: Pick<Examination, "leader">): Promise<boolean> {
  return leader().then(
    () => true,
    () => false,
  );
}

export const SEE_TOKEN = "see consul-token: it says which token or policy is missing";
export const NO_TOKEN = "serve has a token for Consul that doctor has not: see consul-token";

/** Serve has a token, without which doctor does not see what Consul has. */
export async function hasNoToken({ unread }: Pick<Examination, "unread">): Promise<boolean> {
  return (await unread())?.code === "TOKEN_NOT_GIVEN";
}

/** For checks of what Consul holds: why it is not asked; undefined: it is. */
export async function whyNotAsked(examination: Examination): Promise<Finding | undefined> {
  if (!(await isThere(examination))) return skip(NO_AGENT);
  return (await hasNoToken(examination)) ? skip(NO_TOKEN) : undefined;
}

/** The message has no token: the client removes it. */
export function messageOf(error: unknown): string {
  return (error instanceof ConsulError ? error.message : describeError(error)).trim();
}
