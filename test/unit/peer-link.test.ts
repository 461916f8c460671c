import { expect, test } from "vitest";
import type { Examination } from "../../src/doctor/examination.js";
import { peerLink } from "../../src/doctor/peer-link.js";
import { parseNodeName } from "../../src/names/node-name.js";

const NODE = "b@svc.test";
const NOW = 100_000;

/** @param process of the VM here, as far as this user sees it @param way in which it asked 5 s ago */
async function told(process: object | undefined, way: string, hostWay?: readonly object[]) {
  const answering = (value: unknown) => () => Promise.resolve(value);
  const vms = [{ node: { aliveName: "a", port: 9_000 }, probe: { result: "refused" }, process }];
  const lookUp = { outcome: "not-found", node: NODE, endpoints: [], at: NOW - 5_000, here: true, way, elapsedMs: 1 };
  const examination = {
    ...{ asked: { name: parseNodeName(NODE), operand: NODE, full: NODE, host: "svc.test" }, config: { port: 4_369 } },
    ...{ startedAt: NOW, now: () => NOW, connections: answering([]), listeners: answering([]), vms: answering([]) },
    ...{ nodes: answering([]), localVms: answering(vms), peersOfAsked: answering(vms), probes: answering([]) },
    ...{ resolution: answering({ outcome: "not-found" }), hostWay: answering(hostWay) },
    daemon: answering({ lookUps: [lookUp], links: [{ name: "a", state: "not-offered", hidden: false }], nodes: [] }),
  };
  return (await peerLink.run(examination as unknown as Examination)).evidence.join("; ");
}

const MODULE = { hasModule: true, asksResolver: false };
const INETRC = { hasModule: false, asksResolver: false };
const STOCK = { hasModule: false, asksResolver: true };

test.each([
  ["with the module", MODULE, "module"],
  ["without it", STOCK, "host"],
  ["without it, and with an inetrc", INETRC, "gateway"],
  ["whose module a configuration file names", STOCK, "module"],
])("of a VM %s the last look-up is told, whether or not this user may see its process", async (_, process, way) => {
  for (const seen of [process, undefined]) expect(await told(seen, way)).toContain("last asked for from here 5s ago");
});

test("a question of a check, in a way that no VM here has, is none of a VM", async () => {
  expect(await told(MODULE, "gateway")).toContain("nobody here has asked for it");
});

test("what VMs ask for at the host of the node is not asked for here", async () => {
  const epmds = [{ address: "10.0.0.2" }];
  expect(await told(STOCK, "host", epmds)).toBe("no link with the node is seen");
  expect(await told(STOCK, "module", epmds)).toContain("last asked for from here 5s ago (module)");
});
