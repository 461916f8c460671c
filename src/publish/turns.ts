import { Line, type Waiting } from "./core/line.js";

/** Calls at once for what is published. An agent that takes a second for each call takes some 20 nodes a second. */
export const MOST_CALLS = 32;

/**
 * - `keep`: keeps DNS right: a check is passed again, or fails because its VM has gone.
 * - `change`: all other calls. There may be very many at once, and `keep` does not wait for them.
 */
type Lane = "keep" | "change";

/** Calls of one lane at once: some are always left for the other lane. */
const MOST_OF_LANE = 24;
/** Calls of one share in a lane at once: some are always left for others. */
const MOST_OF_SHARE = MOST_OF_LANE / 2;

export interface Rank {
  readonly lane: Lane;
  /** The EPMD connection that registered the name, so that one with very many names does not delay others. */
  readonly share: string;
  /** Monotonic milliseconds: the earlier is called first. */
  readonly by: number;
}

export interface Caller {
  /** Called when it has its turn. Never rejects. */
  go(): Promise<void>;
}

/**
 * The order in which the agent is called: first the caller whose share has the fewest calls under way, then the one with
 * the least time left. A connection with thousands of names does not delay others.
 */
export class Turns {
  readonly #lanes: Record<Lane, { readonly line: Line<Caller>; underWay: number }> = {
    keep: { line: new Line(MOST_OF_SHARE), underWay: 0 },
    change: { line: new Line(MOST_OF_SHARE), underWay: 0 },
  };
  readonly #waiting = new Map<Caller, Waiting<Caller> & { readonly lane: Lane }>();
  #entered = 0;
  #looking = false;

  /** Waits for a turn. A caller that waits already gets the new rank, and keeps its earlier time within its lane. */
  enter(caller: Caller, { lane, share, by }: Rank): void {
    const before = this.#waiting.get(caller);
    if (before?.lane === lane && before.share === share && before.by <= by) return;
    const isEarlier = before?.lane === lane && before.by < by;
    this.leave(caller);
    const time = isEarlier ? before.by : by;
    const one = { caller, lane, share, by: time, order: this.#entered++, isWaiting: true };
    this.#waiting.set(caller, one);
    this.#lanes[lane].line.enter(one);
    this.#lookSoon();
  }

  leave(caller: Caller): void {
    const one = this.#waiting.get(caller);
    if (!one) return;
    one.isWaiting = false;
    this.#waiting.delete(caller);
  }

  /** Callers that enter in one turn of the event loop are ranked together. */
  #lookSoon(): void {
    if (this.#looking) return;
    this.#looking = true;
    queueMicrotask(() => {
      this.#looking = false;
      for (const lane of LANES) while (this.#startNext(lane));
    });
  }

  /** @returns whether a caller had its turn */
  #startNext(lane: Lane): boolean {
    const { keep, change } = this.#lanes;
    const its = this.#lanes[lane];
    if (keep.underWay + change.underWay >= MOST_CALLS || its.underWay >= MOST_OF_LANE) return false;
    const one = its.line.next();
    if (!one) return false;
    this.#waiting.delete(one.caller);
    its.underWay++;
    void one.caller.go().finally(() => {
      its.underWay--;
      its.line.ended(one.share);
      this.#lookSoon();
    });
    return true;
  }
}

/** `keep` first. */
const LANES: readonly Lane[] = ["keep", "change"];
