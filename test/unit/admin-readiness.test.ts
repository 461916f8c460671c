import { expect, test } from "vitest";
import { type ReadinessInput, readinessOf } from "../../src/admin/core/status.js";

const READY: ReadinessInput = { stopping: false, gateway: undefined, consul: undefined };
const CONSUL = { started: true, trouble: undefined, missing: [] };

/** The reasons, by check. */
function faults(input: Partial<ReadinessInput>): Record<string, string | undefined> {
  const { ready, checks } = readinessOf({ ...READY, ...input });
  const failed = checks.filter(({ ok }) => !ok);
  expect(ready).toBe(failed.length === 0);
  return Object.fromEntries(failed.map(({ name, reason }) => [name, reason]));
}

test("a daemon without Consul and gateway is ready until it stops", () => {
  expect(readinessOf(READY)).toEqual({ ready: true, checks: [{ name: "stopping", ok: true }] });
  expect(faults({ stopping: true })).toEqual({ stopping: "srv-epmd is stopping" });
});

test("one that publishes needs an agent that answers, and every node in Consul", () => {
  expect(faults({ consul: CONSUL })).toEqual({});
  expect(faults({ consul: { ...CONSUL, started: false } })).toEqual({ consul: "not asked yet" });
  const trouble = "the Consul agent does not answer";
  expect(faults({ consul: { ...CONSUL, trouble } })).toEqual({ consul: trouble });
  const missing = [
    { name: "node_a", reason: "Permission denied" },
    { name: "node_b", reason: undefined },
  ];
  expect(faults({ consul: { ...CONSUL, missing } })).toEqual({
    published: "not in Consul's DNS: node_a (Permission denied), node_b",
  });
});

test("a native end of Consul Connect needs the relay process, and its certificates", () => {
  const totals = { openLinks: 0, links: 0, bytesToNode: 0, bytesFromNode: 0, dialsFailed: 0, linksRefused: 0 };
  const process = { pid: 1, since: 0, daemons: 1, relays: [], totals };
  const native = { port: 20_000, nodes: [], links: [], refused: {} };
  const faultOf = (input: ReadinessInput["native"]) => faults({ native: input }).connect;
  expect(faults({ native: { process: { ...process, native }, trouble: undefined } })).toEqual({});
  expect(faultOf({ process: undefined, trouble: { reason: "nothing answers", advice: "start it" } })).toBe(
    "the relay process does not answer: nothing answers",
  );
  expect(faultOf({ process, trouble: undefined })).toBe("the relay process is no native end of Consul Connect yet");
  const denied = { ...native, trouble: "svc: Permission denied" };
  expect(faultOf({ process: { ...process, native: denied }, trouble: undefined })).toBe("svc: Permission denied");
});

test("one with a gateway needs the relay process", () => {
  expect(faults({ gateway: { hasRelayProcess: true, trouble: undefined } })).toEqual({});
  const lost = { hasRelayProcess: false, trouble: undefined };
  expect(faults({ gateway: lost })).toEqual({ gateway: "the relay process does not answer" });
  const trouble = { reason: "/run/srv-epmd is open to other users", advice: "chmod 700 /run/srv-epmd" };
  expect(readinessOf({ ...READY, gateway: { ...lost, trouble } }).checks).toContainEqual({
    ...{ name: "gateway", ok: false },
    reason: "the relay process does not answer: /run/srv-epmd is open to other users",
    advice: "chmod 700 /run/srv-epmd",
  });
});

test("one in a Nomad allocation with a port for a node needs the node", () => {
  expect(faults({ node: { label: "dist", isHere: true } })).toEqual({});
  expect(faults({ node: { label: "dist", isHere: false }, consul: CONSUL })).toEqual({
    node: "no node is registered, and the port dist is for one",
  });
});
