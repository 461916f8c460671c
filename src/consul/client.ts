import { longestHold } from "../api/connection.js";
import type { CatalogueSnapshot } from "../catalogue/core/backend.js";
import type { ServiceInstance, ServiceMember } from "../catalogue/core/instances.js";
import type { Authorization, Leaf, Roots, Told } from "../connect/core/credentials.js";
import { ConsulError } from "../errors.js";
import type { LocalService, Sidecar } from "../mesh/core/upstreams.js";
import {
  type HeldCheck,
  type HeldService,
  ID_PREFIX,
  LEFT_NOTE,
  type ServiceEntry,
  tcpCheckId,
  ttlCheckId,
} from "../publish/core/service-entry.js";
import { aclApi } from "./acl-api.js";
import { checksFilter, checksOfFilter, entriesFilter, namedFilter, type Whose } from "./core/filters.js";
import type { Servers } from "./core/servers.js";
import { Login } from "./login.js";
import {
  parseAuthorization,
  parseChecks,
  parseHealth,
  parseLeaf,
  parseLocalServices,
  parseMembers,
  parseRoots,
  parseService,
  parseServices,
  parseSidecar,
  parseSidecars,
  registration,
} from "./replies.js";
import { fixedToken, type TokenOptions, type TokenSource, tokenInFile } from "./token.js";
import { type ConsulCall, type ConsulReply, ConsulTransport, type TransportOptions } from "./transport.js";

export { loadLibrary } from "./transport.js";

export interface ServiceQuery {
  readonly service: string;
  /** Undefined: the agent's own. */
  readonly datacenter: string | undefined;
}

export interface ClientOptions extends TransportOptions, TokenOptions {}

interface SidecarSnapshot {
  /** Undefined when the agent has no such proxy. */
  readonly sidecar: Sidecar | undefined;
  /** X-Consul-ContentHash; "" when there is none. */
  readonly hash: string;
}

/** A call that changes nothing and is answered at once. */
interface ConsulQuestion extends Omit<ConsulCall, "longestWait"> {
  readonly method: "_get" | "_post";
}

const SERVICE_PATH = "/agent/service/{id}";
const HEALTH_PATH = "/health/service/{service}";
/** Constant: the agent tells the servers of a check only when its status or output changes. */
const PASS_NOTE = "the VM is connected to srv-epmd";

/**
 * The agent's API as far as srv-epmd uses it. Every call throws ConsulError: CONSUL_FORBIDDEN, CONSUL_UNKNOWN (the agent
 * has no such service or check), CONSUL_REJECTED or CONSUL_UNAVAILABLE.
 */
export class ConsulClient {
  readonly #transport: ConsulTransport;

  constructor(options: ClientOptions) {
    this.#transport = new ConsulTransport(options, (transport) => tokenSource(options, transport));
  }

  /** Whether Consul's servers answer, as the calls so far have shown. */
  get servers(): Pick<Servers, "trouble" | "answeredAt"> {
    return this.#transport.servers;
  }

  /** Checks of the service that are not in the entry stay: maintenance mode is one. */
  async register(entry: ServiceEntry, signal?: AbortSignal): Promise<void> {
    // Not replace-existing-checks: that would remove the check by which a service is in maintenance mode (Consul 1.8).
    await this.#transport.call({ method: "_put", path: "/agent/service/register", body: registration(entry) }, signal);
  }

  /** Removes the TCP check of an entry; no error when there is none. */
  async dropTcpCheck(serviceId: string, signal?: AbortSignal): Promise<void> {
    const params = { id: tcpCheckId(serviceId) };
    await this.#unlessUnknown({ method: "_put", path: "/agent/check/deregister/{id}", params }, signal);
  }

  async pass(serviceId: string, signal?: AbortSignal): Promise<void> {
    await this.#updateCheck("pass", serviceId, PASS_NOTE, signal);
  }

  async fail(serviceId: string, signal?: AbortSignal): Promise<void> {
    await this.#updateCheck("fail", serviceId, LEFT_NOTE, signal);
  }

