/** How a wait for an answer ended: it came, or its query failed; the caller's time is over; the back end answers nothing at all. */
type End = "came" | "over" | "silent";

interface LateAnswersDeps {
  /** Monotonic milliseconds. */
  readonly now: () => number;
  /** Resolves with the next answer or failure, or after so many milliseconds. @returns whether the time is over */
  readonly outcome: (limit: number) => Promise<boolean>;
  /** Asks the back end something that is no work for it; undefined: there is nothing to ask. */
  readonly ask: ((signal: AbortSignal) => Promise<unknown>) | undefined;
  /** Milliseconds: how long it may take to answer that, and how long the answer is waited for then until it is asked again. */
  readonly limit: number;
}

/**
 * Waits for answers of a back end that may be late. One that is late and answers nothing else is in trouble: look-ups ask
 * DNS then. One that is busy would only have to answer them there, too.
 */
export class LateAnswers {
  readonly #deps: LateAnswersDeps;
  /** The question under way: one for all who wait. */
  #asking: Promise<boolean> | undefined;

  constructor(deps: LateAnswersDeps) {
    this.#deps = deps;
  }

  /** @param due,end milliseconds of now(): when the answer is late, and when the caller's time is over */
  async wait(due: number, end: number): Promise<End> {
    const { now, outcome, limit } = this.#deps;
    const left = () => Math.min(limit, end - now());
    for (let wait = Math.min(due, end) - now(); await outcome(wait); wait = left()) {
      // A timer of Node counts whole milliseconds, and may end within the last one.
      if (left() < 1) return "over";
      const next = outcome(left()).then((isOver) => (isOver ? "silent" : "came"));
      const first = await Promise.race([this.#asks(), next]);
      if (first !== "answers") return first;
    }
    return "came";
  }

  async #asks(): Promise<"answers" | "silent"> {
    const { ask, limit } = this.#deps;
    if (!ask) return "silent";
    this.#asking ??= answersWithin(limit, ask).finally(() => {
      this.#asking = undefined;
    });
    return (await this.#asking) ? "answers" : "silent";
  }
}

/**
 * Never rejects. @param limit milliseconds. Then the question is given up, and not by AbortSignal.timeout: the end of a caller's time
 * counts as a sign that Consul's servers are out of reach.
 */
async function answersWithin(limit: number, ask: (signal: AbortSignal) => Promise<unknown>): Promise<boolean> {
  const over = new AbortController();
  const timer = setTimeout(() => over.abort(new Error("the question was given up")), limit);
  try {
    await ask(over.signal);
    return true;
  } catch {
    return false;
  } finally {
    clearTimeout(timer);
  }
}
