/** Of blocking queries, milliseconds. */
export interface FollowTimings {
  /** How long the agent may hold a query. */
  readonly wait: number;
  readonly firstRetry: number;
  readonly maxRetry: number;
  /** Between two queries while the allowance is used up. */
  readonly pace: number;
}

export const FOLLOW_TIMINGS: FollowTimings = { wait: 60_000, firstRetry: 250, maxRetry: 10_000, pace: 1_000 };

/** @template P the position of a query: an index of the catalogue, or a hash of a registration */
interface FollowerDeps<T, P> {
  /** One query. Without a position Consul answers at once; with one, when the value changes or after `wait`. */
  readonly query: (
    position: P | undefined,
    wait: number,
    signal: AbortSignal,
  ) => Promise<{ readonly value: T; readonly position: P | undefined }>;
  /** What an answer cost, counted in those of a few nodes; 1 where it is not given. */
  readonly cost?: (value: T) => number;
  /** May close the follower. */
  readonly answered: (value: T) => void;
  readonly failed: (error: unknown) => void;
  readonly timings: FollowTimings;
  /** Monotonic milliseconds. */
  readonly now: () => number;
  /** [0,1) */
  readonly random: () => number;
}

/** Queries that may follow each other at once: the changes of a few nodes that start together. */
const ALLOWANCE = 20;
/** The longest pause is this many times the pace: changes come late to whoever does not end the pause. */
const MOST_DEBT = 5;

/** Follows one thing that Consul has by blocking queries, from its construction until it is closed. */
export class Follower<T, P> {
  readonly #deps: FollowerDeps<T, P>;
  readonly #abort = new AbortController();
  readonly #ended: Promise<void>;
  /** Ends the pause before a retry. */
  #retryNow: (() => void) | undefined;
  /** Ends the pause that keeps the pace. */
  #resume: (() => void) | undefined;
  /** From the beginning of that pause until the next query is sent. */
  #isPaused = false;
  #allowance = ALLOWANCE;
  /** When the allowance was reckoned last. */
  #at: number;

  constructor(deps: FollowerDeps<T, P>) {
    this.#deps = deps;
    this.#at = deps.now();
    this.#ended = this.#follow();
  }

  get isClosed(): boolean {
    return this.#abort.signal.aborted;
  }

  /** No query is under way, because changes come too fast: the last answer may be out of date. */
  get isPaused(): boolean {
    return this.#isPaused;
  }

  /** Ends the pause that keeps the pace. */
  resume(): void {
    this.#resume?.();
  }

  /** Ends the pause before a retry. */
  hasten(): void {
    this.#retryNow?.();
  }

  /** Gives up the query that is under way. Never rejects. */
  async close(): Promise<void> {
    this.#abort.abort(new Error("nobody asks any more"));
    await this.#ended;
  }

  async #follow(): Promise<void> {
    const { query, answered, failed, timings, random } = this.#deps;
    const { signal } = this.#abort;
    let position: P | undefined;
    /** Before a pause. */
    let former: P | undefined;
    let failures = 0;
    while (!signal.aborted) {
      try {
        this.#isPaused = false;
        const answer = await query(position, timings.wait, signal);
        if (signal.aborted) return;
        position = answer.position;
        failures = 0;
        answered(answer.value);
        const isUnchanged = former !== undefined && position === former;
        const delay = isUnchanged ? 0 : this.#paceDelay(answer.value);
        // The query after a pause is answered at once: who waits for it need not guess whether it is held.
        former = delay > 0 ? position : undefined;
        if (delay > 0) position = undefined;
        await this.#pause(delay, "pace");
      } catch (error) {
        if (signal.aborted) return;
        // After a restart the agent or the servers count from the beginning: a query with the former position would miss changes.
        position = undefined;
        former = undefined;
        failed(error);
        await this.#pause(retryDelay(++failures, timings.firstRetry, timings.maxRetry, random), "retry");
      }
    }
  }

  /**
   * Milliseconds to wait before the next query, mostly 0. Each change ends a query: without a limit a service that
   * changes all the time, or a server that answers every query at once, would be asked without a pause.
   */
  #paceDelay(value: T): number {
    const { cost, now, timings } = this.#deps;
    const at = now();
    const left = Math.min(ALLOWANCE, this.#allowance + (at - this.#at) / timings.pace) - (cost?.(value) ?? 1);
    this.#allowance = Math.max(-MOST_DEBT, left);
    this.#at = at;
    return Math.max(0, -this.#allowance * timings.pace);
  }

  #pause(milliseconds: number, reason: "pace" | "retry"): Promise<void> {
    const { signal } = this.#abort;
    if (signal.aborted || milliseconds === 0) return Promise.resolve();
    return new Promise((resolve) => {
      const done = () => {
        clearTimeout(timer);
        signal.removeEventListener("abort", done);
        this.#retryNow = undefined;
        this.#resume = undefined;
        resolve();
      };
      const timer = setTimeout(done, milliseconds);
      signal.addEventListener("abort", done);
      if (reason === "retry") this.#retryNow = done;
      else {
        this.#resume = done;
        this.#isPaused = true;
      }
    });
  }
}

/**
 * Exponential backoff with jitter: half of the delay is fixed, half random.
 * @param failures how many tries have failed, 1 or more
 */
export function retryDelay(failures: number, first: number, most: number, random: () => number): number {
  const delay = Math.min(most, first * 2 ** Math.min(failures - 1, 30));
  return delay / 2 + (delay / 2) * random();
}
