import { createSecureContext, type SecureContext } from "node:tls";
import { nextIndex } from "../catalogue/core/instances.js";
import { Follower, type FollowTimings } from "../catalogue/follower.js";
import type { ConsulClient } from "../consul/client.js";
import { ConsulError, describeError } from "../errors.js";
import { type Leaf, leafPolicy, type Roots, type Told } from "./core/credentials.js";
import { parseServiceUri, type ServiceUri } from "./core/service-uri.js";

/** What a native end of Consul Connect needs for one service: its certificate, and those that it trusts. */
export interface Credentials {
  /** The service in our certificate. */
  readonly own: ServiceUri;
  /** `spiffe://…` as it stands in the certificate. */
  readonly uri: string;
  /** ISO 8601: when our certificate expires. */
  readonly validBefore: string;
  /** PEM. */
  readonly pem: { readonly cert: string; readonly key: string; readonly ca: string[] };
  /** The same, ready for connections. */
  readonly context: SecureContext;
}

/** SSL_OP_NO_TICKET: each connection shows its certificate anew. */
export const NO_TICKET = 1 << 14;

type Agent = Pick<ConsulClient, "leaf" | "roots">;

/** Milliseconds. A certificate changes every few hours. */
const TIMINGS: FollowTimings = { wait: 300_000, firstRetry: 500, maxRetry: 15_000, pace: 100 };
/** Milliseconds: the agent makes a first certificate within a second. */
const PATIENCE = 3_000;

/** Follows something that the agent tells by blocking queries, until it is stopped. */
class Followed<T> {
  readonly #follower: Follower<T, number>;
  #value: T | undefined;
  #failures = 0;
  /** Why the agent does not tell it; undefined while it does. */
  trouble: string | undefined = "the Consul agent has not answered yet";
  hasFailed = false;

  constructor(ask: (index: number, wait: number, signal: AbortSignal) => Promise<Told<T>>, onChange: () => void) {
    this.#follower = new Follower<T, number>({
      query: async (before = 0, wait, signal) => {
        const { value, index } = await ask(before, wait, signal);
        return { value, position: nextIndex(before, index) };
      },
      answered: (value) => {
        this.#failures = 0;
        this.trouble = undefined;
        this.hasFailed = false;
        this.#value = value;
        onChange();
      },
      failed: (error) => {
        this.#failures += 1;
        // One failure is that of a query which ended with its client, when the token changed.
        if (this.#failures === 1 && this.#value !== undefined) return;
        this.hasFailed = true;
        this.trouble = describeError(error);
        onChange();
      },
      timings: TIMINGS,
      now: () => performance.now(),
      random: Math.random,
    });
  }

  get value(): T | undefined {
    return this.#value;
  }

  stop(): void {
    void this.#follower.close();
  }
}

/** The credentials of one service, kept up to date. A change disturbs no connection that stands. */
export class ServiceCredentials {
  readonly #leaf: Followed<Leaf>;
  readonly #roots: Followed<Roots>;
  readonly #onChange: () => void;
  readonly #waiting = new Set<() => void>();
  #credentials: Credentials | undefined;
  /** Why what the agent gave cannot be used. */
  #fault: string | undefined;
  #known: readonly [Leaf | undefined, Roots | undefined] = [undefined, undefined];

  /** @param onChange there are other credentials, or another trouble */
  constructor(service: string, agent: Agent, onChange: () => void) {
    this.#onChange = onChange;
    const changed = () => this.#changed();
    const leaf = (index: number, wait: number, signal: AbortSignal) =>
      agent.leaf(service, index, wait, signal).catch((error: unknown) => {
        const isForbidden = error instanceof ConsulError && error.code === "CONSUL_FORBIDDEN";
        throw isForbidden ? new Error(`${describeError(error)}: the token needs ${leafPolicy(service)}`) : error;
      });
    this.#leaf = new Followed(leaf, changed);
    this.#roots = new Followed((index, wait, signal) => agent.roots(index, wait, signal), changed);
  }

  /** Undefined before the first ones. Those that there were stay in use while the agent does not answer. */
  get now(): Credentials | undefined {
    return this.#credentials;
  }

  /** The agent has refused, or gave what cannot be used. */
  get hasFailed(): boolean {
    return this.#fault !== undefined || this.#leaf.hasFailed || this.#roots.hasFailed;
  }

  /** Why there are none, or why they are not renewed. */
  get trouble(): string | undefined {
    return this.#fault ?? this.#leaf.trouble ?? this.#roots.trouble;
  }

  /** As `now`; waits for the first ones, for a limited time, unless the agent has refused. Never rejects. */
  first(): Promise<Credentials | undefined> {
    if (this.#credentials || this.hasFailed) return Promise.resolve(this.#credentials);
    return new Promise((resolve) => {
      const settle = () => {
        clearTimeout(timer);
        this.#waiting.delete(look);
        resolve(this.#credentials);
      };
      const look = () => {
        if (this.#credentials || this.hasFailed) settle();
      };
      const timer = setTimeout(settle, PATIENCE);
      this.#waiting.add(look);
    });
  }

  stop(): void {
    this.#leaf.stop();
    this.#roots.stop();
  }

  #changed(): void {
    const [leaf, roots] = [this.#leaf.value, this.#roots.value];
    const isSame = this.#known[0] === leaf && this.#known[1] === roots;
    this.#known = [leaf, roots];
    if (leaf && roots && !isSame) this.#take(leaf, roots);
    for (const look of this.#waiting) look();
    this.#onChange();
  }

  #take({ certificate, key, uri, validBefore }: Leaf, { certificates }: Roots): void {
    const own = parseServiceUri(uri);
    if (!own) {
      this.#fault = `the agent's certificate names no service: ${uri}`;
      return;
    }
    try {
      const pem = { cert: certificate, key, ca: [...certificates] };
      const context = createSecureContext({ ...pem, minVersion: "TLSv1.2", secureOptions: NO_TICKET });
      this.#credentials = { own, uri, validBefore, pem, context };
      this.#fault = undefined;
    } catch (error) {
      this.#fault = `the agent's certificate cannot be used: ${describeError(error)}`;
    }
  }
}
