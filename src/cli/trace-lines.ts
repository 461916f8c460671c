import type { TraceEvent } from "../core/trace.js";
import { formatPeer } from "../epmd/peer.js";

/** A step of a resolution for people to read; lines of one step belong together. */
export function traceLines(event: TraceEvent): string[] {
  switch (event.step) {
    case "name":
      return [`- ${event.asked} is alive name ${event.aliveName} at host ${event.host}`];
    case "source":
      return [`- ${event.source}: ${event.result}`];
    case "query": {
      const { server, transport, qname, qtype, result, elapsedMs, records } = event;
      const via = transport === "cache" ? "from cache" : `to ${server} over ${transport}`;
      const head = `- query ${qname} ${qtype} ${via}: ${result} (${elapsedMs.toFixed(1)} ms)`;
      return [head, ...records.map((record) => `    ${record}`)];
    }
    case "probe":
      return [`- probe ${event.result} (${event.elapsedMs.toFixed(1)} ms)`];
    case "order":
      return [`- order: ${event.endpoints.map((endpoint) => formatPeer(endpoint)).join(", then ")}`];
    default:
      return event satisfies never;
  }
}
