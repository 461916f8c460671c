import { EventEmitter } from "node:events";
import type { ServiceInstance, ServiceMember } from "../core/catalogue.js";
import { ConsulError } from "../core/errors.js";
import type { LocalService } from "../core/mesh/second-instance.js";
import type { Sidecar } from "../core/mesh/sidecar.js";
import type { Observe } from "../core/observations.js";
import { type HeldService, ID_PREFIX, type ServiceEntry, ttlCheckId } from "../core/service-entry.js";
import { type ConsulAddress, connectionOptions } from "./connection.js";
import { refusal, unavailable } from "./refusal.js";
import { registration } from "./registration.js";
import {
  type HeldCheck,
  parseChecks,
  parseHealth,
  parseLocalServices,
  parseMembers,
  parseService,
  parseServices,
  parseSidecar,
  parseSidecars,
} from "./replies.js";
import { AclToken, type TokenOptions } from "./token.js";

export interface ConsulClientOptions extends ConsulAddress, TokenOptions {
  /** Milliseconds for one call, all of it. */
  readonly timeoutMs?: number;
  /** Told of each call's end. */
  readonly observe?: Observe;
}

export interface ServiceQuery {
  readonly service: string;
  /** Undefined: the agent's own. */
  readonly datacenter: string | undefined;
}

export interface ServiceSnapshot {
  /** Empty, too, for what the token may not read. */
  readonly instances: readonly ServiceInstance[];
  /** X-Consul-Index; 0 when there is none. */
  readonly index: number;
}

export interface SidecarSnapshot {
  /** Undefined when the agent has no such proxy. */
  readonly sidecar: Sidecar | undefined;
  /** X-Consul-ContentHash; "" when there is none. */
  readonly hash: string;
}

export interface ConsulQuestion {
  readonly method: "_get" | "_post";
  /** Below /v1. */
  readonly path: string;
  /** Stand for `{placeholders}` in the path; the package encodes them. */
  readonly params?: Readonly<Record<string, string>>;
  readonly query?: Readonly<Record<string, string>>;
  readonly body?: unknown;
}

export interface ConsulReply {
  readonly body?: unknown;
  readonly headers?: Readonly<Record<string, string | undefined>>;
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
  healthService(service: string, signal?: AbortSignal): Promise<ServiceInstance[]>;
  /** The same with what people want to know, of any datacenter. Empty, too, for what the token may not read. */
  members(query: ServiceQuery, signal?: AbortSignal): Promise<ServiceMember[]>;
  /** The instances, once they are other than at the index (0: at once), or after `wait` milliseconds and a sixteenth of it. */
  followService(query: ServiceQuery, index: number, wait: number, signal?: AbortSignal): Promise<ServiceSnapshot>;
  /** All services of the agent. */
  localServices(signal?: AbortSignal): Promise<LocalService[]>;
  /** Connect proxies that are registered with the agent. Those that the token may not read are left out without a word. */
  sidecars(signal?: AbortSignal): Promise<Sidecar[]>;
  /** One of them once its registration is another than that of the hash ("": at once), or after `wait` milliseconds and a sixteenth of it. */
  followSidecar(id: string, hash: string, wait: number, signal?: AbortSignal): Promise<SidecarSnapshot>;
  /** Any question that changes nothing, for an examination. Its reply is not looked at. */
  ask(question: ConsulQuestion, signal?: AbortSignal): Promise<ConsulReply>;
  /** Called when the token file was found to hold another token: what was refused may be allowed now. */
  onNewToken(listener: () => void): void;
  close(): void;
}

const DEFAULT_TIMEOUT_MS = 5_000;
/**
 * Connections by what they are for: one agent serves many nodes, so calls are enough to work side by side and few enough
 * not to flood it; and queries that wait for a minute must not be what a node's registration waits for.
 */
