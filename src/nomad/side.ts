import type { Catalogue } from "../catalogue/catalogue.js";
import type { CatalogueQuery } from "../catalogue/core/backend.js";
import type { ServiceInstance } from "../catalogue/core/instances.js";
import type { NomadEnvironment } from "../config/nomad.js";
import type { Logger } from "../daemon/logger.js";
import { lazily } from "../lazily.js";
import type { NomadClient, NomadServiceQuery } from "./client.js";

/** Where Nomad's HTTP API is, and how it is spoken to. */
export interface NomadApiSettings {
  /** URL; undefined: see nomadUrl. */
  readonly nomadAddr: string | undefined;
  readonly nomadNamespace: string | undefined;
  readonly nomadToken: string | undefined;
  readonly nomadTokenFile: string | undefined;
  readonly nomadCa: string | undefined;
  readonly nomadCert: string | undefined;
  readonly nomadKey: string | undefined;
  readonly nomadSkipVerify: boolean;
  readonly nomadTlsServerName: string | undefined;
  readonly nomad: Pick<NomadEnvironment, "secretsDir">;
}

/** As of Nomad's own commands. */
const DEFAULT_URL = "http://127.0.0.1:4646";

/** `--nomad-addr`, else the task API in an allocation (https://developer.hashicorp.com/nomad/api-docs/task-api), else Nomad's default. */
export function nomadUrl({ nomadAddr, nomad }: Pick<NomadApiSettings, "nomadAddr" | "nomad">): string {
  return nomadAddr ?? (nomad.secretsDir === undefined ? DEFAULT_URL : `unix://${nomad.secretsDir}/api.sock`);
}

/** The namespace of a service whose host names none. */
export function namespaceOf(
  { namespace }: { readonly namespace: string | undefined },
  { nomadNamespace }: Pick<NomadApiSettings, "nomadNamespace">,
): string {
  return namespace ?? nomadNamespace ?? "default";
}

/** What to ask Nomad for a service, as its host names it. */
export function queryOf(
  { service, namespace }: { readonly service: string; readonly namespace?: string | undefined },
  settings: Pick<NomadApiSettings, "nomadNamespace">,
): NomadServiceQuery {
  return { service, namespace: namespaceOf({ namespace }, settings) };
}

interface NomadSideOptions {
  /** Milliseconds for one call; the client's default when not given. */
  readonly timeoutMs?: number;
  /** Default true. False: the catalogue asks for each service once, and follows none. */
  readonly follow?: boolean;
}

/** What has to do with Nomad: the client and the catalogue, each loaded when it is used first. */
export class NomadSide {
  readonly #settings: NomadApiSettings;
  readonly #log: Logger;
  readonly #timeoutMs: number | undefined;
  readonly #follow: boolean;
  readonly connect = lazily(() => this.#createClient());
  /** The catalogue of services, when `catalogue` does not have it yet. Rejects when it cannot be loaded. */
  readonly openCatalogue = lazily(() => this.#startCatalogue());
  #client: NomadClient | undefined;
  #catalogue: Catalogue | undefined;
  #closed = false;

  constructor(settings: NomadApiSettings, log: Logger, { timeoutMs, follow = true }: NomadSideOptions = {}) {
    this.#settings = settings;
    this.#log = log;
    this.#timeoutMs = timeoutMs;
    this.#follow = follow;
  }

  /** The catalogue of services; undefined before its first use. */
  get catalogue(): Catalogue | undefined {
    return this.#catalogue;
  }

  /** As Catalogue.instances; a service whose host names no namespace is in the one of this allocation. Never rejects. */
  async instances(asked: CatalogueQuery, limit: number): Promise<readonly ServiceInstance[] | undefined> {
    if (this.#closed) return undefined;
    try {
      // The same service must not be followed twice.
      return await (await this.openCatalogue()).instances(queryOf(asked, this.#settings), limit);
    } catch (error) {
      this.#log.error(
        { err: error },
        "what Nomad's catalogue has is not known: its part of the program cannot be loaded",
      );
      return undefined;
    }
  }

  /** Never rejects. */
  async close(): Promise<void> {
    this.#closed = true;
    await this.#catalogue?.close();
    this.#client?.close();
  }

  async #startCatalogue(): Promise<Catalogue> {
    const [client, [{ Catalogue }, { nomadBackend }]] = await Promise.all([this.connect(), cataloguePart()]);
    // Begun before the end, and loaded after it.
    if (this.#closed) throw new Error("srv-epmd is stopping");
    this.#catalogue = new Catalogue({ backend: nomadBackend(client), log: this.#log, follow: this.#follow });
    return this.#catalogue;
  }

  async #createClient(): Promise<NomadClient> {
    const { NomadClient } = await clientPart();
    const { nomad, ...settings } = this.#settings;
    // Who gives another address and a token for it means that token.
    const hasOwnToken = settings.nomadAddr !== undefined && settings.nomadToken !== undefined;
    const isInTask = nomad.secretsDir !== undefined && !hasOwnToken;
    this.#client = new NomadClient({
      url: nomadUrl(this.#settings),
      token: settings.nomadToken,
      tokenFile: settings.nomadTokenFile,
      identityFile: isInTask ? `${nomad.secretsDir}/nomad_token` : undefined,
      ca: settings.nomadCa,
      cert: settings.nomadCert,
      key: settings.nomadKey,
      sslVerify: !settings.nomadSkipVerify,
      tlsServerName: settings.nomadTlsServerName,
      ...(this.#timeoutMs !== undefined && { timeoutMs: this.#timeoutMs }),
    });
    return this.#client;
  }
}

/** Loads all parts that are used later. Rejects when one cannot be loaded. */
export async function loadNomadSide(): Promise<void> {
  await Promise.all([clientPart(), cataloguePart()]);
}

const clientPart = () => import("./client.js");
const cataloguePart = () => Promise.all([import("../catalogue/catalogue.js"), import("./backend.js")] as const);
