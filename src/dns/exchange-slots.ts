import { hostPort } from "../core/ip.js";
import type { NameServer } from "./exchange-bytes.js";

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

/** Whose slots a query takes: a name server may be silent altogether, or for names under one domain that it asks others for. */
export function slotHolder({ address, port }: NameServer, qname: string): string {
  const domain = qname.split(".").slice(1).slice(-2).join(".");
  return `${hostPort(address, port)} ${domain}`;
}

/**
 * Slots for queries. A holder may have as many as it leaves free: one that is silent is never in the way of the others,
 * however many queries for it wait, and one that is alone has half of all. Who waits gets a slot as soon as one may be
 * had, the holder with the fewest first; the queries of one in their order.
 */
export class ExchangeSlots {
  #free: number;
  readonly #held = new Map<string, number>();
  readonly #waiting = new Map<string, Set<() => void>>();

  constructor(limit: number) {
    this.#free = limit;
  }

  /**
   * False when no time is left before there is a slot.
   * @param left milliseconds; read again, because a deadline may move
   */
  async take(holder: string, left: () => number, signal: AbortSignal): Promise<boolean> {
    while (left() > 0) {
      if (this.#mayTake(holder)) {
        this.#hold(holder);
        return true;
      }
      if (await this.#turn(holder, left(), signal)) return true;
    }
    return false;
  }

  give(holder: string): void {
    const held = this.#heldBy(holder) - 1;
    if (held > 0) this.#held.set(holder, held);
    else this.#held.delete(holder);
    this.#free += 1;
    for (let next = this.#next(); next !== undefined; next = this.#next()) {
      const [proceed] = this.#waiting.get(next) ?? [];
      this.#hold(next);
      proceed?.();
    }
  }

  /** Of those that wait and may have a slot the holder with the fewest. */
  #next(): string | undefined {
    const able = Array.from(this.#waiting.keys()).filter((holder) => this.#mayTake(holder));
    return able.sort((a, b) => this.#heldBy(a) - this.#heldBy(b))[0];
  }

  #mayTake(holder: string): boolean {
    return this.#heldBy(holder) < this.#free;
  }

  #heldBy(holder: string): number {
    return this.#held.get(holder) ?? 0;
  }

  #hold(holder: string): void {
    this.#held.set(holder, this.#heldBy(holder) + 1);
    this.#free -= 1;
  }

  #turn(holder: string, milliseconds: number, signal: AbortSignal): Promise<boolean> {
    return new Promise((resolve) => {
      const waiting = this.#waiting.get(holder) ?? new Set();
      this.#waiting.set(holder, waiting);
      const settle = (mine: boolean) => {
        clearTimeout(timer);
        signal.removeEventListener("abort", giveUp);
        waiting.delete(proceed);
        if (waiting.size === 0) this.#waiting.delete(holder);
        resolve(mine);
      };
      const proceed = () => settle(true);
      const giveUp = () => settle(false);
      const timer = setTimeout(giveUp, milliseconds);
      signal.addEventListener("abort", giveUp, { once: true });
      waiting.add(proceed);
    });
  }
}
