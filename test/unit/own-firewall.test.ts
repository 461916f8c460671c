import { expect, test } from "vitest";
import type { Probe } from "../../src/distribution/core/words.js";
import { firewallHere, type PublishedHere } from "../../src/doctor/core/own-firewall.js";

const SILENT: Probe = { result: "silent", stage: "connect", elapsedMs: 3_000 };
const judge = (over: Partial<PublishedHere> = {}) =>
  firewallHere({
    ...{ full: "node_b@svc.service.consul", endpoint: { address: "10.0.0.2", port: 9100 }, probe: SILENT },
    ...{ isUnmapped: true, isListening: true },
    ...over,
  });

test("a VM that listens here and is not reached at this machine's own address is kept off by a firewall here", () => {
  expect(judge()).toEqual({
    evidence: [
      "node_b@svc.service.consul is published at 10.0.0.2:9100, an address of this machine and the port on which its VM listens, and that does not answer a connection attempt from here",
    ],
    advice: [
      expect.stringMatching(/^a firewall on this machine drops or rejects TCP port 9100: .* nft list ruleset here/),
    ],
  });
  expect(judge({ probe: { result: "refused", elapsedMs: 1 } })?.evidence[0]).toMatch(/refuses connections from here$/);
});

test("and not where its address or port is mapped, where it does not listen there, or where it takes the connection", () => {
  expect(judge({ isUnmapped: false })).toBeUndefined();
  expect(judge({ isListening: false })).toBeUndefined();
  expect(judge({ probe: { result: "silent", stage: "handshake", connectMs: 1, elapsedMs: 3_000 } })).toBeUndefined();
  expect(judge({ probe: { result: "tls", code: "x", connectMs: 1, elapsedMs: 3 } })).toBeUndefined();
});
