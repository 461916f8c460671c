import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { METRICS, type MetricName } from "../../src/daemon/metrics.js";

const NAMES = Object.keys(METRICS) as MetricName[];
const HISTOGRAMS = NAMES.filter((name) => METRICS[name].type === "histogram");
const labelsOf = (name: string): readonly string[] | undefined => METRICS[name as MetricName]?.labels;
/** Those of prom-client that the dashboard uses. */
const OF_EVERY_PROCESS = [
  "process_resident_memory_bytes",
  "process_cpu_seconds_total",
  "process_open_fds",
  "nodejs_eventloop_lag_p99_seconds",
];
const FUNCTIONS = ["sum", "count", "rate", "histogram_quantile", "vector", "by", "or", "label_values"];
/** Given by whoever scrapes. */
const SCRAPED = ["job", "instance"];

interface Panel {
  readonly id: number;
  readonly type: string;
  readonly title: string;
  readonly description?: string;
  readonly datasource?: { readonly uid: string };
  readonly gridPos: Readonly<Record<"x" | "y" | "w" | "h", number>>;
  readonly fieldConfig?: { readonly defaults: { readonly unit?: string } };
  readonly targets?: readonly { readonly expr: string; readonly refId: string; readonly legendFormat: string }[];
}

interface Dashboard {
  readonly uid: string;
  readonly id: null;
  readonly schemaVersion: number;
  readonly panels: readonly Panel[];
  readonly templating: { readonly list: readonly { readonly name: string; readonly definition?: string }[] };
}

const file = new URL("../../examples/grafana/srv-epmd.json", import.meta.url);
const dashboard = JSON.parse(readFileSync(file, "utf8")) as Dashboard;
const panels = dashboard.panels.filter(({ type }) => type !== "row");
const targets = panels.flatMap(({ targets = [] }) => targets);
const variables = dashboard.templating.list.map(({ name }) => name);
const queries = [
  ...targets.map(({ expr }) => expr),
  ...dashboard.templating.list.flatMap(({ definition }) => definition ?? []),
];

const WORD = /[a-zA-Z_][a-zA-Z0-9_]*/g;
const wordsIn = (text: string) => Array.from(text.matchAll(WORD), ([word]) => word);

/** Names of metrics: the words that are left without selectors, ranges and lists of labels. */
function metricsIn(query: string): string[] {
  const bare = query
    .replaceAll(/\{[^}]*\}/g, "")
    .replaceAll(/\[[^\]]*\]/g, "")
    .replaceAll(/\bby \([^)]*\)/g, "")
    // The label that a variable lists.
    .replace(/^(label_values\(.*), [a-z]+\)$/, "$1)");
  return wordsIn(bare).filter((word) => !FUNCTIONS.includes(word));
}

function labelsIn(query: string): string[] {
  const selectors = Array.from(query.matchAll(/([a-z_]+)(?:=~|!=|!~|=)"/g), ([, label = ""]) => label);
  const lists = Array.from(query.matchAll(/\bby \(([^)]*)\)/g), ([, labels = ""]) => wordsIn(labels)).flat();
  return [...selectors, ...lists];
}

/** The metric of a series: histograms have several. */
function familyOf(metric: string): string {
  return HISTOGRAMS.find((name) => new RegExp(`^${name}_(bucket|sum|count)$`).test(metric)) ?? metric;
}

test.each(queries)("%s names metrics that there are, and labels that they have", (query) => {
  const metrics = metricsIn(query).map(familyOf);
  expect(metrics.length).toBeGreaterThan(0);
  for (const metric of metrics) expect([...NAMES, ...OF_EVERY_PROCESS]).toContain(metric);
  const labels = metrics.flatMap((metric) => labelsOf(metric) ?? []);
  for (const label of labelsIn(query)) expect([...labels, ...SCRAPED, "le"]).toContain(label);
  // A histogram is read by its buckets, which are a rate for each bound.
  if (query.includes("histogram_quantile")) expect(query).toMatch(/_bucket\{/);
  if (query.includes("_bucket")) expect(labelsIn(query)).toContain("le");
});

test("a counter is read as a rate, and nothing else is", () => {
  for (const query of targets.map(({ expr }) => expr)) {
    const rated = Array.from(query.matchAll(/rate\(([a-z0-9_]+)\{/g), ([, metric = ""]) => metric);
    const counters = metricsIn(query).filter((metric) => /_(total|bucket)$/.test(metric));
    expect(rated, query).toEqual(counters);
  }
});

test("legends name labels that the query leaves", () => {
  for (const { expr, legendFormat } of targets) {
    const left = /\bby \(/.test(expr) ? labelsIn(expr) : SCRAPED;
    for (const [, label] of legendFormat.matchAll(/\{\{(\w+)\}\}/g)) expect(left, expr).toContain(label);
  }
});

test("every metric of the daemon is shown", () => {
  const shown = queries.flatMap(metricsIn).map(familyOf);
  expect(NAMES.filter((metric) => !shown.includes(metric))).toEqual([]);
});

test("it can be imported: an address of its own, no id, no data source of ours", () => {
  expect(dashboard).toMatchObject({ uid: "srv-epmd", id: null, schemaVersion: 42 });
  for (const { title, datasource } of panels) expect(datasource?.uid, title).toMatch(/^\$\{datasource\}$/);
  expect(variables).toEqual(["datasource", "job", "instance"]);
  const used = queries.flatMap((query) => Array.from(query.matchAll(/\$(\w+)/g), ([, name = ""]) => name));
  for (const name of used) expect([...variables, "__rate_interval"]).toContain(name);
});

test("each panel says what it shows and in what unit, and has a place of its own", () => {
  expect(new Set(dashboard.panels.map(({ id }) => id)).size).toBe(dashboard.panels.length);
  const taken = new Set<string>();
  for (const { title, type, description = "", fieldConfig, gridPos, targets: own = [] } of dashboard.panels) {
    const { x, y, w, h } = gridPos;
    expect(x + w, title).toBeLessThanOrEqual(24);
    for (let place = 0; place < w * h; place++) {
      const key = `${x + (place % w)} ${y + Math.floor(place / w)}`;
      expect(taken, title).not.toContain(key);
      taken.add(key);
    }
    if (type === "row") continue;
    expect(description.length, title).toBeGreaterThan(10);
    expect(fieldConfig?.defaults.unit, title).toMatch(/^[a-zA-Z_]+$/);
    expect(new Set(own.map(({ refId }) => refId)).size, title).toBe(own.length);
  }
});
