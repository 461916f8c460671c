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
  readonly #waiting = new Map<Caller, Rank>();
  readonly #underWay: Rank[] = [];
  #looking = false;

  /** Waits for a turn. A caller that waits already gets the new rank, and keeps its earlier time within its lane. */
  enter(caller: Caller, rank: Rank): void {
    const before = this.#waiting.get(caller);
    const by = before?.lane === rank.lane ? Math.min(before.by, rank.by) : rank.by;
    this.#waiting.set(caller, { ...rank, by });
    this.#lookSoon();
  }

  leave(caller: Caller): void {
    this.#waiting.delete(caller);
  }

  /** Callers that enter in one turn of the event loop are ranked together. */
  #lookSoon(): void {
    if (this.#looking) return;
    this.#looking = true;
    queueMicrotask(() => {
      this.#looking = false;
      for (let next = this.#next(); next !== undefined; next = this.#next()) this.#start(...next);
    });
  }

  #start(caller: Caller, rank: Rank): void {
    this.#waiting.delete(caller);
    this.#underWay.push(rank);
    void caller.go().finally(() => {
      this.#underWay.splice(this.#underWay.indexOf(rank), 1);
      this.#lookSoon();
    });
  }

  #next(): [Caller, Rank] | undefined {
    if (this.#waiting.size === 0 || this.#underWay.length >= MOST_CALLS) return undefined;
    const shares = new Map<string, number>();
    const lanes: Record<Lane, number> = { keep: 0, change: 0 };
    for (const { lane, share } of this.#underWay) {
      lanes[lane]++;
      shares.set(`${lane} ${share}`, (shares.get(`${lane} ${share}`) ?? 0) + 1);
    }
    let best: { readonly caller: Caller; readonly rank: Rank; readonly calls: number } | undefined;
    for (const [caller, rank] of this.#waiting) {
      const calls = shares.get(`${rank.lane} ${rank.share}`) ?? 0;
      if (lanes[rank.lane] >= MOST_OF_LANE || calls >= MOST_OF_SHARE) continue;
      if (best && !isBefore(rank, calls, best.rank, best.calls)) continue;
      best = { caller, rank, calls };
    }
    return best && [best.caller, best.rank];
  }
}

function isBefore(one: Rank, calls: number, other: Rank, others: number): boolean {
  if (one.lane !== other.lane) return one.lane === "keep";
  return calls === others ? one.by < other.by : calls < others;
}
