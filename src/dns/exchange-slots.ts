/** More than this at once is no load that anybody means to put on a name server. */
const MOST_EXCHANGES = 128;
const FEWEST_EXCHANGES = 8;

/**
 * How many queries may be under way at once: each holds a descriptor, and those are wanted for connections first.
 * @param openFiles limit of open files; undefined: none
 */
export function exchangeLimit(openFiles: number | undefined): number {
  return Math.min(MOST_EXCHANGES, Math.max(FEWEST_EXCHANGES, Math.floor((openFiles ?? Number.POSITIVE_INFINITY) / 8)));
}

/** Turns for queries: when as many as may are under way, the next ones wait, the first come the first served. */
export class ExchangeSlots {
  #free: number;
  readonly #waiting = new Set<() => void>();

  constructor(limit: number) {
    this.#free = limit;
  }

  /** False when no time is left before there is a turn. @param left milliseconds; read again, because a deadline may move */
  async take(left: () => number, signal: AbortSignal): Promise<boolean> {
    while (left() > 0) {
      if (this.#free > 0) {
        this.#free -= 1;
        return true;
      }
      if (await this.#turn(left(), signal)) return true;
    }
    return false;
  }

  give(): void {
    const [next] = this.#waiting;
    if (next) next();
    else this.#free += 1;
  }

  #turn(milliseconds: number, signal: AbortSignal): Promise<boolean> {
    return new Promise((resolve) => {
      const settle = (mine: boolean) => {
        clearTimeout(timer);
        signal.removeEventListener("abort", giveUp);
        this.#waiting.delete(proceed);
        resolve(mine);
      };
      const proceed = () => settle(true);
      const giveUp = () => settle(false);
      const timer = setTimeout(giveUp, milliseconds);
      signal.addEventListener("abort", giveUp, { once: true });
      this.#waiting.add(proceed);
    });
  }
}
