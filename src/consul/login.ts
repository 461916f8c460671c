import { UnreadableFile } from "../api/credential.js";
import { retryDelay } from "../catalogue/follower.js";
import type { Logger } from "../daemon/logger.js";
import { ConsulError, describeError } from "../errors.js";
import { type AclApi, ANONYMOUS, type Grant } from "./acl-api.js";
import { jwtFault, renewAfter } from "./core/login.js";
import { type LoginSettings, readCredential, type TokenNeed, type TokenSource } from "./token.js";

interface LoginDeps extends LoginSettings {
  readonly api: AclApi;
  readonly log: Logger;
  readonly read?: typeof readCredential;
  /** Monotonic milliseconds. */
  readonly now?: () => number;
  /** [0,1) */
  readonly random?: () => number;
}

/** A token that a login has given. Times are monotonic milliseconds. */
interface Session extends Grant {
  /** When the login was sent: the token is no older. */
  readonly since: number;
  /** When the next login is due; undefined: the token does not expire. */
  readonly renewAt: number | undefined;
}

/** Pauses between logins that follow each other, milliseconds: each login is a write to the servers. */
const FIRST_PAUSE = 2_000;
const LONGEST_PAUSE = 30_000;
/** A token that was good for this long ends a row of logins. */
const CALM = 20_000;
/** A token that lacks a right is replaced when it is this old: another binding rule may match by now. */
const DENIED_PAUSE = 600_000;
/** A login that is due and fails without an answer, which costs the servers nothing, is tried again after this long. */
const DUE_PAUSE = 5_000;
/** How long the servers may take to tell each other of a new token, milliseconds for each try. */
const PROPAGATION = [50, 100, 200, 400, 800, 1_600];
/** Replaced tokens that are kept, where one after the other is gone and no entry can be registered with the next. */
const MOST_REPLACED = 8;
/** For all that is sent at the end. */
const CLOSE_LIMIT = 800;

/**
 * A token that Consul gives for a JWT, and takes back at the end. It is in memory only. One login is under way at most;
 * the first is made when the token is needed, others when it is due, gone, or lacks a right.
 */
export class Login implements TokenSource {
  readonly #deps: LoginDeps;
  readonly #now: () => number;
  readonly #random: () => number;
  #session: Session | undefined;
  /** Entries may still depend on these. */
  #replaced: readonly Session[] = [];
  /** Why the last login has failed; undefined: it has not. */
  #failure: ConsulError | undefined;
  /** It was said that the token in use could not be replaced when it was due. */
  #isDueTold = false;
  /** Logins that followed each other without CALM. */
  #inRow = 0;
  /** When the token in use was first seen to be gone. */
  #goneAt: number | undefined;
  /** Not before then: the next login, and the next try to log out replaced tokens. */
  #notBefore = -Infinity;
  #releaseAt = -Infinity;
  /** The last login. */
  #granting: Promise<Grant> | undefined;
  #closed = false;

  constructor(deps: LoginDeps) {
    this.#deps = deps;
    this.#now = deps.now ?? (() => performance.now());
    this.#random = deps.random ?? Math.random;
  }

