import type { NomadEnvironment } from "../config/nomad.js";
import { lazily } from "../daemon/lazily.js";
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

export type { NomadServiceQuery };

/** The client of Nomad's API, loaded when it is used first. */
export class NomadSide {
  readonly #settings: NomadApiSettings;
  readonly #timeoutMs: number | undefined;
  readonly connect = lazily(() => this.#createClient());
  #client: NomadClient | undefined;

  /** @param timeoutMs for one call; the client's default when not given */
  constructor(settings: NomadApiSettings, { timeoutMs }: { readonly timeoutMs?: number } = {}) {
    this.#settings = settings;
    this.#timeoutMs = timeoutMs;
  }

  close(): void {
    this.#client?.close();
  }

  async #createClient(): Promise<NomadClient> {
    const { NomadClient } = await clientPart();
    const { nomad, ...settings } = this.#settings;
    this.#client = new NomadClient({
      url: nomadUrl(this.#settings),
      token: settings.nomadToken,
      tokenFile: settings.nomadTokenFile,
      identityFile: nomad.secretsDir === undefined ? undefined : `${nomad.secretsDir}/nomad_token`,
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

const clientPart = () => import("./client.js");

/** Loads the parts that are used later. Rejects when one cannot be loaded. */
export async function loadNomadSide(): Promise<void> {
  await clientPart();
}
