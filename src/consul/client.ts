import { EventEmitter } from "node:events";
import { readFile } from "node:fs/promises";
import { ConsulError, describeError } from "../core/errors.js";
import { type HeldService, ID_PREFIX, type ServiceEntry, ttlCheckId } from "../core/service-entry.js";
import type { Logger } from "../logger.js";
import { type ConsulAddress, connectionOptions } from "./connection.js";
import { registration } from "./registration.js";
import {
  type HealthInstance,
  type HeldCheck,
  parseChecks,
  parseHealth,
  parseService,
  parseServices,
} from "./replies.js";

/** The cause of a ConsulError when the agent did answer: its own words. */
export class AgentAnswer extends Error {}

export interface ConsulClientOptions extends ConsulAddress {
  readonly token?: string | undefined;
  /** Wins over `token`, as in Consul's own client; read at the first call and again after a 403. */
  readonly tokenFile?: string | undefined;
  /** Milliseconds for one call, all of it. */
  readonly timeoutMs?: number;
  readonly log: Logger;
}

/** Every method throws ConsulError: CONSUL_FORBIDDEN, CONSUL_UNKNOWN, CONSUL_REJECTED or CONSUL_UNAVAILABLE. */
export interface ConsulClient {
  register(entry: ServiceEntry, signal?: AbortSignal): Promise<void>;
  pass(serviceId: string, signal?: AbortSignal): Promise<void>;
  fail(serviceId: string, signal?: AbortSignal): Promise<void>;
  deregister(serviceId: string, signal?: AbortSignal): Promise<void>;
  /** Undefined when the agent has no such service. */
  service(serviceId: string, signal?: AbortSignal): Promise<HeldService | undefined>;
  /** Those with our id prefix. Services that the token may not read are left out by Consul without a word. */
  services(signal?: AbortSignal): Promise<HeldService[]>;
  /** Checks of those services. */
  checks(signal?: AbortSignal): Promise<HeldCheck[]>;
  /** All instances of a service in the datacenter. */
  healthService(service: string, signal?: AbortSignal): Promise<HealthInstance[]>;
  close(): void;
}

const DEFAULT_TIMEOUT_MS = 5_000;
/** The agent's words in our message; a proxy's HTML page is not one. */
const MAX_WORDS = 300;
/** Never changes, so that a refresh reaches no server: the agent syncs a check when its status or output changes. */
const PASS_NOTE = "the VM is connected to srv-epmd";
const FAIL_NOTE = "the VM has left srv-epmd";

interface Call {
  readonly method: "_get" | "_put";
  readonly path: string;
  /** Stand for `{placeholders}` in the path; the package encodes them. */
  readonly params?: Readonly<Record<string, string>>;
  readonly query?: Readonly<Record<string, string>>;
  readonly body?: unknown;
}

/** The part of papi's client that the consul package inherits and that reaches what its own methods drop (weights). */
interface GenericClient {
  _get(request: object): Promise<{ readonly body?: unknown }>;
  _put(request: object): Promise<{ readonly body?: unknown }>;
  destroy(): void;
}

export function createConsulClient(options: ConsulClientOptions): ConsulClient {
  return new Client(options);
}

class Client implements ConsulClient {
  readonly #options: ConsulClientOptions;
  #generic: Promise<GenericClient> | undefined;
  #token: string | undefined;

  constructor(options: ConsulClientOptions) {
    this.#options = options;
  }

  async register(entry: ServiceEntry, signal?: AbortSignal): Promise<void> {
    // Without replace-existing-checks a TCP check that is wanted no more would stay (checks of one id are merged).
    const query = { "replace-existing-checks": "true" };
    await this.#call({ method: "_put", path: "/agent/service/register", query, body: registration(entry) }, signal);
  }

  async pass(serviceId: string, signal?: AbortSignal): Promise<void> {
    await this.#updateCheck("pass", serviceId, PASS_NOTE, signal);
  }

  async fail(serviceId: string, signal?: AbortSignal): Promise<void> {
    await this.#updateCheck("fail", serviceId, FAIL_NOTE, signal);
  }

  async deregister(serviceId: string, signal?: AbortSignal): Promise<void> {
    await this.#call({ method: "_put", path: "/agent/service/deregister/{id}", params: { id: serviceId } }, signal);
  }

