import { describe, expect, test } from "vitest";
import type { VmState } from "../../src/distribution/core/vm-state.js";
import type { Probe } from "../../src/distribution/core/words.js";
import { essenceOf } from "../../src/doctor/core/cluster-essence.js";
import { type LookedFor, memberOf } from "../../src/doctor/core/cluster-links.js";
import { type ClusterListing, judgeCluster } from "../../src/doctor/core/cluster-verdict.js";

const [A, B] = ["a@svc.test", "b@svc.test"];

const essence = (all: readonly LookedFor[], listing: ClusterListing = {}) => {
  const members = all.map(memberOf);
  return essenceOf({ members, verdict: judgeCluster(members, listing), ...listing });
};

const at = (node: string, probe: Probe, more: Partial<LookedFor> = {}): LookedFor => ({
  ...{ node, places: [{ endpoint: { address: "10.0.0.1", port: 1, family: 4 }, probe }], ...more },
});

const vm = (node: string, visible: readonly string[], elapsedMs: number, more: Partial<VmState> = {}): LookedFor =>
  at(node, {
    ...{ result: "node", name: node, version: 6, creation: 7, hidden: false, flags: [], release: "OTP 25, 26 or 27" },
    ...{ status: "ok", elapsedMs },
    joined: {
      cookie: "same",
      state: {
        ...{ release: "25", visible, hidden: [], connecting: [], ends: [], families: [4], connectAll: true },
        ...{ autoConnect: undefined, preventsPartitions: true, ...more },
      },
    },
  });

const unread = (code: string) => ({ code, services: ["svc"], why: "", advice: "", isBlank: true });

describe("two looks at a cluster are alike", () => {
  const gone = (reason: string, missingCode = "SRV_NXDOMAIN"): LookedFor => ({
    ...{ node: B, missing: reason, missingCode, places: [] },
  });

  test("whatever the time, the age or the number of tries in their sentences", () => {
    const unanswered = (tries: number): LookedFor => ({
      ...{ node: B, missing: `timed out after ${tries} tries`, unavailable: "DNS_TIMEOUT", places: [] },
    });
    expect(essence([unanswered(2)])).toBe(essence([unanswered(3)]));
    expect(essence([gone("asked 3 s ago")])).toBe(essence([gone("asked 5 s ago")]));
    expect(essence([vm(A, [], 1)])).toBe(essence([vm(A, [], 2)]));
    const fault = (ms: number) => ({
      fault: { text: `no answer within ${ms} ms`, brief: "no answer", code: "CONSUL_UNAVAILABLE" },
    });
    expect(essence([], fault(2_000))).toBe(essence([], fault(2_001)));
    const failing = (words: string) =>
      ({ ...gone("left out"), obstacle: { kind: "tcp", check: "tcp", words } }) as const;
    expect(essence([failing("dial: timeout after 1.2s")])).toBe(essence([failing("dial: timeout after 1.4s")]));
  });

  test("unless something differs that is to be known", () => {
    const all = [
      essence([]),
      essence([], { fault: { text: "no answer", brief: "", code: "CONSUL_UNAVAILABLE" } }),
      essence([], { fault: { text: "no answer", brief: "", code: "CONSUL_FORBIDDEN" } }),
      essence([], { unread: unread("TOKEN_NOT_GIVEN") }),
      essence([], { unread: unread("TOKEN_CANNOT_READ") }),
      essence([gone("no record")]),
      essence([gone("no record", "SRV_NODATA")]),
      essence([{ node: B, missing: "no record", unavailable: "DNS_TIMEOUT", places: [] }]),
      essence([at(B, { result: "refused", elapsedMs: 1 })]),
      essence([at(B, { result: "silent", stage: "connect", elapsedMs: 1 })]),
      essence([at(B, { result: "silent", stage: "handshake", elapsedMs: 1 })]),
      essence([at(B, { result: "refused", elapsedMs: 1 }, { health: "critical" })]),
      essence([vm(A, [B], 1), vm(B, [A], 1)]),
      essence([vm(A, [], 1), vm(B, [], 1)]),
      essence([vm(A, [], 1), vm(B, [A], 1)]),
      essence([vm(A, [], 1), vm(B, [], 1, { connecting: [A] })]),
      essence([vm(A, [], 1, { connectAll: false }), vm(B, [], 1)]),
    ];
    expect(new Set(all).size).toBe(all.length);
  });
});