const MAX_SOCKETS = { call: 8, wait: 64 } as const;
const SERVICE_PATH = "/agent/service/{id}";
const HEALTH_PATH = "/health/service/{service}";
/** Never changes, so that a refresh reaches no server: the agent syncs a check when its status or output changes. */
const PASS_NOTE = "the VM is connected to srv-epmd";
const FAIL_NOTE = "the VM has left srv-epmd";

const CALL_RESULTS: Readonly<Record<string, string>> = {
  CONSUL_FORBIDDEN: "forbidden",
  CONSUL_UNKNOWN: "unknown",
  CONSUL_REJECTED: "rejected",
};

interface Call extends Omit<ConsulQuestion, "method"> {
  readonly method: ConsulQuestion["method"] | "_put";
  /** Milliseconds for which the agent may hold the answer back; undefined: it answers at once. */
  readonly held?: number;
}

/** The part of papi's client that the consul package inherits and that reaches what its own methods drop (weights). */
interface GenericClient {
  _get(request: object): Promise<ConsulReply>;
  _put(request: object): Promise<ConsulReply>;
  _post(request: object): Promise<ConsulReply>;
  destroy(): void;
}

export function createConsulClient(options: ConsulClientOptions): ConsulClient {
  return new Client(options);
}

class Client implements ConsulClient {
  readonly #options: ConsulClientOptions;
  readonly #generic = new Map<keyof typeof MAX_SOCKETS, Promise<GenericClient>>();
  readonly #token: AclToken;

