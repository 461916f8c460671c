import type { Logger } from "../logger.js";
import { readCredential } from "./credential-file.js";

export interface TokenOptions {
  readonly token?: string | undefined;
  /** Wins over `token`, as in Consul's own client; read at the first call and again after a 403. */
  readonly tokenFile?: string | undefined;
  readonly log: Logger;
}

/** The ACL token of a client. */
export class AclToken {
  readonly #options: TokenOptions;
  readonly #listeners = new Set<() => void>();
  #fromFile: string | undefined;

  constructor(options: TokenOptions) {
    this.#options = options;
  }

  /** Called when the file was found to hold another token: what was refused may be allowed now. */
  onNew(listener: () => void): void {
    this.#listeners.add(listener);
  }

  /** Undefined: none is configured. @throws ConsulError when the file cannot be read */
  async read(): Promise<string | undefined> {
    const { tokenFile, token } = this.#options;
    if (tokenFile === undefined) return token;
    this.#fromFile ??= (await readCredential(tokenFile, "token")).toString().trim();
    return this.#fromFile;
  }

  /** The token to try after one was refused; the same when there is no other. A token file is written anew when its token is. */
  async afterRefusal(refused: string | undefined): Promise<string | undefined> {
    // Several calls may have been refused in one moment: the first of them reads the file, and says so.
    const first = this.#fromFile !== undefined && this.#fromFile === refused;
    if (first) this.#fromFile = undefined;
    const fresh = await this.read().catch((error: unknown) => {
      this.#keep(first, refused);
      throw error;
    });
    // Opened for writing, and not written yet.
    if (first && fresh === "") return this.#keep(first, refused);
    if (first && fresh !== refused) {
      this.#options.log.info("the Consul token file holds another token: trying that one");
      for (const listener of this.#listeners) listener();
    }
    return fresh;
  }

  /** The file is being replaced: what it holds then is to be told as new. */
  #keep(first: boolean, refused: string | undefined): string | undefined {
    if (first) this.#fromFile = refused;
    return refused;
  }
}
