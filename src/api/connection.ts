import { EventEmitter } from "node:events";
import { type ClientRequest, Agent as HttpAgent, type RequestOptions } from "node:http";
import type { Client } from "papi";
import { describeError } from "../errors.js";
import { quotation } from "../text.js";
import { isTimeOver } from "./core/silence.js";
import { readCredential } from "./credential.js";

/** Where an agent answers HTTP. */
export interface ApiAddress {
  /** `http://host:port`, `https://host:port` or `unix:///path`. */
  readonly url: string;
  /** Files, PEM. */
  readonly ca?: string | undefined;
  readonly cert?: string | undefined;
  readonly key?: string | undefined;
  readonly sslVerify?: boolean;
  readonly tlsServerName?: string | undefined;
}

export interface ApiCall {
  readonly method: "_get" | "_put" | "_post";
  /** Below /v1. */
  readonly path: string;
  /** Values of the `{placeholders}` in the path. papi encodes them. */
  readonly params?: Readonly<Record<string, string>>;
  readonly query?: Readonly<Record<string, string>>;
  readonly body?: unknown;
  /** Milliseconds for which the agent may hold the query; undefined: it answers at once. */
  readonly longestWait?: number;
}

/**
 * The longest time for which a blocking query is held, milliseconds: Consul and Nomad add up to a sixteenth of the wait at
 * random, so that not all queries end at once.
 */
export function longestHold(wait: number): number {
  return wait + wait / 16;
}

export interface ApiReply {
  readonly body?: unknown;
  readonly headers?: Readonly<Record<string, string | undefined>>;
}

export interface ApiConnectionOptions extends ApiAddress {
  /** Milliseconds for one whole call. */
  readonly timeoutMs?: number | undefined;
  /** Connections at once, apart for calls and for blocking queries: a call must not wait until a query of a minute ends. */
  readonly maxSockets: Readonly<Record<"call" | "wait", number>>;
}

const DEFAULT_TIMEOUT_MS = 5_000;
/** Bytes of an answer. A write is answered with a line or nothing; a list has some 1.5 kB for each entry. */
const MAX_REPLY = { _get: 16 * 1024 * 1024, _post: 64 * 1024, _put: 64 * 1024 } as const;

/** A call that failed: it was refused, or there was no answer, or none that can be read. */
export class ApiFailure extends Error {
  /** Undefined when nothing answered. The body as text. */
  readonly answer: { readonly status: number; readonly body: string } | undefined;

  constructor(message: string, options: ErrorOptions, answer?: ApiFailure["answer"]) {
    super(message, options);
    this.answer = answer;
  }
}

/** Loaded with the first call: a command that makes none need not wait for it. */
const library = () => import("papi");

/** Loads what the first call would load. Its type does not name papi, which has none for the users of our library. */
export const loadLibrary: () => Promise<unknown> = library;

/** Calls of one agent's HTTP API with JSON, Consul's or Nomad's, each within a time limit and a limit of bytes. */
export class ApiConnection {
  readonly #options: ApiConnectionOptions;
  readonly #clients = new Map<"call" | "wait", Promise<{ readonly client: Client; readonly agent: HttpAgent }>>();

  constructor(options: ApiConnectionOptions) {
    this.#options = options;
  }

