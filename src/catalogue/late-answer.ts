import { atMost } from "../each-of.js";

/**
 * How a wait for an answer ended. `answered`: it came, or its query failed. `silent`: it is late, and the back end answers
 * nothing else, or there is nothing else to ask. `over`: it counts as overdue.
 */
export type Waited = "answered" | "silent" | "over";

interface LateAnswerDeps {
  /** Monotonic milliseconds. */
  readonly now: () => number;
  /** Resolves with the answer or the failure of the query, or after so many milliseconds. @returns whether the time is over */
  readonly outcome: (limit: number) => Promise<boolean>;
  /** Asks the back end a question that costs it nothing; undefined: there is none. */
  readonly ask: ((signal: AbortSignal) => Promise<unknown>) | undefined;
  /** How long the answer to the question may take, milliseconds; the next question is asked as long after that answer. */
  readonly limit: number;
}

/**
 * Waits for an answer that may be late. A back end that answers nothing else then is in trouble: look-ups ask DNS. One that
 * is busy would only have to answer them there, too.
 * @param due,end milliseconds of now(): when the answer is late, and when it is overdue
 */
export async function waitForAnswer(
  { now, outcome, ask, limit }: LateAnswerDeps,
  due: number,
  end: number,
): Promise<Waited> {
  const ended = outcome(end - now()).then((isOver): Waited => (isOver ? "over" : "answered"));
  const question = async (): Promise<Waited | undefined> => {
    const answers = ask !== undefined && (await answersWithin(limit, ask));
    return answers ? undefined : "silent";
  };
  let waited = await atMost(due - now(), ended);
  while (waited === undefined) {
    waited = (await Promise.race([question(), ended])) ?? (await atMost(limit, ended));
  }
  return waited;
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
