/**
 * How an agent does not answer. `refused`: nothing listens there. `timeout`: it gives no answer in time, so it hangs, or packets
 * to it are dropped. `no-way`: the network has no way to it.
 */
export type Silence = "refused" | "timeout" | "no-way";

interface CallError extends NodeJS.ErrnoException {
  /** Of the library: the call took too long, by its own limit or by that of who asked. */
  readonly isTimeout?: boolean;
  readonly isAbort?: boolean;
}

/** How an agent fails a caller. `no-server`: the agent of Consul answers, and reaches none of Consul's servers. */
export type AgentFault = Silence | "no-server";

/** By the error of a call and its causes; undefined: it does answer, or why it does not is told by the message alone. */
export function silenceOf(error: unknown): Silence | undefined {
  for (let cause = error; cause instanceof Error; cause = cause.cause) {
    const { code, isTimeout, isAbort } = cause as CallError;
    if (isTimeout || isAbort || code === "ETIMEDOUT") return "timeout";
    if (code === "ECONNREFUSED" || code === "ENOENT") return "refused";
    if (code === "EHOSTUNREACH" || code === "ENETUNREACH") return "no-way";
  }
  return undefined;
}

/** The time of AbortSignal.timeout is over: its caller has waited in vain, and not lost interest. */
export function isTimeOver(signal: AbortSignal | undefined): boolean {
  return (signal?.reason as Error | undefined)?.name === "TimeoutError";
}
