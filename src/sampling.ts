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

/** Outages that are logged one after the other. */
const OUTAGES = 4;
/** Milliseconds after which one more is logged: what comes and goes all the time must not fill the log. */
const INTERVAL = 30_000;

/** Which outages are logged, and so which of their ends. */
export class Outages {
  readonly #now: () => number;
  readonly #told = new Set<string>();
  #allowance = OUTAGES;
  #at: number;

  /** @param now monotonic milliseconds */
  constructor(now: () => number) {
    this.#now = now;
    this.#at = now();
  }

  /** @returns whether the beginning is to be logged */
  begin(what: string): boolean {
    const now = this.#now();
    this.#allowance = Math.min(OUTAGES, this.#allowance + (now - this.#at) / INTERVAL);
    this.#at = now;
    if (this.#allowance < 1) return false;
    this.#allowance--;
    this.#told.add(what);
    return true;
  }

  /** @returns whether the end is to be logged, as its beginning was */
  end(what: string): boolean {
    return this.#told.delete(what);
  }
}