  get dueIn(): number | undefined {
    const renewAt = this.#session?.renewAt;
    if (renewAt === undefined) return undefined;
    const now = this.#now();
    return Math.max(0, renewAt - now, this.#failure ? Math.max(DUE_PAUSE, this.#notBefore - now) : 0);
  }

  async next(_known: string | undefined, need: TokenNeed): Promise<string> {
    const session = this.#session;
    if (!session) return this.#logIn(need);
    if (this.#closed) return session.token;
    // The agent itself may take a deleted token for 30 s (acl.token_ttl): the servers are asked.
    const isGone = need === "unknown" || (need === "look" && (await this.#isGone(session)));
    if (isGone) this.#goneAt ??= this.#now();
    // Whoever is refused without a token needs one: Consul's ACLs are on by now.
    const isTooNew = need === "denied" && session.token !== ANONYMOUS && this.#now() - session.since < DENIED_PAUSE;
    // The entries are taken over from one token at a time.
    const isBusy = (need === "denied" || need === "reload") && this.#replaced.length > 0;
    if ((need === "look" && !isGone) || isTooNew || isBusy) return session.token;
    return this.#logIn(isGone ? "unknown" : need);
  }

  release(): void {
    if (this.#now() < this.#releaseAt) return;
    const released = this.#replaced;
    this.#replaced = [];
    for (const session of released) {
      void this.#logOut(session).then((isDone) => {
        if (isDone) return;
        this.#releaseAt = this.#now() + LONGEST_PAUSE;
        this.#replaced = [...this.#replaced, session];
      });
    }
  }

  /** An entry whose token is gone never leaves the servers' catalogue, so tokens of entries that stay are left to expire. */
  async close(keeps: boolean): Promise<void> {
    this.#closed = true;
    const { log } = this.#deps;
    if (keeps && this.#session && this.#session.token !== ANONYMOUS) {
      const until = this.#until(this.#session);
      log.info(`entries stay here, and so does the Consul token that they were registered with, which ${until}`);
      return;
    }
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<boolean>((resolve) => {
      timer = setTimeout(resolve, CLOSE_LIMIT, false);
    });
    const isDone = await Promise.race([this.#logOutOfAll(), late]);
    clearTimeout(timer);
    if (isDone) return;
    const until = this.#session ? this.#until(this.#session) : "may never expire";
    log.warn(`Consul has not confirmed the logout, and may keep the token, which ${until}`);
  }

  #until({ life }: Session): string {
    if (life === undefined) return "never expires, for the auth method has no MaxTokenTTL";
    return `expires in ${this.#secondsLeft(life)} s`;
  }

  /** @returns whether no token is left */
  async #logOutOfAll(): Promise<boolean> {
    await this.#granting?.catch(() => {});
    const sessions = [...this.#replaced, ...(this.#session ? [this.#session] : [])];
    const done = await Promise.all(sessions.map((session) => this.#logOut(session)));
    return done.every(Boolean);
  }

  /** Until the token in use expires, as far as the servers' clock runs like ours. */
  #secondsLeft(life: number): number {
    const since = this.#session?.since ?? 0;
    return Math.max(0, Math.round((since + life - this.#now()) / 1000));
  }

  /** @returns the token, which may be the one in use while a pause lasts @throws ConsulError */
  async #logIn(need: TokenNeed): Promise<string> {
    const { api, authMethod } = this.#deps;
    const former = this.#session;
    const isPaused = this.#now() < this.#notBefore && need !== "reload";
    if (isPaused && this.#failure) throw this.#failure;
    if (isPaused && former) return former.token;
    const jwt = await this.#readJwt(need);
    // close() waits for a login that was sent before, and for no other.
    if (this.#closed) throw new ConsulError("CONSUL_UNAVAILABLE", "srv-epmd is logging out of Consul");
    if (former && !this.#failure && (this.#goneAt ?? this.#now()) - former.since >= CALM) this.#inRow = 0;
    const since = this.#now();
    let grant: Grant;
    try {
      this.#granting = api.login(authMethod, jwt);
      grant = await this.#granting;
    } catch (error) {
      throw this.#failed(error as ConsulError, need);
    }
    // A token that is gone soon is replaced at once; the next one after a pause.
    this.#pause(this.#inRow++);
    const renewAt = grant.life === undefined ? undefined : since + renewAfter(grant.life, this.#random());
    this.#session = { ...grant, since, renewAt };
    this.#goneAt = undefined;
    if (former) this.#replace(former);
    if (grant.token !== ANONYMOUS) await this.#propagated(grant.token);
    this.#tell(former, need);
    this.#failure = undefined;
    this.#isDueTold = false;
    return grant.token;
  }

  /** A token that is said to be gone is logged out too: a server or the agent may be behind the others. */
  #replace(session: Session): void {
    const replaced = [...this.#replaced, session];
    this.#replaced = replaced.slice(-MOST_REPLACED);
    for (const oldest of replaced.slice(0, -MOST_REPLACED)) void this.#logOut(oldest);
  }

  async #readJwt(need: TokenNeed): Promise<string> {
    const { bearerTokenFile, read = readCredential } = this.#deps;
    try {
      const jwt = (await read(bearerTokenFile, "bearer token")).trim();
      const fault = jwtFault(jwt);
      if (fault === undefined) return jwt;
      const message = `the bearer token file ${bearerTokenFile} ${fault}`;
      throw new ConsulError("CONSUL_UNAVAILABLE", message, { cause: new UnreadableFile(message) });
    } catch (error) {
      throw this.#remember(error as ConsulError, need);
    }
  }

  /** @returns the error to throw */
  #failed(error: ConsulError, need: TokenNeed): ConsulError {
    // Nothing was sent: a login costs nothing, and the agent may be there in a moment.
    const { syscall } = (error.cause ?? {}) as NodeJS.ErrnoException;
    if (syscall !== "connect" && syscall !== "getaddrinfo") this.#pause(++this.#inRow);
    return this.#remember(error, need);
  }

  #remember(error: ConsulError, need: TokenNeed): ConsulError {
    this.#failure = error;
    const { log } = this.#deps;
    // Others are told by whoever makes the call that needs the token.
    if (need === "reload") {
      log.warn({ err: error }, `the Consul token cannot be replaced, and stays in use: ${error.message}`);
    } else if (need === "due" && this.#session && !this.#isDueTold) {
      this.#isDueTold = true;
      const until = this.#until(this.#session);
      log.warn({ err: error }, `the Consul token cannot be replaced yet, and ${until}: ${error.message}`);
    }
    return error;
  }

  /** @param logins in a row, after which the next one waits */
  #pause(logins: number): void {
    const pause = logins === 0 ? 0 : retryDelay(logins, FIRST_PAUSE, LONGEST_PAUSE, this.#random);
    this.#notBefore = this.#now() + pause;
  }

  #tell(former: Session | undefined, need: TokenNeed): void {
    const { log, authMethod } = this.#deps;
    const life = this.#session?.life;
    const fields = { authMethod, ...(life !== undefined && { expiresInMs: life }) };
    if (this.#session?.token === ANONYMOUS) log.info(fields, "no login to Consul: its ACLs are off");
    else if (!former) log.info(fields, "logged in to Consul");
    else if (need === "unknown") {
      log.info(
        fields,
        "logged in to Consul again, since it did not know the former token: the entries here are registered again with the new one",
      );
    } else if (need === "due" && !this.#failure)
      log.debug(fields, "logged in to Consul again before the token expires");
    else log.info(fields, "logged in to Consul again: the entries here are registered again with the new token");
  }

  /** A server that has not heard of the token yet would refuse it, and the agent remembers that for 30 s. */
  async #propagated(token: string): Promise<void> {
    for (const pause of PROPAGATION) {
      const isKnown = await this.#deps.api.knows(token).catch(() => true);
      if (isKnown || this.#closed) return;
      await new Promise((resolve) => setTimeout(resolve, pause));
    }
  }

  async #isGone({ token }: Session): Promise<boolean> {
    if (token === ANONYMOUS) return false;
    return this.#deps.api.knows(token).then(
      (isKnown) => !isKnown,
      () => false,
    );
  }

  /** @returns false: it is to be tried again. Never rejects. */
  async #logOut({ token, since, life }: Session): Promise<boolean> {
    if (token === ANONYMOUS || (life !== undefined && this.#now() - since > life)) return true;
    try {
      await this.#deps.api.logout(token);
      return true;
    } catch (error) {
      // Nobody knows the token any more.
      if (error instanceof ConsulError && error.code === "CONSUL_FORBIDDEN") return true;
      this.#deps.log.debug({ error: describeError(error) }, "could not log out of Consul");
      return false;
    }
  }
}
