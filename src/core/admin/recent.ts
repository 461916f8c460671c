import type { LookUp } from "../observations.js";

/** As many as the status page shows. */
const KEPT = 100;

/** The last look-ups. */
export class RecentLookUps {
  readonly #kept: LookUp[] = [];

  add(lookUp: LookUp): void {
    this.#kept.push(lookUp);
    if (this.#kept.length > KEPT) this.#kept.shift();
  }

  /** Newest first. */
  list(): LookUp[] {
    return this.#kept.toReversed();
  }
}
