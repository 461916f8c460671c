import { setTimeout as sleep } from "node:timers/promises";

export interface WaitOptions {
  /** Milliseconds; 10 seconds when not given. */
  readonly timeout?: number;
  /** What is waited for, for the error: "the service to be passing". */
  readonly what: string;
  /** Milliseconds between attempts, at least: one that takes long is followed by as long a rest, as it may take a processor. */
  readonly interval?: number;
}

/**
 * Polls until the condition gives something that is neither false, undefined nor null, and returns it. A condition that
 * throws is tried again.
 * @throws Error that names what was waited for, with the condition's last error as cause
 */
export async function waitFor<T>(
  condition: () => T | Promise<T>,
  { timeout = 10_000, what, interval = 20 }: WaitOptions,
): Promise<Exclude<T, false | undefined | null>> {
  const end = performance.now() + timeout;
  let last: { readonly error: unknown } | undefined;
  for (;;) {
    const began = performance.now();
    try {
      const value = await condition();
      last = undefined;
      if (value !== false && value !== undefined && value !== null) {
        return value as Exclude<T, false | undefined | null>;
      }
    } catch (error) {
      last = { error };
    }
    if (performance.now() >= end) {
      const why = last ? `; at last: ${last.error instanceof Error ? last.error.message : String(last.error)}` : "";
      throw new Error(`waited ${timeout} ms in vain for ${what}${why}`, last && { cause: last.error });
    }
    await sleep(Math.max(interval, performance.now() - began));
  }
}
