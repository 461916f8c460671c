import { RecentLookUps } from "../admin/core/recent-look-ups.js";
import type { Registry } from "../epmd/core/registry.js";
import { type DaemonEvent, type LookUp, Observations } from "./core/observations.js";

export interface MetricSpec {
  readonly type: "counter" | "gauge" | "histogram";
  readonly help: string;
  readonly labels: readonly string[];
}

const counter = (help: string, ...labels: string[]): MetricSpec => ({ type: "counter", help, labels });
const gauge = (help: string, ...labels: string[]): MetricSpec => ({ type: "gauge", help, labels });
const histogram = (help: string, ...labels: string[]): MetricSpec => ({ type: "histogram", help, labels });

/** The one table of metrics: it drives what is counted, /metrics and the list in the manual. */
export const METRICS = {
  srv_epmd_build_info: gauge("always 1; the version is a label", "version"),
  srv_epmd_ready: gauge("1 while /readyz says so, else 0"),
  srv_epmd_connections: gauge("EPMD connections that are open, registered nodes included"),
  srv_epmd_requests_total: counter("EPMD requests by opcode and by how they were answered", "type", "result"),
  srv_epmd_look_ups_total: counter(
    "look-ups of nodes by way in, source of the answer and outcome",
    "way",
    "source",
    "outcome",
  ),
  srv_epmd_look_up_duration_seconds: histogram("time of a look-up by the source of its answer", "source"),
  srv_epmd_stale_answers_total: counter(
    "look-ups answered from the last good answer, because nobody who could know better answers",
  ),
  srv_epmd_dns_queries_total: counter("DNS queries sent, by transport and by what came back", "transport", "rcode"),
  srv_epmd_dns_query_duration_seconds: histogram("time of a DNS query", "transport"),
  srv_epmd_dns_cache_total: counter(
    "questions to the DNS cache: hit, miss, or shared with a query under way",
    "result",
  ),
  srv_epmd_registered_nodes: gauge("nodes alive here"),
  srv_epmd_published_nodes: gauge("nodes alive here that are in Consul's DNS, or in Nomad's catalogue"),
  srv_epmd_missing_nodes: gauge(
    "nodes alive here that should be in Consul's DNS or Nomad's catalogue, and are not, or of which that is not known",
  ),
  srv_epmd_consul_calls_total: counter("calls of the Consul agent by result", "result"),
  srv_epmd_consul_up: gauge("1 while the Consul agent answers and reaches its servers, or was not needed yet, else 0"),
  srv_epmd_followed_services: gauge(
    "services that are followed in a catalogue, by whether it would tell of a change",
    "catalogue",
    "state",
  ),
  srv_epmd_relay_listeners: gauge("relays that listen"),
  srv_epmd_relay_links: gauge("links through relays that are open"),
  srv_epmd_relay_links_total: counter("links through relays since the relay process started"),
  srv_epmd_relay_bytes_total: counter("bytes through relays since the relay process started", "direction"),
  srv_epmd_relay_dials_failed_total: counter("endpoints that relays could not reach since the relay process started"),
  srv_epmd_connect_links: gauge("links of callers that came in by Consul Connect and are open"),
  srv_epmd_connect_refused_total: counter(
    "callers that were not let in by Consul Connect, or cut off, since the relay process started, by the reason",
    "reason",
  ),
  srv_epmd_connect_certificate_expiry_seconds: gauge(
    "when the certificate of a service in Consul Connect expires, seconds since 1970",
    "service",
  ),
} as const satisfies Record<string, MetricSpec>;

export type MetricName = keyof typeof METRICS;

/** Upper bounds of histogram buckets, seconds: from a registry hit (microseconds) to the 4 s of a whole look-up. */
export const BUCKETS = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5] as const;

type Labels = Readonly<Record<string, string>>;
type LabelValues = readonly [first?: string, second?: string, third?: string];

export interface Series {
  readonly labels: Labels;
  value: number;
  /** Of a histogram: observations by their smallest bucket; `value` is the sum of all. */
  readonly buckets?: number[];
  count?: number;
}

interface CountedSeries extends Series {
  /** Of the labels, in the order of the table. */
  readonly values: LabelValues;
}

/** Counts events. Plain numbers: the library that formats them is loaded at the first request for /metrics. */
export class Metrics {
  readonly #series = new Map<MetricName, CountedSeries[]>();

  /** The series of a metric, in the order of their first event. */
  series(name: MetricName): readonly Series[] {
    return Array.from(this.#series.get(name) ?? []);
  }

  readonly take = (event: DaemonEvent): void => {
    switch (event.type) {
      case "request":
        this.#count("srv_epmd_requests_total", event.request, event.result);
        break;
      case "look-up":
        this.#lookUp(event);
        break;
      case "query": {
        const { transport, rcode, elapsedMs } = event;
        this.#count("srv_epmd_dns_queries_total", transport, rcode);
        this.#observe("srv_epmd_dns_query_duration_seconds", transport, elapsedMs / 1000);
        break;
      }
      case "cache":
        this.#count("srv_epmd_dns_cache_total", event.result);
        break;
      case "consul-call":
        this.#count("srv_epmd_consul_calls_total", event.result);
        break;
      case "node":
        break;
      default:
        event satisfies never;
    }
  };

  #lookUp({ way, source: answeredBy, outcome, stale, elapsedMs }: LookUp): void {
    const source = answeredBy ?? "none";
    this.#count("srv_epmd_look_ups_total", way, source, outcome);
    if (stale) this.#count("srv_epmd_stale_answers_total");
    this.#observe("srv_epmd_look_up_duration_seconds", source, elapsedMs / 1000);
  }

  #count(name: MetricName, ...values: LabelValues): void {
    this.#find(name, values).value++;
  }

  /** @param value of the one label that a histogram has */
  #observe(name: MetricName, value: string, seconds: number): void {
    const series = this.#find(name, [value]);
    series.value += seconds;
    series.count = (series.count ?? 0) + 1;
    // Only the smallest bucket that holds it: the sums over the buckets are made when they are read.
    const index = BUCKETS.findIndex((bound) => seconds <= bound);
    if (series.buckets && index >= 0) series.buckets[index] = (series.buckets[index] ?? 0) + 1;
  }

  #find(name: MetricName, values: LabelValues): Series {
    let all = this.#series.get(name);
    if (!all) {
      all = [];
      this.#series.set(name, all);
    }
    const [first, second, third] = values;
    // A metric has few series. To put a key together for a map would cost more than to look through them.
    for (const series of all) {
      const known = series.values;
      if (known[0] === first && known[1] === second && known[2] === third) return series;
    }
    const { type, labels } = METRICS[name];
    const named = Object.fromEntries(labels.map((label, index) => [label, values[index] ?? ""]));
    const buckets = type === "histogram" ? { buckets: BUCKETS.map(() => 0) } : {};
    const series = { labels: named, values, value: 0, ...buckets };
    all.push(series);
    return series;
  }
}

/** The daemon's events, and what is kept of them to be shown. */
export interface Observed {
  readonly observations: Observations;
  readonly metrics: Metrics;
  readonly recent: RecentLookUps;
}

export function observeDaemon(registry: Registry): Observed {
  const observations = new Observations();
  const metrics = new Metrics();
  const recent = new RecentLookUps();
  observations.subscribe(metrics.take);
  observations.subscribe((event) => {
    if (event.type === "look-up") recent.add(event);
  });
  registry.subscribe(({ type, node }) => {
    observations.emit({ type: "node", change: type, name: node.aliveName, port: node.port });
  });
  return { observations, metrics, recent };
}
