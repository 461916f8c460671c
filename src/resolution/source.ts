import type { Question, Resolution, SourceName } from "../core/resolution.js";
import type { Trace } from "../core/trace.js";

export interface LookupContext {
  /** When the answer is due, milliseconds on the clock of the look-up. */
  readonly deadline: number;
  /** Whether the client is on this machine, so that loopback addresses are good for it. */
  readonly sameHost: boolean;
  /** The address that a client which is not on this machine asked at. */
  readonly dialled?: string;
  /** The fallback is closed to this client: what only it would need is not asked for. */
  readonly withoutFallback?: boolean;
  readonly trace?: Trace;
}

/** A place that knows nodes. At once where it needs no I/O. */
export interface Source {
  readonly name: SourceName;
  /** Which nodes it is asked for, by alive name; absent: all. */
  readonly serves?: (aliveName: string) => boolean;
  readonly lookUp: (question: Question, context: LookupContext) => Resolution | Promise<Resolution>;
}
