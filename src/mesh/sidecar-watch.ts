import { setTimeout as sleep } from "node:timers/promises";
import type { ConsulClient } from "../consul/client.js";
import { Pace } from "../consul/pace.js";
import { type CatalogueTimings, retryDelay } from "../consul/timings.js";
import type { Sidecar } from "../core/mesh/sidecar.js";

export interface SidecarWatchDeps {
  readonly client: Pick<ConsulClient, "followSidecar">;
  readonly timings: Omit<CatalogueTimings, "idle">;
  readonly changed: (sidecar: Sidecar) => void;
  readonly answers: () => void;
  readonly fails: (error: unknown) => void;
  /** The agent has it no more; the watch has ended. */
  readonly gone: () => void;
}

/** Follows the registration of one Connect proxy by blocking queries, from its making until it is closed or the proxy has gone. */
export class SidecarWatch {
  readonly #deps: SidecarWatchDeps;
  readonly #abort = new AbortController();
  readonly #ended: Promise<void>;
  /** Ends the pause before a retry. */
  #retry: AbortController | undefined;
  #sidecar: Sidecar;

  constructor(sidecar: Sidecar, deps: SidecarWatchDeps) {
    this.#sidecar = sidecar;
    this.#deps = deps;
    this.#ended = this.#follow();
  }

  get sidecar(): Sidecar {
    return this.#sidecar;
  }

  /** Tries again at once what is waiting for a retry. */
  hasten(): void {
    this.#retry?.abort();
  }

  /** Gives up the query under way. Never rejects. */
  async close(): Promise<void> {
    this.#abort.abort(new Error("nobody asks any more"));
    this.hasten();
    await this.#ended;
  }

  async #follow(): Promise<void> {
    const { client, timings, answers, fails, gone } = this.#deps;
    const { signal } = this.#abort;
    const pace = new Pace(timings.pace, () => performance.now());
    let [hash, failures] = ["", 0];
    while (!signal.aborted) {
      try {
        const { sidecar, hash: now } = await client.followSidecar(this.#sidecar.id, hash, timings.wait, signal);
        if (signal.aborted) return;
        [hash, failures] = [now, 0];
        answers();
        if (!sidecar) return gone();
        this.#take(sidecar);
        await this.#pause(pace.take());
      } catch (error) {
        if (signal.aborted) return;
        // An agent that was started anew is to answer at once.
        hash = "";
        fails(error);
        await this.#pause(retryDelay(++failures, timings.firstRetry, timings.maxRetry, Math.random));
      }
    }
  }

  #take(sidecar: Sidecar): void {
    const before = this.#sidecar;
    this.#sidecar = sidecar;
    if (JSON.stringify(before) !== JSON.stringify(sidecar)) this.#deps.changed(sidecar);
  }

  async #pause(milliseconds: number): Promise<void> {
    if (milliseconds === 0) return;
    this.#retry ??= new AbortController();
    if (this.#abort.signal.aborted) return;
    await sleep(milliseconds, undefined, { signal: this.#retry.signal }).catch(() => undefined);
    this.#retry = undefined;
  }
}
