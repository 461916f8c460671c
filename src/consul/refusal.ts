import { ConsulError, describeError } from "../errors.js";

/** The cause of a ConsulError when the agent did answer: its own words. */
export class AgentAnswer extends Error {}

/** The agent's words in our message; a proxy's HTML page is not one. */
const MAX_WORDS = 300;

/**
 * What a call that failed means.
 * @param where the call, for the message
 * @param error as papi throws it: with a response when the agent did answer
 * @param token never repeated in a message, even when the agent repeats it
 */
export function refusal(where: string, error: unknown, token: string | undefined): ConsulError {
  const response = (error as { response?: { statusCode?: number; body?: unknown } }).response;
  if (!response) return unavailable(`${where}: ${describeError(error)}`, error);
  const status = response.statusCode ?? 0;
  const raw = Buffer.isBuffer(response.body) ? response.body.toString() : response.body;
  const body = typeof raw === "string" ? raw : JSON.stringify(raw ?? "");
  const words = (token ? body.replaceAll(token, "<token>") : body).trim().slice(0, MAX_WORDS);
  const said = words === "" ? `status ${status}` : words;
  return new ConsulError(codeOf(status, words), `${where}: ${said} (${status})`, { cause: new AgentAnswer(said) });
}

/** The token was deleted, or has expired; it is not that it lacks a right. */
export function isUnknownToken({ code, message }: ConsulError): boolean {
  return code === "CONSUL_FORBIDDEN" && /ACL not found/i.test(message);
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

export function unavailable(message: string, cause: unknown): ConsulError {
  return new ConsulError("CONSUL_UNAVAILABLE", message, { cause });
}