  /** Is not tried again with another token after a refusal: see AclToken. */
  async deregister(serviceId: string, signal?: AbortSignal): Promise<void> {
    await this.#transport.call(
      { method: "_put", path: "/agent/service/deregister/{id}", params: { id: serviceId }, oneToken: true },
      signal,
    );
  }

  /** Undefined when the agent has no such service. */
  async service(serviceId: string, signal?: AbortSignal): Promise<HeldService | undefined> {
    const call = { method: "_get", path: SERVICE_PATH, params: { id: serviceId } } as const;
    return parseService((await this.#unlessUnknown(call, signal))?.body);
  }

  /**
   * The services with our id prefix. Consul leaves out those that the token may not read, without an error.
   * @param whose only these are asked for; others may be listed, too
   */
  async services(signal?: AbortSignal, whose?: Whose): Promise<HeldService[]> {
    const query = whose && { filter: entriesFilter(whose) };
    const call = { method: "_get", path: "/agent/services", ...(query && { query }) } as const;
    const { body } = await this.#transport.call(call, signal);
    return parseServices(body).filter(({ id }) => id.startsWith(ID_PREFIX));
  }

  /**
   * The checks of those services, and those of the machine as far as the token may read them.
   * @param whose only the checks of these are asked for, and all that are critical; others may be listed, too
   */
  async checks(signal?: AbortSignal, whose?: Pick<Whose, "instance">): Promise<HeldCheck[]> {
    return this.#checks(whose ? { query: { filter: checksFilter(whose) } } : {}, signal);
  }

  /** The checks of one of those services. A list of all would cost the agent as much as all its entries. */
  async checksOf(serviceId: string, signal?: AbortSignal): Promise<HeldCheck[]> {
    return this.#checks({ query: { filter: checksOfFilter(serviceId) } }, signal);
  }

  async #checks(only: Pick<ConsulCall, "query">, signal: AbortSignal | undefined): Promise<HeldCheck[]> {
    const { body } = await this.#transport.call({ method: "_get", path: "/agent/checks", ...only }, signal);
    return parseChecks(body).filter(({ serviceId }) => serviceId === "" || serviceId.startsWith(ID_PREFIX));
  }

  /** All instances of a service in the agent's datacenter. */
  async healthService(service: string, signal?: AbortSignal): Promise<ServiceInstance[]> {
    const call = { method: "_get", path: HEALTH_PATH, params: { service } } as const;
    return parseHealth((await this.#transport.call(call, signal)).body);
  }

  /**
   * The instances of a service in any datacenter, with their machines. Empty, too, for what the token may not read.
   * @param aliveNames only the nodes of these names are asked for; others may be listed, too
   */
  async members(
    { service, datacenter }: ServiceQuery,
    signal?: AbortSignal,
    aliveNames?: ReadonlySet<string>,
  ): Promise<ServiceMember[]> {
    const filter = aliveNames && namedFilter(aliveNames);
    const query = {
      stale: "",
      ...(datacenter !== undefined && { dc: datacenter }),
      ...(filter !== undefined && { filter }),
    };
    const call = { method: "_get", path: HEALTH_PATH, params: { service }, query } as const;
    return parseMembers((await this.#transport.call(call, signal)).body);
  }

  /**
   * The instances of a service, by a blocking query.
   * @param index of the last answer; 0: answered at once
   * @param wait milliseconds, to which the agent adds a sixteenth at most
   */
  async followService(
    { service, datacenter }: ServiceQuery,
    index: number,
    wait: number,
    signal?: AbortSignal,
  ): Promise<CatalogueSnapshot> {
    const query = {
      // As in Consul's DNS: any server answers, also while there is no leader.
      stale: "",
      ...(datacenter !== undefined && { dc: datacenter }),
      ...(index > 0 && { index: String(index), wait: `${wait}ms` }),
    };
    const longestWait = index > 0 ? longestHold(wait) : 0;
    const call = { method: "_get", path: HEALTH_PATH, params: { service }, query, longestWait } as const;
    const { body, headers } = await this.#transport.call(call, signal);
    return {
      instances: parseHealth(body),
      index: Number(headers?.["x-consul-index"] ?? 0) || 0,
      hasLeader: headers?.["x-consul-knownleader"] !== "false",
    };
  }

  /** All services of the agent. */
  async localServices(signal?: AbortSignal): Promise<LocalService[]> {
    return parseLocalServices((await this.#transport.call({ method: "_get", path: "/agent/services" }, signal)).body);
  }

  /** The Connect proxies of the agent. Consul leaves out those that the token may not read, without an error. */
  async sidecars(signal?: AbortSignal): Promise<Sidecar[]> {
    const query = { filter: 'Kind == "connect-proxy"' };
    return parseSidecars((await this.#transport.call({ method: "_get", path: "/agent/services", query }, signal)).body);
  }

  /**
   * One Connect proxy, by a blocking query.
   * @param hash of the last answer; "": answered at once
   * @param wait milliseconds, to which the agent adds a sixteenth at most
   */
  async followSidecar(id: string, hash: string, wait: number, signal?: AbortSignal): Promise<SidecarSnapshot> {
    const query = hash === "" ? {} : { hash, wait: `${wait}ms` };
    const longestWait = hash === "" ? 0 : longestHold(wait);
    const call = { method: "_get", path: SERVICE_PATH, params: { id }, query, longestWait } as const;
    const reply = await this.#unlessUnknown(call, signal);
    return { sidecar: parseSidecar(reply?.body), hash: reply?.headers?.["x-consul-contenthash"] ?? "" };
  }

  /**
   * The certificate of a service in Connect, with its key, by a blocking query.
   * @param index of the last answer; 0: answered at once
   * @param wait milliseconds, to which the agent adds a sixteenth at most
   */
  async leaf(service: string, index: number, wait: number, signal?: AbortSignal): Promise<Told<Leaf>> {
    return this.#blocking(
      { path: "/agent/connect/ca/leaf/{service}", params: { service } },
      index,
      wait,
      parseLeaf,
      signal,
    );
  }

  /** The certificates of Connect's CA, by a blocking query. */
  async roots(index: number, wait: number, signal?: AbortSignal): Promise<Told<Roots>> {
    return this.#blocking({ path: "/agent/connect/ca/roots" }, index, wait, parseRoots, signal);
  }

  /** Whether intentions let a caller into a service. @param caller URI and serial number of its certificate */
  async authorize(
    service: string,
    caller: { readonly uri: string; readonly serial: string },
    signal?: AbortSignal,
  ): Promise<Authorization> {
    const body = { Target: service, ClientCertURI: caller.uri, ClientCertSerial: caller.serial };
    const call = { method: "_post", path: "/agent/connect/authorize", body } as const;
    return parseAuthorization((await this.#transport.call(call, signal)).body);
  }

  /** Which server leads. Every agent answers this, whatever the token, when a server answers it. The reply is not parsed. */
  leader(signal?: AbortSignal): Promise<ConsulReply> {
    return this.ask({ method: "_get", path: "/status/leader" }, signal);
  }

  /** A question whose reply is not parsed. */
  ask(question: ConsulQuestion, signal?: AbortSignal): Promise<ConsulReply> {
    return this.#transport.call(question, signal);
  }

  /** The token in use, which the first call looks for; undefined: none is needed. @throws ConsulError when there is none to use */
  token(signal?: AbortSignal): Promise<string | undefined> {
    return this.#transport.token.read(signal);
  }

  /** @param listener called when there is another token, before a call is made with it; see AclToken.onNew */
  onNewToken(listener: () => void): void {
    this.#transport.token.onNew(listener);
  }

  /** Finds out whether there is another token. Never rejects. @param signal ends it */
  lookForToken(need?: "look" | "reload", signal?: AbortSignal): Promise<void> {
    return this.#transport.token.look(need, signal);
  }

  /** All entries are registered with the token in use: those before it are logged out. */
  releaseTokens(): void {
    this.#transport.token.release();
  }

  /**
   * Logs out. Never rejects; takes less than a second.
   * @param keepsToken entries stay at the agent that were registered with the token, so it has to stay too
   */
  async close(keepsToken = false): Promise<void> {
    await this.#transport.token.close(keepsToken);
    this.#transport.close();
  }

  async #blocking<T>(
    asked: Pick<ConsulCall, "path" | "params">,
    index: number,
    wait: number,
    parse: (body: unknown) => T,
    signal: AbortSignal | undefined,
  ): Promise<Told<T>> {
    const query = index > 0 ? { index: String(index), wait: `${wait}ms` } : {};
    const longestWait = index > 0 ? longestHold(wait) : 0;
    const { body, headers } = await this.#transport.call({ method: "_get", ...asked, query, longestWait }, signal);
    return { value: parse(body), index: Number(headers?.["x-consul-index"] ?? 0) || 0 };
  }

  async #updateCheck(state: "pass" | "fail", serviceId: string, note: string, signal?: AbortSignal): Promise<void> {
    const params = { state, id: ttlCheckId(serviceId) };
    await this.#transport.call({ method: "_put", path: "/agent/check/{state}/{id}", params, query: { note } }, signal);
  }

  async #unlessUnknown(call: ConsulCall, signal?: AbortSignal): Promise<ConsulReply | undefined> {
    try {
      return await this.#transport.call(call, signal);
    } catch (error) {
      if (error instanceof ConsulError && error.code === "CONSUL_UNKNOWN") return undefined;
      throw error;
    }
  }
}

function tokenSource({ token, tokenFile, login, log }: ClientOptions, transport: ConsulTransport): TokenSource {
  if (login) return new Login({ ...login, api: aclApi(transport), log });
  return tokenFile === undefined ? fixedToken(token) : tokenInFile(tokenFile, log);
}
