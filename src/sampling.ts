/** Milliseconds. */
const PERIOD = 60_000;
const LINES = 10;

/**
 * Chooses which events are logged: the first of each kind in a minute, ten in all, so that repeated events cannot fill
 * the log. Pure: time comes in with each call.
 */
export class Sampling {
  readonly #logged = new Set<string>();
  #until = Number.NEGATIVE_INFINITY;
  #leftOut = 0;

  /** @returns how many events were left out since the last one that was logged; undefined: leave this one out too */
  take(kind: string, now: number): number | undefined {
    if (now >= this.#until) {
      this.#logged.clear();
      this.#until = now + PERIOD;
    }
    if (this.#logged.has(kind) || this.#logged.size >= LINES) {
      this.#leftOut++;
      return undefined;
    }
    this.#logged.add(kind);
    const leftOut = this.#leftOut;
    this.#leftOut = 0;
    return leftOut;
  }
}
