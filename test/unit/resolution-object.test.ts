import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import type { Endpoint } from "../../src/net/endpoint.js";
import { NOT_FOUND_CODES, resolutionObject, UNAVAILABLE_CODES } from "../../src/resolve/core/resolution.js";
import { TRAITS } from "../../src/resolve/source.js";

const ENDPOINTS: Endpoint[] = [1, 2].map((n) => ({
  ...{ address: `10.0.0.${n}`, port: 9100 + n, family: 4, priority: 1, weight: 1, target: `h${n}.test` },
}));

test("a node that was found has its endpoints with what is added to each", () => {
  const answer = { outcome: "found", source: "srv", stale: false, ttl: 3, endpoints: ENDPOINTS } as const;
  expect(resolutionObject("a@svc", answer, 12.345)).toEqual({ node: "a@svc", ...answer, elapsedMs: 12.3 });
  const more = { added: { via: "x" }, ofEndpoint: (index: number) => ({ probe: index }) };
  expect(resolutionObject("a@svc", answer, 0, more)).toEqual({
    ...{ node: "a@svc", ...answer, via: "x", elapsedMs: 0 },
    endpoints: ENDPOINTS.map((endpoint, probe) => ({ ...endpoint, probe })),
  });
});

test("one that was not has the reason", () => {
  const answer = { outcome: "not-found", code: "SRV_NXDOMAIN", reason: "no SRV" } as const;
  expect(resolutionObject("a@svc", answer, 1, { added: { via: "x" } })).toEqual({
    ...{ node: "a@svc", ...answer, via: "x", elapsedMs: 1 },
  });
});

test("strangers get what all sources but upstreams and fallbacks know", () => {
  const sources = ["registry", "static", "upstream", "srv", "fallback"] as const;
  expect(sources.filter((source) => TRAITS[source].forStrangers)).toEqual(["registry", "static", "srv"]);
});

test("the topic explains each code", () => {
  const topic = readFileSync(new URL("../../src/help/resolve.md", import.meta.url), "utf8");
  const explained = topic.split("\n").flatMap((line) => /^\| ([A-Z_]+) \|/.exec(line)?.[1] ?? []);
  const ofEpmd = ["EPMD_UNREACHABLE", "EPMD_TIMEOUT", "EPMD_ANSWER"];
  expect(explained).toEqual([...NOT_FOUND_CODES, ...UNAVAILABLE_CODES, ...ofEpmd]);
});
