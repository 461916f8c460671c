import type { ServiceInstance } from "../core/catalogue.js";
import type { Config } from "../core/config.js";
import type { Observe } from "../core/observations.js";
import type { DaemonIdentity } from "../core/publication.js";
import type { Registry } from "../core/registry.js";
import type { Logger } from "../logger.js";
import type { Catalogue } from "./catalogue.js";
import type { ConsulClient, ServiceQuery } from "./client.js";
import type { Registrar } from "./registrar.js";

export interface ConsulSideOptions {
  readonly observe?: Observe;
  /** Milliseconds for one call; the client's default when not given. */
  readonly timeoutMs?: number;
}

/** The Consul side of the daemon: registrar and catalogue with one client, each loaded only when it is used. */
export class ConsulSide {
  readonly #config: Config;
  readonly #log: Logger;
  readonly #observe: Observe | undefined;
  readonly #timeoutMs: number | undefined;
  #client: Promise<ConsulClient> | undefined;
  #registrar: Promise<Registrar | undefined> | undefined;
  #catalogue: Promise<Catalogue | undefined> | undefined;
  #closed = false;

  constructor(config: Config, log: Logger, { observe, timeoutMs }: ConsulSideOptions = {}) {
    this.#config = config;
    this.#log = log;
    this.#observe = observe;
    this.#timeoutMs = timeoutMs;
  }

  /** Publishes what is alive here from now on. Not waited for: nodes can register while this is being loaded. */
  publish(registry: Registry, { hostName, port }: Pick<DaemonIdentity, "hostName" | "port">): void {
    this.#registrar ??= this.#startRegistrar(registry, hostName, port).catch((error: unknown) => {
      this.#log.error({ err: error }, "nothing is published: the Consul side cannot be started");
      return undefined;
    });
  }

  /** What publishes; undefined as long as nothing does. Never rejects. */
  async registrar(): Promise<Registrar | undefined> {
    return this.#registrar;
  }

  /** Looks whether there is another token. Never rejects. */
  async reload(): Promise<void> {
    await (await this.#registrar)?.reload();
  }

  /** As of the catalogue. Never rejects. */
  async instances(query: ServiceQuery, limit: number): Promise<readonly ServiceInstance[] | undefined> {
    if (this.#closed) return undefined;
    this.#catalogue ??= this.#startCatalogue().catch((error: unknown) => {
      this.#log.error({ err: error }, "patterns get the nodes here only: the Consul side cannot be started");
      this.#catalogue = undefined;
      this.#client = undefined;
      return undefined;
    });
    return (await this.#catalogue)?.instances(query, limit);
  }

  /** Leaves Consul as it should be. Never rejects. */
  async stopPublishing(): Promise<void> {
    await (await this.#registrar)?.stop();
  }

  /** After stopPublishing. Never rejects. */
  async close(): Promise<void> {
    this.#closed = true;
    await (await this.#catalogue)?.close();
    (await this.#client?.catch(() => undefined))?.close();
  }

  async #startRegistrar(registry: Registry, hostName: string, port: number): Promise<Registrar> {
    const [client, { startRegistrar }, { readOwner }] = await Promise.all([
      this.connect(),
      import("./registrar.js"),
      import("./owner.js"),
    ]);
    const identity = { hostName, port, owner: await readOwner(port) };
    return startRegistrar({ registry, config: this.#config, client, identity, log: this.#log });
  }

  async #startCatalogue(): Promise<Catalogue> {
    const [client, { createCatalogue }] = await Promise.all([this.connect(), import("./catalogue.js")]);
    return createCatalogue({ client, log: this.#log });
  }

  /** The one client, for what else is asked of the agent. */
  connect(): Promise<ConsulClient> {
    this.#client ??= this.#createClient();
    return this.#client;
  }

  async #createClient(): Promise<ConsulClient> {
    const { createConsulClient } = await import("./client.js");
    const config = this.#config;
    return createConsulClient({
      url: config.consul,
      token: config.consulToken,
      tokenFile: config.consulTokenFile,
      ca: config.consulCa,
      cert: config.consulCert,
      key: config.consulKey,
      sslVerify: config.consulSslVerify,
      tlsServerName: config.consulTlsServerName,
      ...(this.#observe && { observe: this.#observe }),
      ...(this.#timeoutMs !== undefined && { timeoutMs: this.#timeoutMs }),
      log: this.#log,
    });
  }
}
