import {
  type ApiAddress,
  type ApiCall,
  ApiConnection,
  ApiFailure,
  type ApiReply,
  longestHold,
  wordsOf,
} from "../api/connection.js";
import { readCredential } from "../api/credential.js";
import { describeError, NomadError, type NomadErrorCode } from "../errors.js";
import { type NomadInstance, parseInstances, parseServiceNames } from "./core/replies.js";

export interface NomadClientOptions extends ApiAddress {
  readonly token?: string | undefined;
  /** Takes precedence over `token`. Read for each call: whoever wrote it may write another. */
  readonly tokenFile?: string | undefined;
  /** Is used in place of `token` while it is there: the identity of the allocation. */
  readonly identityFile?: string | undefined;
  /** Milliseconds for one whole call. */
  readonly timeoutMs?: number;
}

export interface NomadServiceQuery {
  readonly service: string;
  readonly namespace: string;
}

interface NomadSnapshot {
  readonly instances: readonly NomadInstance[];
  /** X-Nomad-Index; 0 when there is none. */
  readonly index: number;
  /** X-Nomad-KnownLeader. */
  readonly hasLeader: boolean;
}

/** An agent takes 100 connections from an address (limits.http_max_conns_per_client); a task's socket has no limit. */
const MAX_SOCKETS = { call: 16, wait: 64 } as const;

/**
 * Nomad's HTTP API as far as srv-epmd uses it (https://developer.hashicorp.com/nomad/api-docs/services). Each call throws
 * NomadError: NOMAD_FORBIDDEN (401, 403), NOMAD_UNKNOWN (404), NOMAD_REJECTED, or NOMAD_UNAVAILABLE.
 */
export class NomadClient {
  readonly #options: NomadClientOptions;
  readonly #connection: ApiConnection;

  constructor(options: NomadClientOptions) {
    this.#options = options;
    this.#connection = new ApiConnection({ ...options, maxSockets: MAX_SOCKETS });
  }

  /**
   * All instances of a service, by a blocking query. Empty, too, for a namespace that does not exist.
   * @param index of the last answer; 0: answered at once
   * @param wait milliseconds, to which Nomad adds a sixteenth at most
   */
  async instances(
    { service, namespace }: NomadServiceQuery,
    { index = 0, wait = 0, signal }: { readonly index?: number; readonly wait?: number; readonly signal?: AbortSignal },
  ): Promise<NomadSnapshot> {
    // stale: any server answers, also while there is no leader.
    const query = { stale: "", namespace, ...(index > 0 && { index: String(index), wait: `${wait}ms` }) };
    const held = index > 0 && { longestWait: longestHold(wait) };
    const call = { method: "_get", path: "/service/{service}", params: { service }, query, ...held } as const;
    const { body, headers } = await this.#list(call, signal);
    return {
      instances: parseInstances(body),
      index: Number(headers?.["x-nomad-index"] ?? 0) || 0,
      hasLeader: headers?.["x-nomad-knownleader"] !== "false",
    };
  }

  /** Names of the services of a namespace. */
  async serviceNames(namespace: string, signal?: AbortSignal): Promise<string[]> {
    const call = { method: "_get", path: "/services", query: { stale: "", namespace } } as const;
    return parseServiceNames((await this.#list(call, signal)).body);
  }

  /** The next call connects anew. */
  close(): void {
    this.#connection.close();
  }

  /** A proxy's page with status 200 must not look like a service without instances. */
  async #list(call: ApiCall, signal?: AbortSignal): Promise<ApiReply> {
    const reply = await this.#call(call, signal);
    if (Array.isArray(reply.body)) return reply;
    throw unavailable(`GET ${this.#options.url} ${call.path}: what answers there is not Nomad: it sends no list`);
  }

  async #call(call: ApiCall, signal?: AbortSignal): Promise<ApiReply> {
    let token: string | undefined;
    try {
      token = await this.#token();
      const headers: Record<string, string> = token === undefined || token === "" ? {} : { "x-nomad-token": token };
      return await this.#connection.send(call, headers, signal);
    } catch (error) {
      throw nomadError(error, token);
    }
  }

  async #token(): Promise<string | undefined> {
    const { token, tokenFile, identityFile } = this.#options;
    if (tokenFile !== undefined) return (await readCredential(tokenFile, "Nomad token")).trim();
    const identity = identityFile === undefined ? "" : await readCredential(identityFile, "identity").catch(() => "");
    return identity.trim() || token;
  }
}

function unavailable(message: string, cause?: unknown): NomadError {
  return new NomadError("NOMAD_UNAVAILABLE", message, { cause });
}

/** @param token is left out of the message, also where Nomad repeats it */
function nomadError(error: unknown, token: string | undefined): NomadError {
  if (!(error instanceof ApiFailure)) return unavailable(describeError(error), error);
  if (!error.answer) return unavailable(error.message, error.cause);
  const { status } = error.answer;
  const { said } = wordsOf(error.answer, token);
  const hint = status === 401 && token === undefined ? `; ${NO_TOKEN}` : "";
  return new NomadError(codeOf(status), `${error.message}: ${said} (${status})${hint}`);
}

const NO_TOKEN =
  "no token was sent: give the task identity { env = true file = true }, or set NOMAD_TOKEN or --nomad-token-file";

function codeOf(status: number): NomadErrorCode {
  if (status === 401 || status === 403) return "NOMAD_FORBIDDEN";
  if (status === 404) return "NOMAD_UNKNOWN";
  // 429: too many connections. 5xx: no leader, no path to the region, restarting.
  return status === 429 || status >= 500 ? "NOMAD_UNAVAILABLE" : "NOMAD_REJECTED";
}
