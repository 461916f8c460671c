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
  /** What the file was found to hold last. */
  #known: string | undefined;
  #looking: Promise<string> | undefined;

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
      this.#options.log.info("the Consul token file holds another token: trying that one");
      for (const listener of this.#listeners) listener();
    }
    return found;
  }
}
