import { type ApiAddress, type ApiCall, ApiConnection, ApiFailure, type ApiReply, wordsOf } from "../api/connection.js";
import { type AgentFault, isTimeOver, silenceOf } from "../api/core/silence.js";
import type { Observe } from "../daemon/core/observations.js";
import type { Logger } from "../daemon/logger.js";
import { ConsulError, describeError } from "../errors.js";
import { MOST_CALLS } from "../publish/turns.js";
import { Servers } from "./core/servers.js";
import { AclToken, type TokenSource } from "./token.js";

export { loadLibrary } from "../api/connection.js";

export interface TransportOptions extends ApiAddress {
  /** Milliseconds for one whole call. */
  readonly timeoutMs?: number;
  readonly log: Logger;
  /** Called at the end of each call. */
  readonly observe?: Observe;
}

export interface ConsulCall extends ApiCall {
  /** Is not tried again, after a refusal, with another token. */
  readonly oneToken?: boolean;
  /** Is left out of errors, as the token is. */
  readonly secret?: string;
}

export type ConsulReply = ApiReply;

/** A call that waits for a connection uses up its time. An agent takes 200 (limits.http_max_conns_per_client). */
const MAX_SOCKETS = { call: MOST_CALLS + 8, wait: 64 } as const;

const CALL_RESULTS: Readonly<Record<string, string>> = {
  CONSUL_FORBIDDEN: "forbidden",
  CONSUL_UNKNOWN: "unknown",
  CONSUL_REJECTED: "rejected",
};

/** Calls the agent: with the token, within a time limit, and counted. Each call throws ConsulError when it fails. */
export class ConsulTransport {
  readonly #connection: ApiConnection;
  readonly #observe: Observe;
  readonly token: AclToken;
  readonly servers = new Servers();

  /** @param source where the token comes from; it may send calls of its own */
  constructor(options: TransportOptions, source: (transport: ConsulTransport) => TokenSource) {
    this.#connection = new ApiConnection({ ...options, maxSockets: MAX_SOCKETS });
    this.#observe = options.observe ?? (() => {});
    this.token = new AclToken(source(this), options.log);
  }

  async call(call: ConsulCall, signal?: AbortSignal): Promise<ConsulReply> {
    const used = await this.token.read(signal);
    try {
      return await this.send(call, used, signal);
    } catch (error) {
      if (!(error instanceof ConsulError) || error.code !== "CONSUL_FORBIDDEN") throw error;
      const isUnknown = isUnknownToken(error);
      const fresh = await this.token.afterRefusal(used, isUnknown ? "unknown" : "denied", signal).catch((failure) => {
        // The agent knows the token and has refused the call, whatever keeps us from another token.
        throw used && !isUnknown ? error : failure;
      });
      if (fresh === used || call.oneToken) throw error;
      return await this.send(call, fresh, signal);
    }
  }

  /** The next call connects anew. */
  close(): void {
    this.#connection.close();
  }

  /** One call with this token, once. */
  async send(call: ConsulCall, token: string | undefined, signal?: AbortSignal): Promise<ConsulReply> {
    const sentAt = performance.now();
    try {
      const headers: Record<string, string> = token === undefined || token === "" ? {} : { "x-consul-token": token };
      const reply = await this.#connection.send(call, headers, signal);
      this.#observe({ type: "consul-call", result: "ok" });
      if (isForServers(call)) this.servers.answered(performance.now());
      else this.servers.agentAnswered(performance.now());
      return reply;
    } catch (error) {
      const failure = callError(error, call.secret ?? token);
      // A call that was given up here says nothing about the agent.
      if (!signal?.aborted) this.#observe({ type: "consul-call", result: CALL_RESULTS[failure.code] ?? "unavailable" });
      if (isForServers(call) && (!signal?.aborted || isTimeOver(signal))) {
        const fault = faultOf(failure);
        const reason = describeError(failure.cause ?? failure);
        if (fault === "timeout" || fault === "no-server")
          this.servers.failed({ sentAt, endedAt: performance.now(), fault, reason });
      }
      throw failure;
    }
  }
}

/** The agent answers by itself below /agent, and the servers of another datacenter say nothing about its own. */
function isForServers({ path, query }: ConsulCall): boolean {
  return !path.startsWith("/agent/") && query?.dc === undefined;
}

/**
 * The agent knows no server, or does not reach the one that it asks (Consul: agent/consul/client.go, agent/pool). Go's net
 * package puts `dial tcp` before the address.
 */
const NO_SERVER = /No known Consul servers|rpc error getting client|\bdial tcp\b/i;

/** The cause of a ConsulError when the agent, or a proxy before it, did answer: its own words. */
export class AgentAnswer extends Error {
  readonly status: number;
  /** What Consul's words mean where the status alone does not tell. */
  readonly meaning: "token-unknown" | "acls-off" | "no-server" | undefined;

  constructor(status: number, words: string) {
    super(words);
    this.status = status;
    if (/ACL not found/i.test(words)) this.meaning = "token-unknown";
    else if (/ACL support disabled/i.test(words)) this.meaning = "acls-off";
    else if (status === 500 && NO_SERVER.test(words)) this.meaning = "no-server";
  }
}

/**
 * The error of a call that failed.
 * @param secret is left out of the message, also where the agent repeats it
 */
function callError(error: unknown, secret: string | undefined): ConsulError {
  if (!(error instanceof ApiFailure) || !error.answer) return unavailableError(error);
  const { status } = error.answer;
  const { words, said } = wordsOf(error.answer, secret);
  const message = `${error.message}: ${said} (${status})`;
  return new ConsulError(codeOf(status, words), message, { cause: new AgentAnswer(status, said) });
}

/** The token was deleted or has expired; a token that lacks a right is known. */
export function isUnknownToken({ code, cause }: ConsulError): boolean {
  return code === "CONSUL_FORBIDDEN" && meaningOf(cause) === "token-unknown";
}

/** Consul answers questions about rights like this where its ACLs are off. */
export function areAclsOff({ cause }: ConsulError): boolean {
  return meaningOf(cause) === "acls-off";
}

/** Undefined: the message alone tells. */
export function faultOf(error: ConsulError): AgentFault | undefined {
  if (!(error.cause instanceof AgentAnswer)) return silenceOf(error);
  return meaningOf(error.cause) === "no-server" ? "no-server" : undefined;
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

function unavailableError(error: unknown): ConsulError {
  // What caused a failed call is the cause here too; a file that cannot be read is one itself.
  const cause = error instanceof ApiFailure ? error.cause : error;
  return new ConsulError("CONSUL_UNAVAILABLE", describeError(error), { cause });
}
