import { EventEmitter } from "node:events";
import { type ClientRequest, Agent as HttpAgent, type RequestOptions } from "node:http";
import { Agent as HttpsAgent } from "node:https";
import type { Observe } from "../daemon/core/observations.js";
import type { Logger } from "../daemon/logger.js";
import { ConsulError, describeError } from "../errors.js";
import { MOST_CALLS } from "../publish/turns.js";
import { AclToken, readCredential, type TokenSource } from "./token.js";

interface ConsulAddress {
  /** `http://host:port`, `https://host:port` or `unix:///path`. */
  readonly url: string;
  /** Files, PEM. */
  readonly ca?: string | undefined;
  readonly cert?: string | undefined;
  readonly key?: string | undefined;
  readonly sslVerify?: boolean;
  readonly tlsServerName?: string | undefined;
}

export interface TransportOptions extends ConsulAddress {
  /** Milliseconds for one whole call. */
  readonly timeoutMs?: number;
  readonly log: Logger;
  /** Called at the end of each call. */
  readonly observe?: Observe;
}

export interface ConsulCall {
  readonly method: "_get" | "_put" | "_post";
  /** Below /v1. */
  readonly path: string;
  /** Values of the `{placeholders}` in the path. The package encodes them. */
  readonly params?: Readonly<Record<string, string>>;
  readonly query?: Readonly<Record<string, string>>;
  readonly body?: unknown;
  /** Milliseconds for which the agent may hold the query; undefined: it answers at once. */
  readonly longestWait?: number;
  /** Is not tried again, after a refusal, with another token. */
  readonly oneToken?: boolean;
  /** Is left out of errors, as the token is. */
  readonly secret?: string;
}

export interface ConsulReply {
  readonly body?: unknown;
  readonly headers?: Readonly<Record<string, string | undefined>>;
}

const DEFAULT_TIMEOUT_MS = 5_000;
/**
 * Connections, apart for calls and for blocking queries: a registration must not wait until a query of a minute ends, and
 * a call that waits for a connection uses up its time. An agent takes 200 (limits.http_max_conns_per_client).
 */
const MAX_SOCKETS = { call: MOST_CALLS + 8, wait: 64 } as const;
/** Bytes of an answer. A write is answered with a line or nothing; a list has some 1.5 kB for each entry. */
const MAX_REPLY = { _get: 16 * 1024 * 1024, _post: 64 * 1024, _put: 64 * 1024 } as const;

const CALL_RESULTS: Readonly<Record<string, string>> = {
  CONSUL_FORBIDDEN: "forbidden",
  CONSUL_UNKNOWN: "unknown",
  CONSUL_REJECTED: "rejected",
};

/** The methods of papi, which the consul package inherits. The package's own methods drop some fields (weights). */
type GenericClient = Record<ConsulCall["method"], (request: object) => Promise<ConsulReply>> & {
  destroy(): void;
};

/** Loaded with the first call: a command that makes none need not wait for it. */
export const loadLibrary = () => import("consul");

/** Calls the agent: with the token, within a time limit, and counted. Each call throws ConsulError when it fails. */
export class ConsulTransport {
  readonly #options: TransportOptions;
  readonly #generic = new Map<keyof typeof MAX_SOCKETS, Promise<GenericClient>>();
  readonly token: AclToken;

  /** @param source where the token comes from; it may send calls of its own */
  constructor(options: TransportOptions, source: (transport: ConsulTransport) => TokenSource) {
    this.#options = options;
    this.token = new AclToken(source(this), options.log);
  }

  async call(call: ConsulCall, signal?: AbortSignal): Promise<ConsulReply> {
    const used = await this.token.read();
    try {
      return await this.send(call, used, signal);
    } catch (error) {
      if (!(error instanceof ConsulError) || error.code !== "CONSUL_FORBIDDEN") throw error;
      const fresh = await this.token.afterRefusal(used, isUnknownToken(error) ? "unknown" : "denied");
      if (fresh === used || call.oneToken) throw error;
      return await this.send(call, fresh, signal);
    }
  }

  /** The next call connects anew. */
  close(): void {
    for (const connecting of this.#generic.values()) {
      connecting.then(
        (generic) => generic.destroy(),
        () => {},
      );
    }
    this.#generic.clear();
  }

