/** One question without an answer may have met a busy agent, or the one server that has just ended. */
const ENOUGH = 2;

/** A question for the servers that was not answered. Times are monotonic milliseconds. */
interface Unanswered {
  readonly sentAt: number;
  readonly endedAt: number;
  /** `timeout`: no answer came; the agent itself may hang. `no-server`: the agent says that it reaches none. */
  readonly fault: "timeout" | "no-server";
  /** For people. */
  readonly reason: string;
}

/**
 * Whether Consul's servers answer what the agent asks them for us. An agent that reaches none of them still takes
 * registrations, and lists them as if Consul had them. Times are monotonic milliseconds.
 */
export class Servers {
  #answeredAt: number | undefined;
  /** When the agent last answered what it does not ask the servers. */
  #agentAnsweredAt = -Infinity;
  /** Unanswered questions in a row, each sent after the end of the one before. */
  #unanswered = 0;
  /** When the first of them was sent. */
  #since = 0;
  #last: Unanswered | undefined;
  /** It is the servers that do not answer: the agent has answered something else meanwhile, or says so. */
  #isOfServers = false;

  /** When they answered last; undefined: they never did. */
  get answeredAt(): number | undefined {
    return this.#answeredAt;
  }

  /** Why they are taken as out of reach; undefined: they are not. */
  get trouble(): string | undefined {
    return this.#isOfServers && this.#unanswered >= ENOUGH ? this.#last?.reason : undefined;
  }

  answered(at: number): void {
    this.#answeredAt = at;
    this.#unanswered = 0;
    this.#last = undefined;
    this.#isOfServers = false;
  }

  agentAnswered(at: number): void {
    this.#agentAnsweredAt = at;
  }

  failed(question: Unanswered): void {
    const { sentAt, endedAt, fault } = question;
    // Whoever was asked later has answered. What the agent says of itself holds for the moment at which it says it.
    if ((fault === "no-server" ? endedAt : sentAt) < (this.#answeredAt ?? -Infinity)) return;
    if (this.#last && sentAt < this.#last.endedAt) return;
    if (this.#unanswered++ === 0) this.#since = sentAt;
    this.#last = question;
    this.#isOfServers ||= fault === "no-server" || this.#agentAnsweredAt > this.#since;
  }
}
