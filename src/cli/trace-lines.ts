import type { Endpoint } from "../net/endpoint.js";
import { hostPort } from "../net/ip.js";
import type { SourceName, TraceEvent } from "../resolve/core/resolution.js";

/** A step of a resolution for people to read; lines of one step belong together. */
export function traceLines(event: TraceEvent): string[] {
  switch (event.step) {
    case "name":
      return [`- ${event.asked} is alive name ${event.aliveName} at host ${event.host}`];
    case "source":
      return [`- ${event.source}: ${event.result}`];
    case "query": {
      const { server, transport, qname, qtype, result, elapsedMs, flags, records, additionals } = event;
      const via = transport === "cache" ? "from cache" : `to ${server} over ${transport}`;
      const said = [result, ...(flags.length > 0 ? [`[${flags.join(" ")}]`] : []), `(${elapsedMs.toFixed(1)} ms)`];
      const why = event.because === undefined ? "" : `, because: ${event.because}`;
      return [
        `- query ${qname} ${qtype} ${via}: ${said.join(" ")}${why}`,
        ...records.map((record) => `    ${record}`),
        ...additionals.map((record) => `    additional: ${record}`),
      ];
    }
    case "partial": {
      const { server, qname, qtype, records } = event;
      const some = records === 1 ? "1 record" : `${records} records`;
      return [
        `- query ${qname} ${qtype}: the truncated answer of ${server} stands, ${some}; over TCP there is no more`,
      ];
    }
    case "hosts-file":
      return [`- /etc/hosts: ${event.name} is ${event.addresses.join(", ")}`];
    case "left-out":
      return [`- left out: ${event.count} of ${event.of} ${event.what}; a look-up takes ${event.of - event.count}`];
    case "not-awaited":
      return [`- no address yet, and not waited for: ${event.targets.join(", ")}`];
    case "probe":
      return [`- probe ${event.result} (${event.elapsedMs.toFixed(1)} ms)`];
    case "order":
      return orderLines(event.source, event.endpoints);
    case "preferred":
      return [`- order: ${hostPort(event.endpoint)} goes first, for it accepts connections`];
    default:
      return event satisfies never;
  }
}

function orderLines(source: SourceName, endpoints: readonly Endpoint[]): string[] {
  const order = `- order: ${endpoints.map((endpoint) => hostPort(endpoint)).join(", then ")}`;
  if (source !== "srv" || endpoints.length < 2) return [order];
  return [
    order,
    "    RFC 2782: the lowest priority first, within one by weight at random; addresses of one target as RFC 6724 prefers them",
    ...endpoints.map((endpoint) => `    ${hostPort(endpoint)}: ${place(endpoint, endpoints)}`),
  ];
}

/** What a record's priority and weight make of it. */
function place(endpoint: Endpoint, endpoints: readonly Endpoint[]): string {
  const { priority, weight, target } = endpoint;
  const equals = endpoints.filter((other) => other.priority === priority);
  // A record whose target has several addresses counts once.
  const weights = new Map(equals.map((other) => [`${other.target} ${other.port}`, other.weight]));
  const sum = Array.from(weights.values()).reduce((total, one) => total + one, 0);
  if (weights.size === 1) return `priority ${priority}, target ${target}`;
  const share =
    sum === 0 ? "each as likely as the others" : `first of its priority in ${percent(weight / sum)} of look-ups`;
  return `priority ${priority}, weight ${weight}, target ${target}: ${share}`;
}

function percent(share: number): string {
  return `${Math.round(share * 100)} %`;
}
