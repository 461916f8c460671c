import { RCODES } from "../core/dns/message.js";
import type { Observe } from "../core/observations.js";
import type { Trace } from "../core/trace.js";

/** How a query ended, as a few words: a metric keeps a series for each. */
const RESULTS = new Map([
  ...RCODES.map((rcode) => [rcode, rcode] as const),
  ["timeout", "timeout"],
  ["truncated", "truncated"],
  ["ECONNREFUSED", "unreachable"],
  ["EHOSTUNREACH", "unreachable"],
  ["ENETUNREACH", "unreachable"],
]);

/** A trace that tells of each query that is sent. */
export function observeQueries(observe: Observe): Trace {
  return (event) => {
    if (event.step !== "query" || event.transport === "cache") return;
    const { transport, result, elapsedMs } = event;
    observe({ type: "query", transport, rcode: RESULTS.get(result) ?? "error", elapsedMs });
  };
}
