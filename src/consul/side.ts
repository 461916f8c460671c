import { setTimeout as sleep } from "node:timers/promises";
import type { Catalogue } from "../catalogue/catalogue.js";
import type { CatalogueQuery } from "../catalogue/core/backend.js";
import type { ServiceInstance } from "../catalogue/core/instances.js";
import type { Observe } from "../daemon/core/observations.js";
import type { Logger } from "../daemon/logger.js";
import type { Registry } from "../epmd/core/registry.js";
import { lazily } from "../lazily.js";
import type { DaemonIdentity } from "../publish/core/publication.js";
import type { Registrar, RegistrarSettings } from "../publish/registrar.js";
import type { ConsulClient } from "./client.js";
import type { LoginSettings } from "./token.js";

/** Where the agent is, and how it is spoken to. */
export interface AgentSettings {
  /** URL. */
  readonly consul: string;
  readonly consulToken: string | undefined;
  readonly consulTokenFile: string | undefined;
  /** Name of the auth method to log in with; undefined: no login. */
  readonly consulAuthMethod: string | undefined;
  readonly consulBearerTokenFile: string | undefined;
  readonly consulCa: string | undefined;
  readonly consulCert: string | undefined;
  readonly consulKey: string | undefined;
  readonly consulSslVerify: boolean;
  readonly consulTlsServerName: string | undefined;
}

interface ConsulSideOptions {
  readonly observe?: Observe;
  /** Milliseconds for one call; the client's default when not given. */
  readonly timeoutMs?: number;
  /** Default true. False: the catalogue asks for each service once, and follows none. */
  readonly follow?: boolean;
}

/** Between two attempts to start the registrar, milliseconds. */
const FIRST_DELAY = 1_000;
const LONGEST_DELAY = 30_000;

