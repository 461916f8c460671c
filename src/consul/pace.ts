/** Queries that may follow each other at once: the changes of a few nodes that start together. */
const ALLOWANCE = 20;

/**
 * How fast blocking queries may follow each other. Each change ends one, so a service in turmoil, or a server whose
 * index never holds a query, would be asked without a pause.
 */
export class Pace {
  readonly #interval: number;
  readonly #now: () => number;
  #allowance = ALLOWANCE;
  #at: number;

  /** @param interval milliseconds after which one query more is allowed @param now monotonic milliseconds */
  constructor(interval: number, now: () => number) {
    this.#interval = interval;
    this.#now = now;
    this.#at = now();
  }

  /** Takes a place for a query. @returns milliseconds to wait before it, 0 as a rule */
  take(): number {
    const now = this.#now();
    this.#allowance = Math.min(ALLOWANCE, this.#allowance + (now - this.#at) / this.#interval) - 1;
    this.#at = now;
    return Math.max(0, -this.#allowance * this.#interval);
  }
}
