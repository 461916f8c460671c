import { retryDelay } from "../consul/follower.js";
import type { ConsulError } from "../errors.js";
import type { Timings } from "./timings.js";

export interface RetryDeps {
  readonly timings: Pick<Timings, "firstRetry" | "maxRetry" | "refusalRetry">;
  /** Milliseconds of the TTL check. */
  readonly ttl: number;
  /** Monotonic milliseconds. */
  readonly now: () => number;
  readonly random: () => number;
}

/** When that which failed is tried again, and how it failed last. */
export class Retry {
  readonly #deps: RetryDeps;
  #failures = 0;
  #at = 0;
  #lastError: ConsulError | undefined;

  constructor(deps: RetryDeps) {
    this.#deps = deps;
  }

  /** Not before then. */
  get at(): number {
    return this.#at;
  }

  get lastError(): ConsulError | undefined {
    return this.#lastError;
  }

  /** @param isRefresh what failed is what keeps an entry in DNS */
  failed(error: ConsulError, isRefresh: boolean): void {
    const { timings, ttl, now, random } = this.#deps;
    this.#failures++;
    this.#lastError = error;
    // Where all is well the agent is asked every third of the TTL: where it is not, it may be asked as often.
    const often = isRefresh || error.code === "CONSUL_UNAVAILABLE";
    const most = often ? Math.min(timings.maxRetry, ttl / 3) : timings.maxRetry;
    const delay =
      error.code === "CONSUL_FORBIDDEN"
        ? Math.min(timings.refusalRetry, isRefresh ? most : Infinity)
        : retryDelay(this.#failures, timings.firstRetry, most, random);
    this.#at = now() + delay;
  }

  /** The next try is due now. */
  hasten(): void {
    this.#at = 0;
  }
}