  async service(serviceId: string, signal?: AbortSignal): Promise<HeldService | undefined> {
    try {
      const call = { method: "_get", path: "/agent/service/{id}", params: { id: serviceId } } as const;
      return parseService(await this.#call(call, signal));
    } catch (error) {
      if (error instanceof ConsulError && error.code === "CONSUL_UNKNOWN") return undefined;
      throw error;
    }
  }

  async services(signal?: AbortSignal): Promise<HeldService[]> {
    const services = parseServices(await this.#call({ method: "_get", path: "/agent/services" }, signal));
    return services.filter(({ id }) => id.startsWith(ID_PREFIX));
  }

  async checks(signal?: AbortSignal): Promise<HeldCheck[]> {
    const checks = parseChecks(await this.#call({ method: "_get", path: "/agent/checks" }, signal));
    return checks.filter(({ serviceId }) => serviceId.startsWith(ID_PREFIX));
  }

  async healthService(service: string, signal?: AbortSignal): Promise<HealthInstance[]> {
    const call = { method: "_get", path: "/health/service/{service}", params: { service } } as const;
    return parseHealth(await this.#call(call, signal));
  }

  close(): void {
    this.#generic?.then(
      (generic) => generic.destroy(),
      () => {},
    );
    this.#generic = undefined;
  }

  async #updateCheck(state: "pass" | "fail", serviceId: string, note: string, signal?: AbortSignal): Promise<void> {
    const params = { state, id: ttlCheckId(serviceId) };
    await this.#call({ method: "_put", path: "/agent/check/{state}/{id}", params, query: { note } }, signal);
  }

  async #call(call: Call, signal?: AbortSignal): Promise<unknown> {
    const used = await this.#readToken();
    try {
      return await this.#send(call, used, signal);
    } catch (error) {
      if (!(error instanceof ConsulError) || error.code !== "CONSUL_FORBIDDEN") throw error;
      // A token file is written anew when its token is: what was refused may be allowed by now.
      if (this.#token === used) this.#token = undefined;
      const fresh = await this.#readToken();
      if (fresh === used) throw error;
      this.#options.log.info("the Consul token file holds another token: trying that one");
      return await this.#send(call, fresh, signal);
    }
  }

  async #readToken(): Promise<string | undefined> {
    const { tokenFile, token } = this.#options;
    if (tokenFile === undefined) return token;
    try {
      this.#token ??= (await readFile(tokenFile, "utf8")).trim();
    } catch (error) {
      throw unavailable(`the token file cannot be read: ${describeError(error)}`, error);
    }
    return this.#token;
  }

  async #send(call: Call, token: string | undefined, signal?: AbortSignal): Promise<unknown> {
    const generic = await this.#connect();
    if (signal?.aborted) throw unavailable("the call was given up", signal.reason);
    // The package knows no AbortSignal; an event of this emitter ends the request.
    const ctx = new EventEmitter();
    const cancel = () => ctx.emit("cancel");
    signal?.addEventListener("abort", cancel, { once: true });
    try {
      const response = await generic[call.method]({
        ctx,
        path: call.path,
        params: { ...call.params },
        query: { ...call.query },
        ...(call.body !== undefined && { body: call.body }),
        headers: token === undefined || token === "" ? {} : { "x-consul-token": token },
        // Covers the answer's body too: without it the package waits for ever when a connection breaks in mid body.
        timeout: this.#options.timeoutMs ?? DEFAULT_TIMEOUT_MS,
      });
      return response.body;
    } catch (error) {
      throw this.#refusal(call, error, token);
    } finally {
      signal?.removeEventListener("abort", cancel);
    }
  }

  #connect(): Promise<GenericClient> {
    if (!this.#generic) {
      const connecting = this.#open();
      this.#generic = connecting;
      connecting.catch(() => {
        if (this.#generic === connecting) this.#generic = undefined;
      });
    }
    return this.#generic;
  }

  async #open(): Promise<GenericClient> {
    // Loaded with the first call: a daemon that publishes nothing does not pay for it.
    const [{ default: Consul }, options] = await Promise.all([import("consul"), connectionOptions(this.#options)]);
    return new Consul(options as object) as unknown as GenericClient;
  }

  #refusal(call: Call, error: unknown, token: string | undefined): ConsulError {
    const where = `${call.method === "_get" ? "GET" : "PUT"} ${this.#options.url} /v1${call.path}`;
    const response = (error as { response?: { statusCode?: number; body?: unknown } }).response;
    if (!response) {
      // Certificates are read with the first call: renewed ones are found after a failed handshake.
      if (/^ERR_(SSL|TLS|OSSL)|CERT|SIGNATURE|EPROTO/.test((error as NodeJS.ErrnoException).code ?? "")) this.close();
      return unavailable(`${where}: ${describeError(error)}`, error);
    }
    const status = response.statusCode ?? 0;
    const raw = Buffer.isBuffer(response.body) ? response.body.toString() : response.body;
    const body = typeof raw === "string" ? raw : JSON.stringify(raw ?? "");
    const words = (token ? body.replaceAll(token, "<token>") : body).trim().slice(0, MAX_WORDS);
    const said = words === "" ? `status ${status}` : words;
    return new ConsulError(codeOf(status, words), `${where}: ${said} (${status})`, { cause: new AgentAnswer(said) });
  }
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

function unavailable(message: string, cause: unknown): ConsulError {
  return new ConsulError("CONSUL_UNAVAILABLE", message, { cause });
}
