import type { AgentFault } from "../../api/core/silence.js";

/** One question without an answer may have met a busy agent. */
const ENOUGH = 2;

/** A question for the servers that was not answered. */
interface Unanswered {
  /** Monotonic milliseconds. */
  readonly sentAt: number;
  /** Undefined: an error that says nothing about the servers. */
  readonly fault: AgentFault | undefined;
  /** For people. */
  readonly reason: string;
}

/**
 * Whether Consul's servers answer what the agent asks them for us. An agent that reaches none of them still takes
 * registrations, and lists them as if Consul had them.
 */
export class Servers {
  #answeredAt: number | undefined;
  #unanswered = 0;
  #isCutOff = false;
  #reason = "";

  /** When they answered last, monotonic milliseconds; undefined: they never did. */
  get answeredAt(): number | undefined {
    return this.#answeredAt;
  }

  /** Why they are taken as out of reach; undefined: they are not. */
  get trouble(): string | undefined {
    return this.#isCutOff || this.#unanswered >= ENOUGH ? this.#reason : undefined;
  }

  answered(at: number): void {
    this.#answeredAt = at;
    this.#unanswered = 0;
    this.#isCutOff = false;
  }

  failed({ sentAt, fault, reason }: Unanswered): void {
    if (fault === "no-server") this.#isCutOff = true;
    // Whoever was asked later has answered.
    else if (fault === "timeout" && sentAt >= (this.#answeredAt ?? -Infinity)) this.#unanswered++;
    else return;
    this.#reason = reason;
  }
}
