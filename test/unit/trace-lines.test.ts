import { describe, expect, test } from "vitest";
import { plainReport, traceLines } from "../../src/cli/resolve-report.js";
import type { Found, TraceEvent } from "../../src/resolve/core/resolution.js";

type CatalogueStep = Extract<TraceEvent, { step: "catalogue" }>;

const STEP: CatalogueStep = {
  ...{ step: "catalogue", title: "Consul", service: "svc", tag: "node_a", state: "current" },
  ...{ ageMs: 12_340, instances: 3, held: [{ address: "fd00::1", port: 9100, weight: 2 }] },
};
const lines = (over: Partial<CatalogueStep> = {}) => traceLines({ ...STEP, ...over });

describe("what the catalogue told, in --trace", () => {
  test("has the instances with the tag, and says how old it is", () => {
    expect(lines()).toEqual([
      "- catalogue of Consul, service svc: 3 instances, 1 not critical with the tag node_a, told 12.3 s ago",
      "    [fd00::1]:9100 weight 2",
    ]);
    expect(lines({ datacenter: "dc2", tag: undefined, instances: 1, ageMs: 0, held: [] })).toEqual([
      "- catalogue of Consul, service svc in dc2: 1 instance, told 0.0 s ago",
    ]);
  });

  test("says when it might have missed a change, and when there is nothing yet", () => {
    expect(lines({ state: "broken" })[0]).toMatch(/told 12\.3 s ago, and does not answer now \(broken\)$/);
    expect(lines({ state: "unknown", ageMs: undefined, instances: undefined, held: [] })).toEqual([
      "- catalogue of Consul, service svc: no answer yet",
    ]);
  });

  test("is bounded: a service may have thousands of instances with one tag", () => {
    const held = Array.from({ length: 1_000 }, () => ({ address: "10.0.0.1", port: 1, weight: 1 }));
    expect(lines({ held })).toHaveLength(34);
    expect(lines({ held }).at(-1)).toBe("    and 968 more");
  });
});

test("an endpoint of the catalogue is shown with priority and weight, and a stale one says why", () => {
  const endpoints = [{ address: "10.0.0.1", port: 9, family: 4 as const, priority: 1, weight: 2, target: "10.0.0.1" }];
  const answer: Found = { outcome: "found", source: "catalogue", endpoints, ttl: 0, stale: true };
  expect(plainReport({ node: "a@svc", answer, elapsedMs: 1 }).map(({ text }) => text)).toEqual([
    "a@svc: found by catalogue, stale: the catalogue does not answer (1.0 ms)",
    "  10.0.0.1:9  priority 1  weight 2",
  ]);
});