/** The daemon's part for Consul: registrar and catalogue with one client, each loaded when it is used first. */
export class ConsulSide {
  readonly #agent: AgentSettings;
  readonly #log: Logger;
  readonly #observe: Observe | undefined;
  readonly #timeoutMs: number | undefined;
  readonly #follow: boolean;
  /** The client, for other questions to the agent. */
  readonly connect = lazily(() => this.#createClient());
  /** The catalogue of services, when `catalogue` does not have it yet. Rejects when it cannot be loaded. */
  readonly openCatalogue = lazily(() => this.#startCatalogue());
  readonly #closing = new AbortController();
  #client: ConsulClient | undefined;
  #catalogue: Catalogue | undefined;
  #registrar: Promise<Registrar | undefined> | undefined;
  /** Entries stay at the agent, which needs the token of their registration. */
  #keepsToken = false;

  constructor(agent: AgentSettings, log: Logger, { observe, timeoutMs, follow = true }: ConsulSideOptions = {}) {
    this.#agent = agent;
    this.#log = log;
    this.#observe = observe;
    this.#timeoutMs = timeoutMs;
    this.#follow = follow;
  }

  /** Publishes the nodes alive here from now on. Returns at once: nodes can register while the registrar is being loaded. */
  publish(registry: Registry, settings: RegistrarSettings, place: Pick<DaemonIdentity, "hostName" | "port">): void {
    this.#registrar ??= this.#startAtLast(() => this.#startRegistrar(registry, settings, place));
  }

  /** As Registrar.use, as soon as the registrar is loaded. To be called after `publish`. */
  use(settings: RegistrarSettings): void {
    void this.#registrar?.then((registrar) => registrar?.use(settings));
  }

  /** Undefined while nothing is published. Never rejects. */
  async registrar(): Promise<Registrar | undefined> {
    return this.#registrar;
  }

  /** Reads the token file again, or logs in again. Never rejects. */
  async reload(): Promise<void> {
    await this.#client?.lookForToken("reload");
  }

  /** The catalogue of services; undefined before its first use. */
  get catalogue(): Catalogue | undefined {
    return this.#catalogue;
  }

  /** As Catalogue.instances. Never rejects. */
  async instances(query: CatalogueQuery, limit: number): Promise<readonly ServiceInstance[] | undefined> {
    if (this.#closing.signal.aborted) return undefined;
    try {
      return (await this.openCatalogue()).instances(query, limit);
    } catch (error) {
      this.#log.error({ err: error }, "patterns get the nodes here only: the Consul side cannot be started");
      return undefined;
    }
  }

  /** Ends the publication; see Registrar.stop. Never rejects. */
  async stopPublishing(): Promise<void> {
    this.#closing.abort();
    const registrar = await this.#registrar;
    await registrar?.stop();
    this.#keepsToken = registrar?.hasEntries ?? false;
  }

  /** Logs out, unless entries stay. To be called after stopPublishing. Never rejects. */
  async close(): Promise<void> {
    this.#closing.abort();
    await this.#catalogue?.close();
    await this.#client?.close(this.#keepsToken);
  }

  /** Tries until the registrar is started: without it no node is published. Undefined: the daemon stops before that. */
  async #startAtLast(start: () => Promise<Registrar>): Promise<Registrar | undefined> {
    const { signal } = this.#closing;
    for (let delay = FIRST_DELAY; !signal.aborted; delay = Math.min(2 * delay, LONGEST_DELAY)) {
      try {
        return await start();
      } catch (error) {
        this.#log.error({ err: error, retryMs: delay }, "nothing is published: the Consul side cannot be started");
      }
      await sleep(delay, undefined, { signal }).catch(() => {});
    }
    return undefined;
  }

  async #startRegistrar(
    registry: Registry,
    settings: RegistrarSettings,
    place: Pick<DaemonIdentity, "hostName" | "port">,
  ): Promise<Registrar> {
    const [client, [{ Registrar }, { readOwner }]] = await Promise.all([this.connect(), registrarParts()]);
    const identity = { ...place, owner: await readOwner(place.port) };
    return new Registrar({ registry, settings, client, identity, log: this.#log });
  }

  async #startCatalogue(): Promise<Catalogue> {
    const [client, [{ Catalogue }, { consulBackend }]] = await Promise.all([
      this.connect(),
      cataloguePart(),
      // Before a look-up counts how long it waits for the first answer.
      clientPart().then(({ loadLibrary }) => loadLibrary()),
    ]);
    // Begun before the end, and loaded after it.
    if (this.#closing.signal.aborted) throw new Error("srv-epmd is stopping");
    this.#catalogue = new Catalogue({ backend: consulBackend(client), log: this.#log, follow: this.#follow });
    return this.#catalogue;
  }

  async #createClient(): Promise<ConsulClient> {
    const { ConsulClient } = await clientPart();
    const agent = this.#agent;
    this.#client = new ConsulClient({
      url: agent.consul,
      token: agent.consulToken,
      tokenFile: agent.consulTokenFile,
      login: loginOf(agent),
      ca: agent.consulCa,
      cert: agent.consulCert,
      key: agent.consulKey,
      sslVerify: agent.consulSslVerify,
      tlsServerName: agent.consulTlsServerName,
      ...(this.#observe && { observe: this.#observe }),
      ...(this.#timeoutMs !== undefined && { timeoutMs: this.#timeoutMs }),
      log: this.#log,
    });
    return this.#client;
  }
}

function loginOf({ consulAuthMethod, consulBearerTokenFile }: AgentSettings): LoginSettings | undefined {
  if (consulAuthMethod === undefined || consulBearerTokenFile === undefined) return undefined;
  return { authMethod: consulAuthMethod, bearerTokenFile: consulBearerTokenFile };
}

/** Loads all parts that are used later. Rejects when one cannot be loaded. */
export async function loadConsulSide(): Promise<void> {
  const [{ loadLibrary }] = await Promise.all([clientPart(), cataloguePart(), registrarParts()]);
  await loadLibrary();
}

const clientPart = () => import("./client.js");
const cataloguePart = () => Promise.all([import("../catalogue/catalogue.js"), import("./backend.js")] as const);
const registrarParts = () =>
  Promise.all([import("../publish/registrar.js"), import("../publish/ownership.js")] as const);