  /** One call with this token, once. */
  async send(call: ConsulCall, token: string | undefined, signal?: AbortSignal): Promise<ConsulReply> {
    const generic = await this.#connect(call.longestWait === undefined ? "call" : "wait");
    if (signal?.aborted) throw unavailableError("the call was given up", signal.reason);
    // The package takes no AbortSignal: an event of this emitter ends the request.
    const ctx = new EventEmitter();
    const cancel = () => ctx.emit("cancel");
    signal?.addEventListener("abort", cancel, { once: true });
    const { observe = () => {} } = this.#options;
    try {
      const reply = await generic[call.method]({
        ctx,
        path: call.path,
        params: { ...call.params },
        query: { ...call.query },
        ...(call.body !== undefined && { body: call.body }),
        headers: token === undefined || token === "" ? {} : { "x-consul-token": token },
        // Covers the body of the answer too: without it the package waits for ever when a connection breaks in the body.
        timeout: (call.longestWait ?? 0) + (this.#options.timeoutMs ?? DEFAULT_TIMEOUT_MS),
        exts: { onRequest: bounded(MAX_REPLY[call.method]) },
      });
      observe({ type: "consul-call", result: "ok" });
      return reply;
    } catch (error) {
      const failure = this.#errorOf(call, error, call.secret ?? token);
      // A call that was given up here says nothing about the agent.
      if (!signal?.aborted) observe({ type: "consul-call", result: CALL_RESULTS[failure.code] ?? "unavailable" });
      throw failure;
    } finally {
      signal?.removeEventListener("abort", cancel);
    }
  }

  #connect(use: keyof typeof MAX_SOCKETS): Promise<GenericClient> {
    const connected = this.#generic.get(use);
    if (connected) return connected;
    const connecting = this.#open(MAX_SOCKETS[use]);
    this.#generic.set(use, connecting);
    connecting.catch(() => {
      if (this.#generic.get(use) === connecting) this.#generic.delete(use);
    });
    return connecting;
  }

  async #open(maxSockets: number): Promise<GenericClient> {
    const [{ default: Consul }, options] = await Promise.all([
      loadLibrary(),
      connectionOptions(this.#options, maxSockets),
    ]);
    return new Consul(options as object) as unknown as GenericClient;
  }

  #errorOf(call: ConsulCall, error: unknown, secret: string | undefined): ConsulError {
    // Certificate files are read when a connection is opened: after a failed handshake they are read again.
    if (/^ERR_(SSL|TLS|OSSL)|CERT|SIGNATURE|EPROTO/.test((error as NodeJS.ErrnoException).code ?? "")) this.close();
    const path = call.path.replace(/\{(\w+)\}/g, (_, name: string) => call.params?.[name] ?? name);
    return callError(`${call.method.slice(1).toUpperCase()} ${this.#options.url} /v1${path}`, error, secret);
  }
}

/** The part of papi's request that its extensions use, after it was built and before it is sent. */
interface PapiRequest {
  transport: { readonly request: (options: RequestOptions) => ClientRequest };
}

/**
 * An extension of papi, which has no limit of its own: a longer answer fails the call and ends its connection.
 * @param most bytes
 */
function bounded(most: number) {
  return (papi: PapiRequest, next: () => void): void => {
    const { transport } = papi;
    papi.transport = { request: (options) => watch(transport.request(options), most) };
    next();
  };
}

function watch(request: ClientRequest, most: number): ClientRequest {
  request.on("response", (response) => {
    let length = 0;
    response.on("data", (chunk: Buffer) => {
      length += chunk.length;
      if (length <= most) return;
      // destroy(error) emits no error on the request once its response has begun.
      request.emit("error", new Error(`the answer is longer than ${most} bytes`));
      request.destroy();
    });
  });
  return request;
}

/** Options of the consul package's constructor. Its types do not have all of them. */
interface ConnectionOptions {
  readonly baseUrl: string;
  readonly agent: HttpAgent;
  readonly socketPath?: string;
}

/**
 * @param maxSockets connections at once
 * @throws ConsulError CONSUL_UNAVAILABLE when a certificate file cannot be read
 */
async function connectionOptions(address: ConsulAddress, maxSockets: number): Promise<ConnectionOptions> {
  const keep = { keepAlive: true, maxSockets };
  const socketPath = /^unix:\/\/(.*)$/.exec(address.url)?.[1];
  if (socketPath !== undefined) {
    // With unix:// in baseUrl the package connects to 127.0.0.1:80.
    return { baseUrl: "http://localhost/v1", socketPath, agent: new HttpAgent(keep) };
  }
  const url = new URL(address.url);
  const baseUrl = `${url.origin}${url.pathname.replace(/\/+$/, "")}/v1`;
  // The package gives the brackets of an IPv6 literal to the resolver. Options of the HTTP agent override that.
  const host = /^\[(.*)\]$/.exec(url.hostname)?.[1];
  const where = host === undefined ? keep : { ...keep, host };
  if (url.protocol !== "https:") return { baseUrl, agent: new HttpAgent(where) };
  const [ca, cert, key] = await Promise.all([
    readPem(address.ca, "CA"),
    readPem(address.cert, "client certificate"),
    readPem(address.key, "client key"),
  ]);
  const tls = {
    ...(ca && { ca }),
    ...(cert && { cert }),
    ...(key && { key }),
    ...(address.tlsServerName !== undefined && { servername: address.tlsServerName }),
    rejectUnauthorized: address.sslVerify ?? true,
  };
  return { baseUrl, agent: new HttpsAgent({ ...where, ...tls }) };
}

async function readPem(path: string | undefined, what: string): Promise<string | undefined> {
  return path === undefined ? undefined : readCredential(path, what);
}

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

/** Characters of the agent's words in a message: a proxy may answer with an HTML page. */
const MAX_WORDS = 300;

/**
 * The error of a call that failed.
 * @param where the call, for the message
 * @param error as papi throws it: with a response when the agent did answer
 * @param secret is left out of the message, also where the agent repeats it
 */
function callError(where: string, error: unknown, secret: string | undefined): ConsulError {
  const response = (error as { response?: { statusCode?: number; body?: unknown } }).response;
  if (!response) return unavailableError(`${where}: ${describeError(error)}`, error);
  const status = response.statusCode ?? 0;
  const raw = Buffer.isBuffer(response.body) ? response.body.toString() : response.body;
  const body = typeof raw === "string" ? raw : JSON.stringify(raw ?? "");
  const words = (secret ? body.replaceAll(secret, "<token>") : body).trim().slice(0, MAX_WORDS);
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

function unavailableError(message: string, cause: unknown): ConsulError {
  return new ConsulError("CONSUL_UNAVAILABLE", message, { cause });
}
