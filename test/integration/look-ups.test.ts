import { expect, test } from "vitest";
import { Registry } from "../../src/epmd/core/registry.js";
import { type LookedUp, lookUp } from "../../src/epmd/look-up.js";
import { identifyPeer } from "../../src/epmd/peer.js";
import type { Resolution } from "../../src/resolve/core/resolution.js";
import { portPlease2, recorded } from "../support/looked-up.js";
import { registration } from "../support/registered-node.js";

const LOCAL = identifyPeer("127.0.0.1", 40000, "127.0.0.1", []);
const STRANGER = identifyPeer("10.0.0.2", 40000, "10.0.0.1", []);
const FAR: Resolution = {
  ...{ outcome: "found", source: "srv", ttl: 0, stale: false },
  endpoints: [{ address: "10.0.0.9", port: 20009, family: 4, priority: 1, weight: 1, target: "t.test" }],
};
const NOWHERE: Resolution = { outcome: "not-found", code: "SRV_NXDOMAIN", reason: "no SRV record" };
const DOWN: Resolution = { outcome: "unavailable", code: "DNS_TIMEOUT", cause: "DNS is silent" };

/** What is told of a look-up; a node `here` is alive, in a bridge network that maps no port to it. */
function told(name: string, resolution: Resolution, peer = LOCAL): unknown {
  const registry = new Registry();
  registry.register(registration("here", 9100), 0);
  const deps = {
    registry,
    nodes: { resolve: () => resolution },
    advertisedPort: () => undefined,
    gateway: () => undefined,
  };
  const { events } = recorded(lookUp(portPlease2(name), peer, deps) as LookedUp, peer);
  expect(events).toHaveLength(1);
  return events[0];
}

test.each([
  ["a node that is found", "b@svc", FAR, LOCAL, "found", undefined],
  ["a node that this client would not reach", "b", FAR, LOCAL, "unreachable", /would dial 127\.0\.0\.1/],
  [
    "a node here to which no port is mapped",
    "here",
    FAR,
    STRANGER,
    "unreachable",
    /is not a mapped port of this bridge network/,
  ],
  ["a node that is nowhere", "b", NOWHERE, LOCAL, "not-found", /no SRV record/],
  ["a node that cannot be looked up", "b", DOWN, LOCAL, "unavailable", /DNS is silent/],
  ["what is no name", "a b@", FAR, LOCAL, "refused", /not a name/],
  ["what a stranger may not ask", "b@svc", FAR, STRANGER, "refused", /--allow 10\.0\.0\.2/],
])(
  "%s is told with its outcome, and with the reason that the log has",
  (_, name, resolution, peer, outcome, reason) => {
    const event = told(name, resolution, peer);
    expect(event).toMatchObject({ outcome, reason: reason && expect.stringMatching(reason) });
  },
);

test("what a bound of a look-up has left out is in the debug log", () => {
  const leftOut = [{ what: "SRV records", count: 8, of: 40 }] as const;
  const logged = (resolution: Resolution) => {
    const deps = {
      registry: new Registry(),
      nodes: { resolve: () => resolution },
      advertisedPort: () => undefined,
      gateway: () => undefined,
    };
    return recorded(lookUp(portPlease2("b@svc"), LOCAL, deps) as LookedUp, LOCAL).lines;
  };
  expect(logged({ ...FAR, leftOut } as Resolution)).toMatchObject([{ level: "debug", leftOut }]);
  expect(logged(FAR)).toEqual([]);
});
