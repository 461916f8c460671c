import { collectDefaultMetrics, type Metric, Registry } from "prom-client";
import { FOLLOW_STATES, type FollowedStatus } from "../catalogue/core/backend.js";
import { REFUSALS } from "../connect/core/inbound.js";
import { BUCKETS, METRICS, type MetricName, type Metrics, type Series } from "../daemon/metrics.js";
import type { NativeStatus } from "../relay/wire/status.js";
import { version } from "../version.js";
import type { LocalNode } from "./core/status.js";
import type { DaemonStatus } from "./status.js";

/** Series of metrics that are read when Prometheus asks, and not counted before. */
type Readings = Partial<Record<MetricName, readonly Series[]>>;

export interface Exposition {
  readonly contentType: string;
  readonly text: () => Promise<string>;
}

interface Value {
  readonly metricName?: string;
  readonly labels: Readonly<Record<string, string | number>>;
  readonly value: number;
}

/**
 * What Prometheus reads: our metrics and those of Node.js. The library is loaded when the daemon listens, and used with the first
 * request; our metrics are counted from the start.
 */
export function createExposition(metrics: Metrics, read: () => Promise<Readings>): Exposition {
  const registry = new Registry();
  collectDefaultMetrics({ register: registry });
  hideUnsampled(registry);
  let readings: Readings = {};
  for (const name of Object.keys(METRICS) as MetricName[]) {
    const { type, help } = METRICS[name];
    const get = async () => ({
      name,
      help,
      type,
      aggregator: "sum",
      values: valuesOf(name, readings[name] ?? metrics.series(name)),
    });
    // The library reads only `name` and `get` of a metric; ours are counted in src/daemon/metrics.ts.
    registry.registerMetric({ name, get } as unknown as Metric);
  }
  return {
    contentType: registry.contentType,
    text: async () => {
      readings = await read();
      return registry.metrics();
    },
  };
}

/** Of the event loop's delay: `nodejs_eventloop_lag_min_seconds`, but not `nodejs_eventloop_lag_seconds`. */
const DELAY = /^nodejs_eventloop_lag_[a-z0-9]+_seconds$/;
/** What Node's histogram gives as its least value while it has none: 2^63 - 1 ns, in seconds. */
const UNSAMPLED = 9_223_372_036;

/**
 * Leaves the statistics of the event loop's delay out of a scrape between whose begin and the one before, or the first
 * request, nothing was sampled: the library gives 292 years and NaN then.
 */
function hideUnsampled(registry: Registry): void {
  const statistics = registry.getMetricsAsArray().flatMap(({ name }) => {
    const metric = DELAY.test(name) ? registry.getSingleMetric(name) : undefined;
    return metric ? [{ metric, read: metric.get.bind(metric) }] : [];
  });
  const readLeast = statistics[0]?.read;
  for (const { metric, read } of statistics) {
    metric.get = async () => {
      const [own, least] = [await read(), await readLeast?.()];
      const isSampled = least?.values.some(({ value }) => value < UNSAMPLED);
      return isSampled ? own : { ...own, values: [] };
    };
  }
}

function valuesOf(name: MetricName, series: readonly Series[]): Value[] {
  const { type, labels } = METRICS[name];
  if (type === "histogram") return series.flatMap((one) => bucketsOf(name, one));
  // A counter without labels is 0 from the start.
  const known = series.length > 0 || labels.length > 0 || type === "gauge" ? series : [{ labels: {}, value: 0 }];
  return known.map((one) => ({ labels: one.labels, value: one.value }));
}

function bucketsOf(name: MetricName, { labels, value, buckets = [], count = 0 }: Series): Value[] {
  const bucket = (le: number | string, counted: number) => ({
    metricName: `${name}_bucket`,
    labels: { ...labels, le },
    value: counted,
  });
  let sum = 0;
  const most = buckets.map((those) => {
    sum += those;
    return sum;
  });
  return [
    ...BUCKETS.map((bound, index) => bucket(bound, most[index] ?? 0)),
    bucket("+Inf", count),
    { metricName: `${name}_sum`, labels, value },
    { metricName: `${name}_count`, labels, value: count },
  ];
}

/** The values at this moment. @param connections EPMD connections that are open */
export async function readNow(status: DaemonStatus, connections: number): Promise<Readings> {
  const [{ ready, checks }, { nodes }, relays] = await Promise.all([
    status.readiness(),
    status.nodes(),
    status.relays(),
  ]);
  const inState = (...states: readonly LocalNode["publication"][]) =>
    nodes.filter(({ publication }) => states.includes(publication)).length;
  const consul = checks.find(({ name }) => name === "consul");
  return {
    srv_epmd_build_info: [{ labels: { version }, value: 1 }],
    srv_epmd_ready: one(ready),
    srv_epmd_connections: one(connections),
    srv_epmd_registered_nodes: one(nodes.length),
    srv_epmd_published_nodes: one(inState("in-consul", "in-nomad")),
    srv_epmd_missing_nodes: one(inState("not-in-consul", "not-in-nomad", "unknown")),
    srv_epmd_consul_up: one(consul?.ok ?? true),
    srv_epmd_followed_services: followedByState(status.followed()),
    ...(relays && {
      srv_epmd_relay_listeners: one(relays.relays.length),
      srv_epmd_relay_links: one(relays.totals.openLinks),
      srv_epmd_relay_links_total: one(relays.totals.links),
      srv_epmd_relay_bytes_total: [
        { labels: { direction: "to_node" }, value: relays.totals.bytesToNode },
        { labels: { direction: "from_node" }, value: relays.totals.bytesFromNode },
      ],
      srv_epmd_relay_dials_failed_total: one(relays.totals.dialsFailed),
    }),
    ...(relays?.native && {
      srv_epmd_connect_links: one(relays.native.links.length),
      srv_epmd_connect_refused_total: REFUSALS.map((reason) => {
        return { labels: { reason }, value: relays.native?.refused[reason] ?? 0 };
      }),
      srv_epmd_connect_certificate_expiry_seconds: certificateExpiry(relays.native),
    }),
  };
}

function certificateExpiry({ certificate }: NativeStatus): readonly Series[] {
  if (!certificate) return [];
  return [{ labels: { service: certificate.service }, value: Date.parse(certificate.validBefore) / 1000 }];
}

const CATALOGUES = ["consul", "nomad"] as const;

/** A series for each catalogue and state, so that one that has come to an end is 0. */
function followedByState(followed: readonly FollowedStatus[]): readonly Series[] {
  return CATALOGUES.flatMap((catalogue) =>
    FOLLOW_STATES.map((state) => {
      const value = followed.filter((one) => one.catalogue === catalogue && one.state === state).length;
      return { labels: { catalogue, state }, value };
    }),
  );
}

function one(value: number | boolean): readonly Series[] {
  return [{ labels: {}, value: Number(value) }];
}
