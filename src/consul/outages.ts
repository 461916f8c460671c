/** Outages that are told one after the other. */
const ALLOWANCE = 4;
/** After which one more is told, milliseconds: what comes and goes all the time does not fill the log. */
const INTERVAL = 30_000;

/** Which outages are told, and hence which of their ends. */
export class Outages {
  readonly #now: () => number;
  readonly #told = new Set<string>();
  #allowance = ALLOWANCE;
  #at: number;

  /** @param now monotonic milliseconds */
  constructor(now: () => number) {
    this.#now = now;
    this.#at = now();
  }

  /** @returns whether it is to be told */
  begin(what: string): boolean {
    const now = this.#now();
    this.#allowance = Math.min(ALLOWANCE, this.#allowance + (now - this.#at) / INTERVAL);
    this.#at = now;
    if (this.#allowance < 1) return false;
    this.#allowance--;
    this.#told.add(what);
    return true;
  }

  /** @returns whether its beginning was told */
  end(what: string): boolean {
    return this.#told.delete(what);
  }
}