  /** @throws ApiFailure; UnreadableFile when a certificate file cannot be read */
  async send(call: ApiCall, headers: Readonly<Record<string, string>>, signal?: AbortSignal): Promise<ApiReply> {
    const { client } = await this.#connect(call.longestWait === undefined ? "call" : "wait");
    if (signal?.aborted) throw new ApiFailure("the call was given up", { cause: signal.reason });
    // papi takes no AbortSignal: an event of this emitter ends the request.
    const ctx = new EventEmitter();
    const cancel = () => ctx.emit("cancel");
    signal?.addEventListener("abort", cancel, { once: true });
    try {
      return await client[call.method]({
        ctx,
        path: call.path,
        params: { ...call.params },
        query: { ...call.query },
        ...(call.body !== undefined && { body: call.body }),
        headers: { ...headers },
        // Covers the body of the answer too: without it papi waits for ever when a connection breaks in the body.
        timeout: (call.longestWait ?? 0) + (this.#options.timeoutMs ?? DEFAULT_TIMEOUT_MS),
        exts: { onRequest: bounded(MAX_REPLY[call.method]) },
      });
    } catch (error) {
      // Certificate files are read when a connection is opened: after a failed handshake they are read again.
      if (/^ERR_(SSL|TLS|OSSL)|CERT|SIGNATURE|EPROTO/.test((error as NodeJS.ErrnoException).code ?? "")) this.close();
      throw failureOf(this.#where(call), error, isTimeOver(signal));
    } finally {
      signal?.removeEventListener("abort", cancel);
    }
  }

  /** The next call connects anew. */
  close(): void {
    for (const connecting of this.#clients.values()) {
      connecting.then(
        ({ agent }) => agent.destroy(),
        () => {},
      );
    }
    this.#clients.clear();
  }

  /** The call, for messages: `GET http://127.0.0.1:8500 /v1/agent/self`. */
  #where({ method, path, params }: ApiCall): string {
    const filled = path.replace(/\{(\w+)\}/g, (_, name: string) => params?.[name] ?? name);
    return `${method.slice(1).toUpperCase()} ${this.#options.url} /v1${filled}`;
  }

  #connect(use: "call" | "wait") {
    const connected = this.#clients.get(use);
    if (connected) return connected;
    const connecting = this.#open(this.#options.maxSockets[use]);
    this.#clients.set(use, connecting);
    connecting.catch(() => {
      if (this.#clients.get(use) === connecting) this.#clients.delete(use);
    });
    return connecting;
  }

  async #open(maxSockets: number) {
    const [{ Client }, options] = await Promise.all([library(), connectionOptions(this.#options, maxSockets)]);
    return { client: new Client({ ...options, type: "json" }), agent: options.agent };
  }
}

/**
 * @param error as papi throws it: with a response when the agent, or a proxy before it, did answer
 * @param isLate the call was given up because its time is over
 */
function failureOf(where: string, error: unknown, isLate: boolean): ApiFailure {
  const response = (error as { response?: { statusCode?: number; body?: unknown } }).response;
  // In papi's words the request is aborted.
  if (error instanceof Error && isLate) error.message = "no answer in time";
  if (!response) return new ApiFailure(`${where}: ${describeError(error)}`, { cause: error });
  const raw = Buffer.isBuffer(response.body) ? response.body.toString() : response.body;
  const body = typeof raw === "string" ? raw : JSON.stringify(raw ?? "");
  return new ApiFailure(where, { cause: error }, { status: response.statusCode ?? 0, body });
}

/** Characters of an agent's words in a message: a proxy may answer with an HTML page. */
const MAX_WORDS = 300;

/**
 * What an agent said.
 * @param token is left out, also where the agent repeats it
 */
export function wordsOf(
  { status, body }: NonNullable<ApiFailure["answer"]>,
  token: string | undefined,
): { readonly words: string; readonly said: string } {
  const words = (token ? body.replaceAll(token, "<token>") : body).trim().slice(0, MAX_WORDS);
  return { words, said: quotation(words, MAX_WORDS) || `status ${status}` };
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

/** Where a client of papi connects. */
interface ConnectionOptions {
  readonly baseUrl: string;
  readonly agent: HttpAgent;
  readonly socketPath?: string;
}

/**
 * @param maxSockets connections at once
 * @throws UnreadableFile
 */
async function connectionOptions(address: ApiAddress, maxSockets: number): Promise<ConnectionOptions> {
  const keep = { keepAlive: true, maxSockets };
  const socketPath = /^unix:\/\/(.*)$/.exec(address.url)?.[1];
  if (socketPath !== undefined) {
    // With unix:// in baseUrl papi connects to 127.0.0.1:80.
    return { baseUrl: "http://localhost/v1", socketPath, agent: new HttpAgent(keep) };
  }
  const url = new URL(address.url);
  const baseUrl = `${url.origin}${url.pathname.replace(/\/+$/, "")}/v1`;
  // papi gives the brackets of an IPv6 literal to the resolver. Options of the HTTP agent override that.
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
  // Only here, because TLS makes every start longer.
  const { Agent: HttpsAgent } = await import("node:https");
  return { baseUrl, agent: new HttpsAgent({ ...where, ...tls }) };
}

async function readPem(path: string | undefined, what: string): Promise<string | undefined> {
  return path === undefined ? undefined : readCredential(path, what);
}
