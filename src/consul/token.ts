import { readCredential } from "../api/credential.js";
import type { Logger } from "../daemon/logger.js";
import { ConsulError, describeError } from "../errors.js";

export interface TokenOptions {
  readonly token?: string | undefined;
  /** Takes precedence over `token`, as in Consul's own client. Read at the first call, after a 403, and by look(). */
  readonly tokenFile?: string | undefined;
  readonly log: Logger;
}

/**
 * The ACL token of a client. The agent remembers the token with which an entry was registered, and tells the servers of
 * the entry with that one (https://developer.hashicorp.com/consul/docs/security/acl: "service registrations"). After it
 * is deleted they no longer learn of any change. So entries have to be registered again with another
 * token, and none may be removed before that.
 */
export class AclToken {
  readonly #options: TokenOptions;
  readonly #listeners = new Set<() => void>();
  /** The token in the file when it was read last. */
  #known: string | undefined;
  #looking: Promise<string> | undefined;

  constructor(options: TokenOptions) {
    this.#options = options;
  }

  /** @param listener called when the file holds another token, before any call is made with it */
  onNew(listener: () => void): void {
    this.#listeners.add(listener);
  }

  /** The token to call with; undefined: none is configured. @throws ConsulError when the file cannot be read */
  async read(): Promise<string | undefined> {
    const { tokenFile, token } = this.#options;
    return tokenFile === undefined ? token : (this.#known ?? this.#look(tokenFile));
  }

  /**
   * The token to try after one was refused: that of the file now, which may be the same.
   * @throws ConsulError when the file cannot be read
   */
  async afterRefusal(refused: string | undefined): Promise<string | undefined> {
    const { tokenFile } = this.#options;
    if (tokenFile === undefined) return refused;
    return this.#known === refused ? this.#look(tokenFile) : this.read();
  }

  /**
   * Reads the file again, while the former token may still be valid and nothing is refused. Never rejects: while the file
   * cannot be read, the known token stays in use.
   */
  async look(): Promise<void> {
    const { tokenFile, log } = this.#options;
    if (tokenFile === undefined || this.#known === undefined) return;
    await this.#look(tokenFile).catch((error: unknown) =>
      log.debug({ err: error }, "the token file cannot be read: the known token stays in use"),
    );
  }

  /** Concurrent calls share one read: of two, the later could find the new token, and the earlier end last. */
  #look(tokenFile: string): Promise<string> {
    this.#looking ??= this.#readFile(tokenFile).finally(() => {
      this.#looking = undefined;
    });
    return this.#looking;
  }

  async #readFile(tokenFile: string): Promise<string> {
    const former = this.#known;
    const found = (await readTokenFile(tokenFile)).trim();
    // The file was opened for writing and is not written yet.
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

/** @throws ConsulError CONSUL_UNAVAILABLE, caused by UnreadableFile: the file may be there at the next try */
async function readTokenFile(path: string): Promise<string> {
  try {
    return await readCredential(path, "token");
  } catch (error) {
    throw new ConsulError("CONSUL_UNAVAILABLE", describeError(error), { cause: error });
  }
}
