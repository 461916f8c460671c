import { ConsulError, describeError } from "../errors.js";

/** The cause of a ConsulError when the agent, or a proxy before it, did answer: its own words. */
export class AgentAnswer extends Error {
  /** What Consul's words mean where the status alone does not tell. */
  readonly meaning: "token-unknown" | "acls-off" | undefined;

  constructor(words: string) {
    super(words);
    if (/ACL not found/i.test(words)) this.meaning = "token-unknown";
    else if (/ACL support disabled/i.test(words)) this.meaning = "acls-off";
  }
}

/** The cause of a ConsulError when the agent was not asked at all: a file of the token or of TLS cannot be read. */
export class UnreadableFile extends Error {}

/** Characters of the agent's words in a message: a proxy may answer with an HTML page. */
const MAX_WORDS = 300;

/**
 * The error of a call that failed.
 * @param where the call, for the message
 * @param error as papi throws it: with a response when the agent did answer
 * @param token is left out of the message, also where the agent repeats it
 */
export function callError(where: string, error: unknown, token: string | undefined): ConsulError {
  const response = (error as { response?: { statusCode?: number; body?: unknown } }).response;
  if (!response) return unavailableError(`${where}: ${describeError(error)}`, error);
  const status = response.statusCode ?? 0;
  const raw = Buffer.isBuffer(response.body) ? response.body.toString() : response.body;
  const body = typeof raw === "string" ? raw : JSON.stringify(raw ?? "");
  const words = (token ? body.replaceAll(token, "<token>") : body).trim().slice(0, MAX_WORDS);
  const said = words === "" ? `status ${status}` : words;
  return new ConsulError(codeOf(status, words), `${where}: ${said} (${status})`, { cause: new AgentAnswer(said) });
}

/** The token was deleted or has expired; a token that lacks a right is known. */
export function isUnknownToken({ code, cause }: ConsulError): boolean {
  return code === "CONSUL_FORBIDDEN" && meaningOf(cause) === "token-unknown";
}

/** Consul answers questions about rights like this where its ACLs are off. */
export function areAclsOff({ cause }: ConsulError): boolean {
  return meaningOf(cause) === "acls-off";
}

function meaningOf(cause: unknown): AgentAnswer["meaning"] {
  return cause instanceof AgentAnswer ? cause.meaning : undefined;
}

function codeOf(status: number, words: string): string {
  if (status === 403) return "CONSUL_FORBIDDEN";
  // Consul 1.8 says 500 "Unknown check", "Unknown service" or "... does not have associated TTL"; newer ones 404.
  if (status === 404 || (status === 500 && /\bunknown (check|service)|associated TTL/i.test(words))) {
    return "CONSUL_UNKNOWN";
  }
  // 429: too many requests. 5xx: no leader, no server, restarting.
  return status === 429 || status >= 500 ? "CONSUL_UNAVAILABLE" : "CONSUL_REJECTED";
}

export function unavailableError(message: string, cause: unknown): ConsulError {
  return new ConsulError("CONSUL_UNAVAILABLE", message, { cause });
}
