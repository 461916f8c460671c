import type { ConsulError } from "../core/errors.js";
import { retryDelay, type Timings } from "./timings.js";

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

  failed(error: ConsulError): void {
    const { timings, ttl, now, random } = this.#deps;
    this.#failures++;
    this.#lastError = error;
    // An agent that answers is asked every third of the TTL: one that does not may be asked as often.
    const most = error.code === "CONSUL_UNAVAILABLE" ? Math.min(timings.maxRetry, ttl / 3) : timings.maxRetry;
    const delay =
      error.code === "CONSUL_FORBIDDEN"
        ? timings.refusalRetry
        : retryDelay(this.#failures, timings.firstRetry, most, random);
    this.#at = now() + delay;
  }

  succeeded(): void {
    this.#failures = 0;
    this.#lastError = undefined;
  }

  /** The next try is due now. */
  hasten(): void {
    this.#at = 0;
  }
}
