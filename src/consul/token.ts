import type { Logger } from "../daemon/logger.js";
import { ConsulError, describeError } from "../errors.js";
import { MEBIBYTE, readBounded } from "../os/bounded-file.js";
import { UnreadableFile } from "./refusal.js";

export interface TokenOptions {
  readonly token?: string | undefined;
  /** Wins over `token`, as in Consul's own client; read at the first call, after a 403, and when somebody wants to know. */
  readonly tokenFile?: string | undefined;
  readonly log: Logger;
}

/**
 * The ACL token of a client. The agent remembers with which token an entry was registered, and tells the servers of it
 * with that one (https://developer.hashicorp.com/consul/docs/security/acl: "service registrations"): once it is gone they hear neither of a dead
 * node nor of a live one. So whoever registers has to know of another token, and may remove nothing with it before.
 */
export class AclToken {
  readonly #options: TokenOptions;
  readonly #listeners = new Set<() => void>();
  /** What the file was found to hold last. */
  #known: string | undefined;
  #looking: Promise<string> | undefined;

  constructor(options: TokenOptions) {
    this.#options = options;
  }

  /** Called when the file was found to hold another token, before any call is made with it. */
  onNew(listener: () => void): void {
    this.#listeners.add(listener);
  }

  /** Undefined: none is configured. @throws ConsulError when the file cannot be read */
  async read(): Promise<string | undefined> {
    const { tokenFile, token } = this.#options;
    return tokenFile === undefined ? token : (this.#known ?? this.#look(tokenFile));
  }

  /**
   * The token to try after one was refused; the same when there is no other. A token file is written anew when its token is.
   * @throws ConsulError when the file cannot be read
   */
  async afterRefusal(refused: string | undefined): Promise<string | undefined> {
    const { tokenFile } = this.#options;
    if (tokenFile === undefined) return refused;
    return this.#known === refused ? this.#look(tokenFile) : this.read();
  }

  /**
   * Looks whether the file holds another token: the old one may be good for a while yet, and nothing be refused. Never
   * rejects: as long as the file cannot be read the known one is good.
   */
  async look(): Promise<void> {
    const { tokenFile, log } = this.#options;
    if (tokenFile === undefined || this.#known === undefined) return;
    await this.#look(tokenFile).catch((error: unknown) => log.debug({ err: error }, "the token file is not read anew"));
  }

  /** All who ask in one moment share one look: of two looks the later could find the new token, and the earlier end last. */
  #look(tokenFile: string): Promise<string> {
    this.#looking ??= this.#readFile(tokenFile).finally(() => {
      this.#looking = undefined;
    });
    return this.#looking;
  }

  async #readFile(tokenFile: string): Promise<string> {
    const former = this.#known;
    const found = (await readCredential(tokenFile, "token")).toString().trim();
    // Opened for writing, and not written yet.
    if (former !== undefined && found === "") return former;
    this.#known = found;
    if (former !== undefined && found !== former) {
      this.#options.log.info(
        "the Consul token file holds another token: the entries here are registered again with it",
      );
      for (const listener of this.#listeners) listener();
    }
    return found;
  }
}

/**
 * @param what of which file the error shall speak: "token", "client key"
 * @throws ConsulError CONSUL_UNAVAILABLE, caused by UnreadableFile: the file may be there at the next try
 */
export async function readCredential(path: string, what: string): Promise<string> {
  try {
    return await readBounded(path, { limit: MEBIBYTE });
  } catch (error) {
    const message = `the ${what} file cannot be read: ${describeError(error)}`;
    throw new ConsulError("CONSUL_UNAVAILABLE", message, { cause: new UnreadableFile(message, { cause: error }) });
  }
}
