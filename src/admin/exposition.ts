import { collectDefaultMetrics, type Metric, Registry } from "prom-client";
import { BUCKETS, METRICS, type MetricName, type Metrics, type Series } from "../daemon/metrics.js";

/** Series of metrics that are not counted but read. */
export type Readings = Partial<Record<MetricName, readonly Series[]>>;

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
 * What Prometheus reads: our metrics and those of Node. It is loaded with the first question, for the library takes
 * 12 MiB; what happened before was counted.
 */
export function createExposition(metrics: Metrics, read: () => Promise<Readings>): Exposition {
  const registry = new Registry();
  collectDefaultMetrics({ register: registry });
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
    // A metric of the library is what has a name and can be read; ours are counted elsewhere.
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

function valuesOf(name: MetricName, series: readonly Series[]): Value[] {
  const { type, labels } = METRICS[name];
  if (type === "histogram") return series.flatMap((one) => bucketsOf(name, one));
  // One that has no labels is there from the start.
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
