/** Milliseconds. */
const PERIOD = 60_000;
const LINES = 10;

/**
 * Which of many alike events are told: of each kind the first in a minute, and ten in all. Who causes events at will
 * cannot fill the log with them. Pure: time comes in with each call.
 */
export class Sampling {
  readonly #told = new Set<string>();
  #until = Number.NEGATIVE_INFINITY;
  #leftOut = 0;

  /** @returns how many were left out since the last that was told; undefined: this one is left out too */
  take(kind: string, now: number): number | undefined {
    if (now >= this.#until) {
      this.#told.clear();
      this.#until = now + PERIOD;
    }
    if (this.#told.has(kind) || this.#told.size >= LINES) {
      this.#leftOut++;
      return undefined;
    }
    this.#told.add(kind);
    const leftOut = this.#leftOut;
    this.#leftOut = 0;
    return leftOut;
  }
}
