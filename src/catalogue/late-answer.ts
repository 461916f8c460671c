import { atMost } from "../each-of.js";

/**
 * How a wait for an answer ended. `answered`: it came, or its query failed. `over`: the caller's time is over. `silent`: it is late,
 * and the back end answers nothing else, or there is nothing else to ask.
 */
export type Waited = "answered" | "over" | "silent";

interface LateAnswersDeps {
  /** Monotonic milliseconds. */
  readonly now: () => number;
  /** Resolves with the next answer or failure, or after so many milliseconds. @returns whether the time is over */
  readonly outcome: (limit: number) => Promise<boolean>;
  /** Asks the back end a question that costs it nothing; undefined: there is none. */
  readonly ask: ((signal: AbortSignal) => Promise<unknown>) | undefined;
  /** How long an answer to that question may take, milliseconds; the next one is asked as long after it. */
  readonly limit: number;
}

/**
 * Waits for answers of a back end that may be late. One that is late and answers nothing else is in trouble: look-ups ask
 * DNS then. One that is busy would only have to answer them there, too.
 */
export class LateAnswers {
  readonly #deps: LateAnswersDeps;
  /** The question under way: one for all who wait. */
  #asking: Promise<Waited | undefined> | undefined;

  constructor(deps: LateAnswersDeps) {
    this.#deps = deps;
  }

  /** @param due,end milliseconds of now(): when the answer is late, and when the caller's time is over */
  async wait(due: number, end: number): Promise<Waited> {
    const { now, outcome, limit } = this.#deps;
    const ended = outcome(end - now()).then((isOver): Waited => (isOver ? "over" : "answered"));
    let waited = await atMost(due - now(), ended);
    while (waited === undefined) {
      waited = (await Promise.race([this.#ask(), ended])) ?? (await atMost(limit, ended));
    }
    return waited;
  }

  /** Undefined: the back end answers the question. */
  #ask(): Promise<Waited | undefined> {
    const { ask, limit } = this.#deps;
    if (!ask) return Promise.resolve("silent");
    this.#asking ??= answersWithin(limit, ask)
      .then((answers) => (answers ? undefined : "silent"))
      .finally(() => {
        this.#asking = undefined;
      });
    return this.#asking;
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
