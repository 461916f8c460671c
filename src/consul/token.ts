import { readCredential as readBoundedSecret } from "../api/credential.js";
import type { Logger } from "../daemon/logger.js";
import { ConsulError, describeError } from "../errors.js";

/** How srv-epmd logs in to Consul. */
export interface LoginSettings {
  /** Name of an auth method in Consul. */
  readonly authMethod: string;
  /** Path of a file with a JWT, read at each login. */
  readonly bearerTokenFile: string;
}

/** Where the token comes from. */
export interface TokenOptions {
  readonly token?: string | undefined;
  /** Takes precedence over `token`, as in Consul's own client. Read at the first call, after a 403, and by look(). */
  readonly tokenFile?: string | undefined;
  /** Takes precedence over both. */
  readonly login?: LoginSettings | undefined;
}

/**
 * Why a source is asked for the token.
 * - `none`: there is none yet.
 * - `unknown`: Consul does not know the one in use: it was deleted or has expired.
 * - `denied`: the one in use lacks a right.
 * - `look`: nothing was refused. There may be another one all the same, or the one in use may have been deleted.
 * - `due`: the time that the source itself gave has come.
 * - `reload`: SIGHUP.
 */
export type TokenNeed = "none" | "unknown" | "denied" | "look" | "due" | "reload";

/** Where the token of a client comes from: it is fixed, or in a file, or given by a login. */
export interface TokenSource {
  /**
   * The token to use from now on; never called twice at a time.
   * @param known the one in use
   * @returns the same one when there is no other; undefined: none is configured
   * @throws ConsulError when there is none to use
   */
  next(known: string | undefined, need: TokenNeed): Promise<string | undefined>;
  /** Milliseconds until it wants to be asked; undefined: it does not. */
  readonly dueIn?: number | undefined;
  /** No entry depends any more on the tokens before the one in use. */
  release?(): void;
  /** @param keeps whether entries stay at the agent that depend on its tokens. Never rejects */
  close?(keeps: boolean): Promise<void>;
}

/** The same token as long as the process runs, or none. */
export function fixedToken(token: string | undefined): TokenSource {
  return { next: async () => token };
}

/** The token that a file holds. */
export function tokenInFile(path: string, log: Logger): TokenSource {
  return {
    next: async (known) => {
      const found = (await readCredential(path, "token")).trim();
      // The file was opened for writing and is not written yet.
      if (known !== undefined && found === "") return known;
      if (known !== undefined && found !== known) {
        log.info("the Consul token file holds another token: the entries here are registered again with it");
      }
      return found;
    },
  };
}

/**
 * The ACL token of a client. The agent remembers the token with which an entry was registered, and tells the servers of
 * the entry with that one (https://developer.hashicorp.com/consul/docs/security/acl: "service registrations"). After it
 * is deleted they no longer learn of any change. So entries have to be registered again with another
 * token, and none may be removed before that.
 */
export class AclToken {
  readonly #source: TokenSource;
  readonly #log: Logger;
  readonly #listeners = new Set<() => void>();
  #known: string | undefined;
  #asking: Promise<string | undefined> | undefined;
  #timer: NodeJS.Timeout | undefined;
  #closed = false;

  constructor(source: TokenSource, log: Logger) {
    this.#source = source;
    this.#log = log;
  }

  /**
   * @param listener called when there is another token, before any call is made with it. Whoever listens says with
   *   release() when the former one is not needed any more
   */
  onNew(listener: () => void): void {
    this.#listeners.add(listener);
  }

  /**
   * The token to call with; undefined: none is configured.
   * @param signal gives up waiting for it
   * @throws ConsulError when there is none to use
   */
  async read(signal?: AbortSignal): Promise<string | undefined> {
    return this.#known ?? unlessAborted(this.#ask("none"), signal);
  }

  /**
   * The token to try after one was refused. It may be the same.
   * @param need why it was refused
   * @param signal gives up waiting for it
   * @throws ConsulError when there is none to use
   */
  async afterRefusal(
    refused: string | undefined,
    need: "unknown" | "denied",
    signal?: AbortSignal,
  ): Promise<string | undefined> {
    return this.#known === refused ? unlessAborted(this.#ask(need), signal) : this.read(signal);
  }

  /**
   * Finds out whether there is another token, while the former may still be valid and nothing is refused. Never rejects:
   * where none can be had, the known token stays in use.
   * @param signal ends it: a look may be a call to Consul's servers
   */
  async look(need: "look" | "due" | "reload" = "look", signal?: AbortSignal): Promise<void> {
    if (this.#known === undefined) return;
    const asked = need === "reload" ? this.#reload() : this.#ask(need);
    await unlessAborted(asked, signal).catch((error: unknown) =>
      this.#log.debug({ err: error }, "there is no other token: the known one stays in use"),
    );
  }

  /** Every entry is registered with the token in use: the former ones can be given back. */
  release(): void {
    this.#source.release?.();
  }

  /** @param keeps whether entries stay at the agent that were registered with the token. Never rejects */
  async close(keeps: boolean): Promise<void> {
    this.#closed = true;
    clearTimeout(this.#timer);
    await this.#source.close?.(keeps);
  }

  /** Concurrent calls share one question: of two, the later could find the new token, and the earlier end last. */
  #ask(need: TokenNeed): Promise<string | undefined> {
    this.#asking ??= this.#next(need).finally(() => {
      this.#asking = undefined;
      this.#schedule();
    });
    return this.#asking;
  }

  /** A question that is under way may have read the file already. */
  async #reload(): Promise<string | undefined> {
    while (this.#asking) await this.#asking.catch(() => undefined);
    return this.#ask("reload");
  }

  async #next(need: TokenNeed): Promise<string | undefined> {
    const former = this.#known;
    this.#known = await this.#source.next(former, need);
    if (former !== undefined && this.#known !== former) {
      for (const listener of this.#listeners) listener();
      if (this.#listeners.size === 0) this.#source.release?.();
    }
    return this.#known;
  }

  #schedule(): void {
    clearTimeout(this.#timer);
    const { dueIn } = this.#source;
    if (dueIn === undefined || this.#closed) return;
    // A command that has done its work does not wait for it.
    this.#timer = setTimeout(() => void this.look("due"), dueIn).unref();
  }
}

/** @throws ConsulError also when the signal is aborted first */
function unlessAborted<T>(work: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (!signal) return work;
  return new Promise((resolve, reject) => {
    const giveUp = () => {
      reject(new ConsulError("CONSUL_UNAVAILABLE", describeError(signal.reason), { cause: signal.reason }));
    };
    if (signal.aborted) giveUp();
    signal.addEventListener("abort", giveUp, { once: true });
    const done = () => signal.removeEventListener("abort", giveUp);
    work.then(resolve, reject).finally(done);
  });
}

/**
 * @param what names the file in the error: "token"
 * @throws ConsulError CONSUL_UNAVAILABLE, caused by UnreadableFile: the file may be there at the next try
 */
export async function readCredential(path: string, what: string): Promise<string> {
  try {
    return await readBoundedSecret(path, what);
  } catch (error) {
    throw new ConsulError("CONSUL_UNAVAILABLE", describeError(error), { cause: error });
  }
}
