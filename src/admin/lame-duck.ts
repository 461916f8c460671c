/** Who asked for readiness so long ago has gone, milliseconds: Nomad and load balancers ask every few seconds. */
const WATCHED = 30_000;
/** What a stop waits at the most for somebody to ask once more, milliseconds. */
const LIMIT = 1_500;

/**
 * The time between "not ready" and the end: whoever decides by /readyz where to send new work must have heard of the
 * stop before the sockets close. Where nobody asks, nothing is waited for.
 */
export class LameDuck {
  #askedAt = Number.NEGATIVE_INFINITY;
  #told = false;
  #over: () => void = () => {};

  /** Somebody was told whether this daemon is ready. */
  asked(ready: boolean): void {
    this.#askedAt = performance.now();
    this.#told = !ready;
    if (!ready) this.#over();
  }

  /** Call it when the answer has become "not ready". */
  async over(): Promise<void> {
    if (this.#told || performance.now() - this.#askedAt > WATCHED) return;
    let timer: NodeJS.Timeout | undefined;
    await new Promise<void>((resolve) => {
      this.#over = resolve;
      timer = setTimeout(resolve, LIMIT);
    });
    clearTimeout(timer);
  }
}