  constructor(options: ConsulClientOptions) {
    this.#options = options;
    this.#token = new AclToken(options);
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
    const call = { method: "_get", path: SERVICE_PATH, params: { id: serviceId } } as const;
    return parseService((await this.#unlessUnknown(call, signal))?.body);
  }

  async services(signal?: AbortSignal): Promise<HeldService[]> {
    const { body } = await this.#call({ method: "_get", path: "/agent/services" }, signal);
    return parseServices(body).filter(({ id }) => id.startsWith(ID_PREFIX));
  }

  async checks(signal?: AbortSignal): Promise<HeldCheck[]> {
    const { body } = await this.#call({ method: "_get", path: "/agent/checks" }, signal);
    return parseChecks(body).filter(({ serviceId }) => serviceId.startsWith(ID_PREFIX));
  }

  async healthService(service: string, signal?: AbortSignal): Promise<ServiceInstance[]> {
    const call = { method: "_get", path: HEALTH_PATH, params: { service } } as const;
    return parseHealth((await this.#call(call, signal)).body);
  }

  async members({ service, datacenter }: ServiceQuery, signal?: AbortSignal): Promise<ServiceMember[]> {
    const query = { stale: "", ...(datacenter !== undefined && { dc: datacenter }) };
    const call = { method: "_get", path: HEALTH_PATH, params: { service }, query } as const;
    return parseMembers((await this.#call(call, signal)).body);
  }

  async followService(
    { service, datacenter }: ServiceQuery,
    index: number,
    wait: number,
    signal?: AbortSignal,
  ): Promise<ServiceSnapshot> {
    const query = {
      // As Consul's DNS: any server answers, also while there is no leader.
      stale: "",
      ...(datacenter !== undefined && { dc: datacenter }),
      ...(index > 0 && { index: String(index), wait: `${wait}ms` }),
    };
    // The agent adds up to a sixteenth of the wait, so that not all who wait come back at once.
    const held = index > 0 ? wait + wait / 16 : 0;
    const call = { method: "_get", path: HEALTH_PATH, params: { service }, query, held } as const;
    const { body, headers } = await this.#call(call, signal);
    return { instances: parseHealth(body), index: Number(headers?.["x-consul-index"] ?? 0) || 0 };
  }

  async localServices(signal?: AbortSignal): Promise<LocalService[]> {
    return parseLocalServices((await this.#call({ method: "_get", path: "/agent/services" }, signal)).body);
  }

  async sidecars(signal?: AbortSignal): Promise<Sidecar[]> {
    const query = { filter: 'Kind == "connect-proxy"' };
    return parseSidecars((await this.#call({ method: "_get", path: "/agent/services", query }, signal)).body);
  }

  async followSidecar(id: string, hash: string, wait: number, signal?: AbortSignal): Promise<SidecarSnapshot> {
    const query = hash === "" ? {} : { hash, wait: `${wait}ms` };
    const held = hash === "" ? 0 : wait + wait / 16;
    const call = { method: "_get", path: SERVICE_PATH, params: { id }, query, held } as const;
    const reply = await this.#unlessUnknown(call, signal);
    return { sidecar: parseSidecar(reply?.body), hash: reply?.headers?.["x-consul-contenthash"] ?? "" };
  }

  ask(question: ConsulQuestion, signal?: AbortSignal): Promise<ConsulReply> {
    return this.#call(question, signal);
  }

  onNewToken(listener: () => void): void {
    this.#token.onNew(listener);
  }

  close(): void {
    for (const connecting of this.#generic.values()) {
      connecting.then(
        (generic) => generic.destroy(),
        () => {},
      );
    }
    this.#generic.clear();
  }

  async #updateCheck(state: "pass" | "fail", serviceId: string, note: string, signal?: AbortSignal): Promise<void> {
    const params = { state, id: ttlCheckId(serviceId) };
    await this.#call({ method: "_put", path: "/agent/check/{state}/{id}", params, query: { note } }, signal);
  }

  async #unlessUnknown(call: Call, signal?: AbortSignal): Promise<ConsulReply | undefined> {
    try {
      return await this.#call(call, signal);
    } catch (error) {
      if (error instanceof ConsulError && error.code === "CONSUL_UNKNOWN") return undefined;
      throw error;
    }
  }

  async #call(call: Call, signal?: AbortSignal): Promise<ConsulReply> {
    const used = await this.#token.read();
    try {
      return await this.#send(call, used, signal);
    } catch (error) {
      if (!(error instanceof ConsulError) || error.code !== "CONSUL_FORBIDDEN") throw error;
      const fresh = await this.#token.afterRefusal(used);
      if (fresh === used) throw error;
      return await this.#send(call, fresh, signal);
    }
  }

  async #send(call: Call, token: string | undefined, signal?: AbortSignal): Promise<ConsulReply> {
    const generic = await this.#connect(call.held === undefined ? "call" : "wait");
    if (signal?.aborted) throw unavailable("the call was given up", signal.reason);
    // The package knows no AbortSignal; an event of this emitter ends the request.
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
        // Covers the answer's body too: without it the package waits for ever when a connection breaks in mid body.
        timeout: (call.held ?? 0) + (this.#options.timeoutMs ?? DEFAULT_TIMEOUT_MS),
      });
      observe({ type: "consul-call", result: "ok" });
      return reply;
    } catch (error) {
      const refused = this.#refusal(call, error, token);
      // What was given up here says nothing of the agent.
      if (!signal?.aborted) observe({ type: "consul-call", result: CALL_RESULTS[refused.code] ?? "unavailable" });
      throw refused;
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
    // Loaded with the first call: a daemon that publishes nothing does not pay for it.
    const [{ default: Consul }, options] = await Promise.all([
      import("consul"),
      connectionOptions(this.#options, maxSockets),
    ]);
    return new Consul(options as object) as unknown as GenericClient;
  }

  #refusal(call: Call, error: unknown, token: string | undefined): ConsulError {
    // Certificates are read with the first call: renewed ones are found after a failed handshake.
    if (/^ERR_(SSL|TLS|OSSL)|CERT|SIGNATURE|EPROTO/.test((error as NodeJS.ErrnoException).code ?? "")) this.close();
    return refusal(`${call.method.slice(1).toUpperCase()} ${this.#options.url} /v1${call.path}`, error, token);
  }
}
