interface RecurringDeps {
  /** Never rejects. @returns milliseconds to the next run at the latest */
  readonly run: () => Promise<number>;
  /** @param took milliseconds of the last run @returns milliseconds to the next run at least, where it is due since something was published */
  readonly rest: (took: number) => number;
  /** Asked when a run is due. @returns milliseconds for which it has to wait yet, if more than 0; absent: it never has to */
  readonly wait?: () => number;
  /** Milliseconds. Consul shows what was published in a run that begins this much later. */
  readonly recheck: number;
  /** Monotonic milliseconds. */
  readonly now: () => number;
}

/** A look at what Consul has, again and again, sooner after a publication, and never twice at a time. */
export class Recurring {
  readonly #deps: RecurringDeps;
  #timer: NodeJS.Timeout | undefined;
  /** When the next run is due, milliseconds of now(); undefined while one is under way. */
  #at: number | undefined;
  /** When something was last published, milliseconds of now(). */
  #publishedAt = -Infinity;
  #underWay = Promise.resolve();
  /** Milliseconds of the last run. */
  #took = 0;
  #isStopped = false;

  /** @param first milliseconds to the first run; 0: it begins at once */
  constructor(deps: RecurringDeps, first: number) {
    this.#deps = deps;
    if (first > 0) this.#schedule(first);
    else this.#run();
  }

  /** Something was published. A run that begins `recheck` later or more follows soon. */
  soon(): void {
    const { now, rest } = this.#deps;
    this.#publishedAt = now();
    const delay = rest(this.#took);
    if (this.#at !== undefined && this.#at > now() + delay) this.#schedule(delay);
  }

  /** Resolves with the end of the run that is under way. Never rejects. */
  stop(): Promise<void> {
    this.#isStopped = true;
    clearTimeout(this.#timer);
    return this.#underWay;
  }

  #run(): void {
    const { run, rest, recheck, now } = this.#deps;
    const startedAt = now();
    this.#at = undefined;
    this.#underWay = run().then((delay) => {
      this.#took = now() - startedAt;
      const isTooEarly = startedAt < this.#publishedAt + recheck;
      this.#schedule(isTooEarly ? Math.min(delay, rest(this.#took)) : delay);
    });
  }

  #due(): void {
    const wait = this.#deps.wait?.() ?? 0;
    if (wait > 0) this.#schedule(wait);
    else this.#run();
  }

  #schedule(delay: number): void {
    if (this.#isStopped) return;
    clearTimeout(this.#timer);
    this.#at = this.#deps.now() + delay;
    this.#timer = setTimeout(() => this.#due(), delay);
  }
}
