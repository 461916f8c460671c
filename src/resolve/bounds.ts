import type { LeftOut, Trace } from "./core/resolution.js";

/** What one look-up leaves out at its bounds; each is traced at once. */
export class Bounds {
  readonly #trace: Trace | undefined;
  readonly #leftOut: LeftOut[] = [];

  constructor(trace: Trace | undefined) {
    this.#trace = trace;
  }

  /** The first of them, as many as the bound allows. */
  take<T>(what: LeftOut["what"], all: readonly T[], bound: number): readonly T[] {
    if (all.length <= bound) return all;
    const leftOut = { what, count: all.length - bound, of: all.length };
    this.#leftOut.push(leftOut);
    this.#trace?.({ step: "left-out", ...leftOut });
    return all.slice(0, bound);
  }

  /** For the answer. */
  get told(): { readonly leftOut?: readonly LeftOut[] } {
    return this.#leftOut.length > 0 ? { leftOut: this.#leftOut } : {};
  }
}
