import { hostPort } from "../net/ip.js";
import type { NameServer } from "./exchange.js";

/** A name server gets no more queries than this at once. */
const MOST_EXCHANGES = 128;
const FEWEST_EXCHANGES = 8;

/**
 * How many queries may be under way at once. Each needs a file descriptor, and most of those are for connections.
 * @param openFiles limit of open files; undefined: none
 */
export function exchangeLimit(openFiles: number | undefined): number {
  return Math.min(MOST_EXCHANGES, Math.max(FEWEST_EXCHANGES, Math.floor((openFiles ?? Number.POSITIVE_INFINITY) / 8)));
}

interface Waiting {
  readonly proceed: () => void;
  readonly isForStranger: () => boolean;
}

/** Whose slots a query takes: a name server may be silent for all names, or for those of one domain that it forwards. */
export function slotHolder({ address, port }: NameServer, qname: string): string {
  const domain = qname.split(".").slice(1).slice(-2).join(".");
  return `${hostPort(address, port)} ${domain}`;
}

/**
 * Slots for queries. A holder gets a slot while more slots are free than it has: a silent server leaves slots for the
 * others; a holder that is alone has half of all. A free slot goes to a waiting query: for local peers before strangers,
 * then of the holder with the fewest slots, then the oldest.
 */
export class ExchangeSlots {
  #free: number;
  readonly #held = new Map<string, number>();
  readonly #waiting = new Map<string, Set<Waiting>>();

  constructor(limit: number) {
    this.#free = limit;
  }

  /**
   * False when the time is over before there is a slot.
   * @param left milliseconds; read again, because a deadline may move
   * @param isForStranger read again: a local peer may join a query that a stranger has begun
   */
  async take(
    holder: string,
    left: () => number,
    signal: AbortSignal,
    isForStranger: () => boolean = () => false,
  ): Promise<boolean> {
    while (left() > 0) {
      if (this.#mayTake(holder)) {
        this.#hold(holder);
        return true;
      }
      if (await this.#turn(holder, left(), signal, isForStranger)) return true;
    }
    return false;
  }

  give(holder: string): void {
    const held = this.#heldBy(holder) - 1;
    if (held > 0) this.#held.set(holder, held);
    else this.#held.delete(holder);
    this.#free += 1;
    for (let next = this.#next(); next; next = this.#next()) {
      this.#hold(next.holder);
      next.proceed();
    }
  }

  #next(): { readonly holder: string; readonly proceed: () => void } | undefined {
    const able = Array.from(this.#waiting).filter(([holder]) => this.#mayTake(holder));
    const turns = able.flatMap(([holder, waiting]) => {
      const queries = Array.from(waiting);
      const local = queries.find(({ isForStranger }) => !isForStranger());
      const first = local ?? queries[0];
      return first ? [{ holder, isLocal: local !== undefined, proceed: first.proceed }] : [];
    });
    const rank = (a: (typeof turns)[number], b: (typeof turns)[number]) =>
      Number(b.isLocal) - Number(a.isLocal) || this.#heldBy(a.holder) - this.#heldBy(b.holder);
    return turns.sort(rank)[0];
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

  #turn(holder: string, milliseconds: number, signal: AbortSignal, isForStranger: () => boolean): Promise<boolean> {
    return new Promise((resolve) => {
      const waiting = this.#waiting.get(holder) ?? new Set<Waiting>();
      this.#waiting.set(holder, waiting);
      const settle = (taken: boolean) => {
        clearTimeout(timer);
        signal.removeEventListener("abort", giveUp);
        waiting.delete(mine);
        if (waiting.size === 0) this.#waiting.delete(holder);
        resolve(taken);
      };
      const proceed = () => settle(true);
      const giveUp = () => settle(false);
      const timer = setTimeout(giveUp, milliseconds);
      signal.addEventListener("abort", giveUp, { once: true });
      const mine: Waiting = { proceed, isForStranger };
      waiting.add(mine);
    });
  }
}
