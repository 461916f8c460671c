import { describe, expect, test } from "vitest";
import type { DaemonEvent, LookUp } from "../../src/daemon/core/observations.js";
import { METRICS, type MetricName, Metrics } from "../../src/daemon/metrics.js";

const NAMES = Object.keys(METRICS) as MetricName[];

describe("the table of metrics", () => {
  // https://prometheus.io/docs/practices/naming/
  test.each(NAMES)("%s is named and described as Prometheus wants it", (name) => {
    const { type, help, labels } = METRICS[name];
    expect(name).toMatch(/^srv_epmd_[a-z]+(_[a-z]+)*$/);
    expect(name.endsWith("_total")).toBe(type === "counter");
    if (type === "histogram") expect(name).toMatch(/_seconds$/);
    expect(help).not.toBe("");
    for (const label of labels) expect(label).toMatch(/^[a-z]+$/);
  });
});

const LOOK_UP: LookUp = {
  type: "look-up",
  at: 0,
  node: "node_a@svc",
  asker: "127.0.0.1",
  here: true,
  way: "module",
  outcome: "found",
  source: "srv",
  stale: false,
  port: 1,
  endpoints: [],
  reason: undefined,
  elapsedMs: 3,
};

/** What is counted of events, as `name{label="value"} value`. */
function counted(...events: DaemonEvent[]): string[] {
  const metrics = new Metrics();
  for (const event of events) metrics.take(event);
  return NAMES.filter((name) => METRICS[name].type === "counter").flatMap((name) =>
    metrics.series(name).map(({ labels, value }) => `${name} ${Object.values(labels).join(" ")} ${value}`),
  );
}

describe("what happens", () => {
  test("is counted by its labels", () => {
    expect(
      counted(
        { type: "request", request: "NAMES_REQ", result: "ok" },
        { type: "request", request: "NAMES_REQ", result: "ok" },
        { type: "request", request: "invalid", result: "closed" },
        { type: "query", transport: "udp", rcode: "NXDOMAIN", elapsedMs: 1 },
        { type: "cache", result: "hit" },
        { type: "consul-call", result: "forbidden" },
        { type: "node", change: "registered", name: "node_a", port: 1 },
        LOOK_UP,
        { ...LOOK_UP, stale: true },
        { ...LOOK_UP, outcome: "not-found", source: undefined },
      ),
    ).toEqual([
      "srv_epmd_requests_total NAMES_REQ ok 2",
      "srv_epmd_requests_total invalid closed 1",
      "srv_epmd_look_ups_total module srv found 2",
      "srv_epmd_look_ups_total module none not-found 1",
      "srv_epmd_stale_answers_total  1",
      "srv_epmd_dns_queries_total udp NXDOMAIN 1",
      "srv_epmd_dns_cache_total hit 1",
      "srv_epmd_consul_calls_total forbidden 1",
    ]);
  });

  test("takes a time that falls into the smallest bucket that holds it, or into none", () => {
    const metrics = new Metrics();
    for (const elapsedMs of [0.4, 3, 3.1, 99_000]) metrics.take({ ...LOOK_UP, elapsedMs });
    const [series] = metrics.series("srv_epmd_look_up_duration_seconds");
    expect(series?.count).toBe(4);
    expect(series?.value).toBeCloseTo(99.0065);
    expect(series?.buckets?.slice(0, 5)).toEqual([1, 0, 0, 2, 0]);
  });
});
