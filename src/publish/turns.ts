/** Calls of the agent at once, for what is published: an agent that takes a second for each is told of 20 nodes in it. */
export const MOST_CALLS = 32;

/**
 * - `keep`: what is in DNS stays right: a check is passed again, or fails because its VM has gone.
 * - `change`: everything else. It may come in floods, and what is in DNS does not wait for it.
 */
export type Lane = "keep" | "change";

/** Of them, for one lane: neither ever waits for the other's last call. */
const MOST_OF_LANE = 24;
/** Of a lane, for one who has many names: whoever comes next finds a place. */
const MOST_OF_SHARE = MOST_OF_LANE / 2;

export interface Rank {
  readonly lane: Lane;
  /** Whose names they are: the EPMD connection that registered them. */
  readonly share: string;
  /** Milliseconds of some clock: the smaller the sooner. */
  readonly by: number;
}

export interface Caller {
  /** It is its turn. Never rejects. */
  go(): Promise<void>;
}

/**
 * Whose turn it is to call the agent: who has the fewest calls under way for its share, then who has the least time. One
 * connection with thousands of names is served beside the others, not before them.
 */
export class Turns {
  readonly #waiting = new Map<Caller, Rank>();
  readonly #underWay: Rank[] = [];
  #looking = false;

  /** Waits for a turn; who waits already is ranked anew, and keeps its place among its likes. */
  enter(caller: Caller, rank: Rank): void {
    const before = this.#waiting.get(caller);
    const by = before?.lane === rank.lane ? Math.min(before.by, rank.by) : rank.by;
    this.#waiting.set(caller, { ...rank, by });
    this.#lookSoon();
  }

  leave(caller: Caller): void {
    this.#waiting.delete(caller);
  }

  /** What happens in one moment is ranked together. */
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
