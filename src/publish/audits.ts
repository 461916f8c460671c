import type { Timings } from "./timings.js";

export interface AuditsDeps {
  /** Compares once what the agent holds with what it should hold. @returns milliseconds to the next time, at most */
  readonly survey: () => Promise<number | undefined>;
  /** @returns milliseconds to the next try, after so many in vain */
  readonly failed: (error: unknown, failures: number) => number;
  /** Monotonic milliseconds. */
  readonly now: () => number;
  readonly timings: Pick<Timings, "audit" | "recheck">;
}

/** When the agent is audited: now, and again and again until stopped; never twice at once. */
export class Audits {
  readonly #deps: AuditsDeps;
  #timer: NodeJS.Timeout | undefined;
  /** Milliseconds of now(); undefined while one is under way. */
  #at: number | undefined;
  /** What was published since the last one began is to be looked at soon. */
  #recheck = false;
  #underWay = Promise.resolve();
  #failures = 0;
  #stopped = false;

  constructor(deps: AuditsDeps) {
    this.#deps = deps;
    this.#audit();
  }

  /** Two daemons that find an id free in the same moment both write it, and Consul tells neither: one of them has to see it. */
  soon(): void {
    this.#recheck = true;
    const { now, timings } = this.#deps;
    if (this.#at !== undefined && this.#at > now() + timings.recheck) this.#schedule(timings.recheck);
  }

  /** Resolves with the end of the one under way. Never rejects. */
  stop(): Promise<void> {
    this.#stopped = true;
    clearTimeout(this.#timer);
    return this.#underWay;
  }

  #audit(): void {
    const { survey, failed, timings } = this.#deps;
    this.#at = undefined;
    this.#recheck = false;
    this.#underWay = survey()
      .then(
        (most = timings.audit) => {
          this.#failures = 0;
          return Math.min(most, timings.audit);
        },
        (error: unknown) => failed(error, ++this.#failures),
      )
      .then((delay) => this.#schedule(this.#recheck ? Math.min(delay, timings.recheck) : delay));
  }

  #schedule(delay: number): void {
    if (this.#stopped) return;
    clearTimeout(this.#timer);
    this.#at = this.#deps.now() + delay;
    this.#timer = setTimeout(() => this.#audit(), delay);
  }
}
